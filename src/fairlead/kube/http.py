"""The transport to real API servers, over HTTP and WebSockets."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp
import msgspec
from yarl import URL

from fairlead.kube.credentials import Credentials
from fairlead.kube.transport import Duplex, Refused, Request, Response
from fairlead.runtime.clock import Clock
from fairlead.runtime.errors import Unreachable

TOKEN_SECONDS: Final = 60.0
"""A token file is read again after this long: kubelets renew tokens well before they end."""

_LEAVES_TLS_OPEN: Final = sys.version_info < (3, 12, 7) or sys.version_info[:3] == (3, 13, 0)
"""These Pythons forget TLS connections that were closed in the middle; aiohttp then ends them (cpython 118960)."""

_LOST: Final = (aiohttp.ClientError, OSError, asyncio.IncompleteReadError)


class HttpTransport:
    """A `Transport` over one pool of connections. Use as an async context manager, or call `close`.

    `in_flight` bounds the plain calls at once; streams and upgraded connections are not counted. Certificates are
    checked against the credentials' authority; proxies come from the environment only where `trust_env` says so.
    """

    def __init__(
        self,
        credentials: Credentials,
        clock: Clock,
        *,
        connect_seconds: float = 10.0,
        in_flight: int = 64,
        trust_env: bool = False,
    ) -> None:
        self._credentials = credentials
        self._clock = clock
        self._connect_seconds = connect_seconds
        self._trust_env = trust_env
        self._server_name = credentials.server_name or None
        self._gate = asyncio.Semaphore(in_flight)
        self._session: aiohttp.ClientSession | None = None
        self._token = credentials.token
        self._token_read: float | None = None

    async def request(self, request: Request) -> Response:
        """Give the whole answer. Raises: Unreachable."""
        session = self._open()
        try:
            async with (
                self._gate,
                session.request(
                    request.method,
                    self._url(request),
                    headers=self._headers(request),
                    data=request.body or None,
                    server_hostname=self._server_name,
                ) as answer,
            ):
                return _response(answer, await answer.read())
        except _LOST as error:
            raise Unreachable(f"{request.method} {request.path}: {error or type(error).__name__}") from error

    async def stream(self, request: Request) -> AsyncIterator[bytes]:
        """Give the body piece by piece. Raises: Refused, Unreachable."""
        session = self._open()
        try:
            async with session.request(
                request.method,
                self._url(request),
                headers=self._headers(request),
                server_hostname=self._server_name,
            ) as answer:
                if answer.status >= 400:
                    raise Refused(_response(answer, await answer.read()))
                async for piece in answer.content.iter_any():
                    yield piece
        except _LOST as error:
            raise Unreachable(f"{request.path}: {error or type(error).__name__}") from error

    async def upgrade(self, request: Request) -> Duplex:
        """Give a WebSocket connection. Raises: Refused, Unreachable."""
        session = self._open()
        headers = self._headers(request)
        protocols = [part.strip() for part in headers.pop("sec-websocket-protocol", "").split(",") if part]
        try:
            socket = await session.ws_connect(
                self._url(request), headers=headers, protocols=protocols, max_msg_size=0, heartbeat=30.0
            )
        except aiohttp.WSServerHandshakeError as error:
            raise Refused(await self._why_refused(request, error.status)) from error
        except _LOST as error:
            raise Unreachable(f"{request.path}: {error or type(error).__name__}") from error
        return _Socket(socket)

    async def _why_refused(self, request: Request, status: int) -> Response:
        """Give the refusal with its words: a handshake keeps only the status, asked plainly the server explains."""
        plain = {key: value for key, value in request.headers.items() if not key.startswith("sec-")}
        answer = await self.request(msgspec.structs.replace(request, headers=plain))
        if answer.status == status:
            return answer
        return Response(status=status, body=b"the server refused to upgrade the connection (%d)" % status)

    async def close(self) -> None:
        """Let go of all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
            await asyncio.sleep(0)  # lets aborted TLS connections end before the loop does

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            with tempfile.TemporaryDirectory(prefix="fairlead-") as scratch:
                context = self._credentials.ssl_context(Path(scratch))
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0, ssl=context if context is not None else True, enable_cleanup_closed=_LEAVES_TLS_OPEN
                ),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_seconds),
                auto_decompress=True,
                trust_env=self._trust_env,
                read_bufsize=1 << 18,
            )
        return self._session

    def _url(self, request: Request) -> URL:
        base = URL(self._credentials.url)
        url = base.with_path(base.path.rstrip("/") + request.path)
        return url.with_query(list(request.query)) if request.query else url

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {"accept": "application/json", "user-agent": "fairlead", **request.headers}
        if token := self._current_token():
            headers["authorization"] = f"Bearer {token}"
        return headers

    def _current_token(self) -> str:
        file = self._credentials.token_file
        now = self._clock.monotonic()
        if file and (self._token_read is None or now - self._token_read >= TOKEN_SECONDS):
            try:
                self._token = Path(file).read_text().strip()
            except OSError as error:
                raise Unreachable(f"the token file {file} cannot be read: {error}") from error
            self._token_read = now
        return self._token


class _Socket:
    """A WebSocket as a `Duplex`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, message: bytes) -> None:
        try:
            await self._socket.send_bytes(message)
        except _LOST as error:
            raise Unreachable(f"the connection is gone: {error}") from error

    async def receive(self) -> bytes | None:
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.BINARY:
            return bytes(message.data)
        if message.type is aiohttp.WSMsgType.TEXT:
            return str(message.data).encode()
        return None

    async def close(self) -> None:
        await self._socket.close()


def _response(answer: aiohttp.ClientResponse, body: bytes) -> Response:
    return Response(
        status=answer.status, headers={key.lower(): value for key, value in answer.headers.items()}, body=body
    )
