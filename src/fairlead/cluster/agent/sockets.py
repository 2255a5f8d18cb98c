"""Links as WebSockets over the network, through a proxy where there is one."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.headers import build_authorization_basic

from fairlead.cluster.agent.failures import explained
from fairlead.cluster.agent.links import AgentOptions, ByPath, Data, Link, trusted
from fairlead.runtime.errors import Unreachable
from fairlead.runtime.proxies import Proxy

_LOOK_SECONDS: Final = 5.0


class WebSockets(ByPath):
    """A `Dialler` by WebSockets."""

    @asynccontextmanager
    async def _dial(self, path: str, headers: dict[str, str]) -> AsyncIterator[Link]:
        async with await self._connected(path, headers) as socket:
            yield _Socket(socket)

    async def _connected(self, path: str, headers: dict[str, str]) -> ClientConnection:
        options = self._options
        try:
            return await connect(
                options.url.replace("http", "ws", 1) + path,
                additional_headers=headers,
                proxy=options.proxy.url if options.proxy else None,
                ping_interval=options.heartbeat,
                ping_timeout=options.heartbeat,
                compression=None,
                max_size=None,
                **_tls(options),
            )
        except (WebSocketException, OSError, TimeoutError) as error:
            raise await failure(error, options) from error


class _Socket:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, data: Data) -> None:
        try:
            await self._socket.send(data)
        except ConnectionClosed as error:
            raise ConnectionError(str(error)) from error

    async def __aiter__(self) -> AsyncIterator[Data]:
        with suppress(ConnectionClosed):
            async for message in self._socket:
                yield message

    @property
    def close_code(self) -> int | None:
        return self._socket.close_code

    @property
    def close_reason(self) -> str:
        return self._socket.close_reason or ""


def _tls(options: AgentOptions) -> dict[str, Any]:
    context = trusted(options)
    via_tls = options.proxy is not None and options.proxy.scheme == "https"
    if context is None:
        return {}
    return {
        **({"ssl": context} if options.url.startswith("https") else {}),
        **({"proxy_ssl": context} if via_tls else {}),
    }


async def failure(error: Exception, options: AgentOptions) -> Unreachable:
    """What to raise for a failed try to dial; a certificate that is not trusted is looked at once more, to say who signed it."""
    issuer = ""
    if isinstance(error, ssl.SSLCertVerificationError):
        issuer = await asyncio.to_thread(_issuer, options.url, options.proxy)
    return explained(error, options.url, options.proxy, issuer=issuer)


def _issuer(url: str, proxy: Proxy | None) -> str:
    """Who signed the certificate that is shown for that address; empty where it cannot be looked at. Nothing is sent there."""
    target = urlsplit(url)
    host, port = target.hostname or "", target.port or 443
    if proxy is not None and proxy.scheme == "https":
        return ""
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    first = (proxy.host, proxy.port) if proxy else (host, port)
    connection = HTTPSConnection(*first, timeout=_LOOK_SECONDS, context=unverified)
    if proxy is not None:
        connection.set_tunnel(host, port, _proxy_headers(proxy))
    try:
        connection.connect()
        return _issuer_of(connection)
    except (OSError, ValueError, HTTPException):
        return ""
    finally:
        connection.close()


def _proxy_headers(proxy: Proxy) -> dict[str, str]:
    return {"Proxy-Authorization": build_authorization_basic(proxy.user, proxy.password)} if proxy.user else {}


def _issuer_of(connection: HTTPConnection) -> str:
    assert isinstance(connection.sock, ssl.SSLSocket)
    shown = connection.sock.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(shown).issuer.rfc4514_string() if shown else ""
