"""One way to one address, step by step as the product goes it: name, connection, proxy, certificate, one request.

The first step that fails is where it ends. A certificate that is not trusted is looked at once more to say who signed it;
nothing is sent over such a connection.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import h11
from cryptography import x509
from msgspec import Struct, field
from msgspec.structs import replace

from fairlead.preflight.gather.sample import write_request
from fairlead.runtime.proxies import Proxy
from fairlead.runtime.trust import trusting

BODY_BYTES: Final = 64 << 10
"""So much of an answer is kept: enough for what is known of it."""
_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_GOODBYE: Final = 1.0
"""So long is waited for a connection to close. Units: seconds."""
_SECURE: Final = ("https", "wss")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Ask(Struct, frozen=True, kw_only=True):
    """What to ask for, and how; it travels to probes as JSON. `ca`: PEM of authorities beside the usual ones. Units: seconds."""

    url: str
    proxy: Proxy | None = None
    ca: str = ""
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    sample: dict[str, str] = field(default_factory=dict)
    """Labels of a sample that is written in place of `body`, with the time of whoever sends it: as Prometheus would there."""
    patience: float = 10.0

    @property
    def host(self) -> str:
        """The host's name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Its port."""
        parts = urlsplit(self.url)
        return parts.port or _PORTS.get(parts.scheme, 443)

    @property
    def is_secure(self) -> bool:
        """Whether TLS is spoken."""
        return urlsplit(self.url).scheme in _SECURE


class Seen(Struct, frozen=True, kw_only=True):
    """What was seen on the way; None for steps that were not reached. Words are `ok` or what went wrong."""

    dns: str | None = None
    addresses: tuple[str, ...] = ()
    tcp: str | None = None
    connect: int | None = None
    """What the proxy answered to CONNECT."""
    tls: str | None = None
    """`ok`, `verify_failed`, or what went wrong."""
    untrusted: bool = False
    """Whether nobody who is trusted signed its certificate."""
    issuer: str | None = None
    expires: str | None = None
    alpn: str | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: str | None = None
    """What went wrong after the connection stood."""

    @property
    def reached(self) -> bool:
        """Whether an answer came."""
        return self.status is not None


def failure_of(seen: Seen) -> str:
    """The class of the first step that went wrong, `ok` where an answer came."""
    if seen.reached:
        return "ok"
    if seen.dns not in (None, "ok") and seen.connect is None:
        return "dns"
    if seen.connect is not None and seen.connect // 100 != 2:
        return "proxy"
    if seen.tls not in (None, "ok"):
        return "tls"
    if seen.tcp == "ok":
        return "no_answer"
    text = (seen.tcp or seen.error or "").lower()
    return "refused" if "refused" in text else "timeout" if "time" in text else "tcp"


class _Ends(Exception):
    """The way ends here; carries what was seen."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self.seen = seen


async def reach(ask: Ask) -> Seen:
    """Go the way once. Never raises for what lies on it."""
    try:
        async with asyncio.timeout(ask.patience):
            return await _go(ask)
    except _Ends as end:
        return end.seen
    except TimeoutError:
        return Seen(tcp="timeout", error=f"no answer within {ask.patience:g} s")


async def look_up(name: str) -> tuple[str, ...]:
    """The addresses of a name, sorted. Raises: OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return tuple(sorted({str(address[0]) for *_, address in found}))


async def _go(ask: Ask) -> Seen:
    seen = await _named(ask)
    async with _connected(ask, seen) as (streams, seen):
        if ask.is_secure:
            seen = await _secured(ask, streams, seen)
        return await _asked(ask, streams, seen)


async def _named(ask: Ask) -> Seen:
    """Behind a proxy the target's name need not be known here; it is looked up all the same, for what it says."""
    try:
        found = await look_up(ask.host)
    except OSError as error:
        seen = Seen(dns=name_word(error))
        if ask.proxy is None:
            raise _Ends(seen) from error
        return seen
    return Seen(dns="ok", addresses=found)


@contextlib.asynccontextmanager
async def _connected(ask: Ask, seen: Seen) -> AsyncIterator[tuple[Streams, Seen]]:
    """A connection to the target, through the proxy where there is one. Raises: _Ends."""
    proxy = ask.proxy
    host, port = (proxy.host, proxy.port) if proxy else (ask.host, ask.port)
    secure = ssl.create_default_context() if proxy and proxy.scheme == "https" else None
    try:
        async with asyncio.timeout(ask.patience * 0.6):
            streams = await asyncio.open_connection(host, port, ssl=secure)
    except TimeoutError as error:
        raise _Ends(replace(seen, tcp="timeout")) from error
    except OSError as error:
        raise _Ends(replace(seen, tcp=connection_word(error))) from error
    seen = replace(seen, tcp="ok")
    try:
        if proxy is not None:
            seen = await _through(proxy, ask, streams, seen)
        yield streams, seen
    finally:
        streams[1].close()
        with contextlib.suppress(OSError, ssl.SSLError):
            async with asyncio.timeout(_GOODBYE):  # after a handshake that was given up nobody says that it is closed
                await streams[1].wait_closed()


async def _through(proxy: Proxy, ask: Ask, streams: Streams, seen: Seen) -> Seen:
    reader, writer = streams
    host = f"[{ask.host}]" if ":" in ask.host else ask.host
    lines = [f"CONNECT {host}:{ask.port} HTTP/1.1", f"Host: {host}:{ask.port}"]
    if proxy.user:
        token = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {token}")
    writer.write("\r\n".join([*lines, "", ""]).encode())
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(None, 2)[1])
    except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError) as error:
        raise _Ends(
            replace(seen, error=f"the proxy {proxy.shown} did not answer to CONNECT: {_words(error)}")
        ) from error
    seen = replace(seen, connect=status)
    if status // 100 != 2:
        raise _Ends(replace(seen, error=f"the proxy {proxy.shown} answered {status} to CONNECT"))
    return seen


async def _secured(ask: Ask, streams: Streams, seen: Seen) -> Seen:
    writer = streams[1]
    try:
        await writer.start_tls(secured(ask.ca), server_hostname=ask.host)
    except ssl.SSLCertVerificationError as error:
        said, untrusted = error.verify_message or str(error), error.verify_code in _UNTRUSTED
        found = replace(seen, tls="verify_failed", untrusted=untrusted, error=said)
        raise _Ends(replace(found, **await _who_signed(ask, seen))) from error
    except (OSError, EOFError) as error:
        raise _Ends(replace(seen, tls=_words(error))) from error
    tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
    return replace(seen, tls="ok", alpn=tls.selected_alpn_protocol(), **_certificate(tls.getpeercert(binary_form=True)))


_UNTRUSTED: Final = (2, 18, 19, 20, 21)
"""No issuer, or one that is not known. Source: OpenSSL's X509_V_ERR_."""


def secured(ca: str) -> ssl.SSLContext:
    """TLS as the product uses it, for HTTP/1.1. Raises: ssl.SSLError for what is no certificate."""
    context = trusting(text=ca)
    context.set_alpn_protocols(["http/1.1"])
    return context


async def _who_signed(ask: Ask, seen: Seen) -> dict[str, str]:
    """What the certificate says of itself, seen over a second connection that trusts it and is used for nothing."""
    blind = ssl.create_default_context()
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
    try:
        async with _connected(ask, seen) as (streams, _):
            await streams[1].start_tls(blind, server_hostname=ask.host)
            shown: ssl.SSLObject = streams[1].get_extra_info("ssl_object")
            return _certificate(shown.getpeercert(binary_form=True))
    except (_Ends, OSError, EOFError):
        return {}


def _certificate(der: bytes | None) -> dict[str, str]:
    if not der:
        return {}
    read = x509.load_der_x509_certificate(der)
    return {"issuer": read.issuer.rfc4514_string(), "expires": _stamp(read.not_valid_after_utc)}


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


async def _asked(ask: Ask, streams: Streams, seen: Seen) -> Seen:
    reader, writer = streams
    parts = urlsplit(ask.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    usual = {"host": parts.netloc.rpartition("@")[2], "user-agent": "fairlead", "connection": "close"}
    body = write_request(ask.sample, 1.0, time.time()) if ask.sample else ask.body
    if body:
        usual["content-length"] = str(len(body))
    talk = h11.Connection(h11.CLIENT)
    try:
        request = h11.Request(method=ask.method, target=target, headers=list({**usual, **ask.headers}.items()))
        writer.write(talk.send(request) or b"")
        writer.write(talk.send(h11.Data(data=body)) or b"")
        writer.write(talk.send(h11.EndOfMessage()) or b"")
        return await _answered(talk, reader, seen)
    except (OSError, EOFError, h11.ProtocolError) as error:
        return replace(seen, error=f"the connection stood, but no answer came: {_words(error)}")


async def _answered(talk: h11.Connection, reader: asyncio.StreamReader, seen: Seen) -> Seen:
    body = b""
    while len(body) < BODY_BYTES:
        event = talk.next_event()
        if event is h11.NEED_DATA:
            talk.receive_data(await reader.read(BODY_BYTES))
        elif isinstance(event, h11.Response):
            headers = {key.decode(): value.decode("latin-1") for key, value in event.headers}
            seen = replace(seen, status=event.status_code, headers=headers)
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed) or event is h11.PAUSED:
            break
    return replace(seen, body=body[:BODY_BYTES])


def name_word(error: OSError) -> str:
    """What went wrong with a name: nxdomain, or servfail where nobody could say."""
    return "nxdomain" if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA) else "servfail"


def exchange_word(error: OSError | EOFError) -> str:
    """What went wrong while bytes went to and fro: timeout, cut, else as with a connection."""
    if isinstance(error, TimeoutError):
        return "timeout"
    return "cut" if isinstance(error, EOFError) else connection_word(error)


def connection_word(error: OSError) -> str:
    """What went wrong with a connection: refused, timeout, unreachable, reset, else the system's words."""
    inner = re.search(r"\[Errno (\d+)\]", str(error))  # of several addresses each failed
    return _CONNECTIONS.get(error.errno or (int(inner[1]) if inner else 0)) or _words(error).lower()


_CONNECTIONS: Final = {
    errno.ECONNREFUSED: "refused",
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ECONNRESET: "reset",
}


def _words(error: BaseException) -> str:
    """What went wrong, in the system's words."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip()
