"""Links as WebSockets over the network, through a proxy where there is one."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.headers import build_authorization_basic

from fairlead.cluster.agent.failures import explained
from fairlead.cluster.agent.links import AgentOptions, Data, Link
from fairlead.runtime.errors import Invalid
from fairlead.runtime.proxies import Proxy
from fairlead.wire.agent import CHANNEL_PATH, CONTROL_PATH

_LOOK_SECONDS: Final = 5.0


class WebSockets:
    """A `Dialler` over the network."""

    def __init__(self, options: AgentOptions) -> None:
        self._options = options

    def control(self) -> AbstractAsyncContextManager[Link]:
        """See `Dialler`."""
        options = self._options
        headers = {"Authorization": f"Bearer {options.secret}", "X-Fairlead-Cluster": options.cluster}
        return self._dial(CONTROL_PATH, headers)

    def channel(self, channel: str, grant: str) -> AbstractAsyncContextManager[Link]:
        """See `Dialler`."""
        return self._dial(f"{CHANNEL_PATH}/{channel}", {"Authorization": f"Bearer {grant}"})

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
            issuer = ""
            if isinstance(error, ssl.SSLCertVerificationError):
                issuer = await asyncio.to_thread(_issuer, options.url, options.proxy)
            raise explained(error, options.url, options.proxy, issuer=issuer) from error


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
    """Made anew for each link: the file may have been replaced."""
    is_tls, proxy = options.url.startswith("https"), options.proxy
    via_tls = proxy is not None and proxy.scheme == "https"
    if not is_tls and not via_tls:
        return {}
    try:
        context = ssl.create_default_context(cafile=options.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise Invalid(
            f"{options.ca_file} cannot be read as certificates: {error}.",
            hint="agent.caFile (agent.ca of the chart) holds the authority of the control plane's certificate in PEM form.",
            code="ca-file",
        ) from error
    return {**({"ssl": context} if is_tls else {}), **({"proxy_ssl": context} if via_tls else {})}


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
