"""Links made of requests that wait, for ways that let no WebSocket through: see `wire/polling.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import aiohttp
import msgspec

from fairlead.cluster.agent.failures import no_control_plane, refused_by_proxy
from fairlead.cluster.agent.links import ByPath, Data, Link, trusted
from fairlead.cluster.agent.sockets import failure
from fairlead.wire.polling import CONTENT_TYPE, LINK_HEADER, PULL_PATH, PUSH_PATH, WAIT_SECONDS, pushed, read_answer

_PATIENCE: Final = aiohttp.ClientTimeout(total=30.0)
_AT_THE_END: Final = aiohttp.ClientTimeout(total=3.0)
_IDLE_SECONDS: Final = 2.0
"""A connection that is idle for longer is not used again: the other end may be closing it, and nothing is sent twice."""
_WAITS: Final = aiohttp.ClientTimeout(total=WAIT_SECONDS + 20.0)
_BROKEN: Final = (aiohttp.ClientError, OSError, TimeoutError)


class Polling(ByPath):
    """A `Dialler` by requests."""

    @asynccontextmanager
    async def _dial(self, path: str, headers: dict[str, str]) -> AsyncIterator[Link]:
        options = self._options
        way: dict[str, Any] = {"proxy": options.proxy.url if options.proxy else None, "ssl": trusted(options) or True}
        connector = aiohttp.TCPConnector(keepalive_timeout=_IDLE_SECONDS)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
            name = await self._opened(session, path, headers, way)
            link = _Polled(session, options.url, {LINK_HEADER: name, "Content-Type": CONTENT_TYPE}, way)
            try:
                yield link
            finally:
                await link.end()

    async def _opened(
        self, session: aiohttp.ClientSession, path: str, headers: dict[str, str], way: dict[str, Any]
    ) -> str:
        """The name of a new link. Raises: Unreachable."""
        url, proxy = self._options.url, self._options.proxy
        try:
            async with session.post(
                url + path, headers=headers, timeout=_PATIENCE, allow_redirects=False, **way
            ) as answer:
                name = answer.headers.get(LINK_HEADER, "")
                if answer.status != 201 or not name:
                    raise no_control_plane(answer.status, answer.headers, url, proxy)
                return name
        except _BROKEN as error:
            if isinstance(error, aiohttp.ClientHttpProxyError) and proxy is not None:
                raise refused_by_proxy(error.status, url, proxy) from error
            raise await failure(_cause(error), self._options) from error


def _cause(error: Exception) -> Exception:
    """What the client library wrapped up."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return error.certificate_error
    return error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error


class _Polled:
    def __init__(self, session: aiohttp.ClientSession, url: str, headers: dict[str, str], way: dict[str, Any]) -> None:
        self._session, self._url, self._headers, self._way = session, url, headers, way
        self._turn = asyncio.Lock()
        self.close_code: int | None = None
        self.close_reason = ""

    async def send(self, data: Data) -> None:
        async with self._turn:
            try:
                await self._ask("POST", PUSH_PATH, pushed([data]), _PATIENCE)
            except _BROKEN as error:
                raise ConnectionError(str(error) or type(error).__name__) from error

    async def __aiter__(self) -> AsyncIterator[Data]:
        while self.close_code is None:
            try:
                found = read_answer(await self._ask("POST", PULL_PATH, b"", _WAITS))
            except (*_BROKEN, msgspec.MsgspecError):
                return
            for message in found.messages:
                yield message
            self.close_code, self.close_reason = found.code, found.reason

    async def end(self) -> None:
        """Says that it is needed no more; nobody has to hear it."""
        if self.close_code is None:
            with suppress(*_BROKEN):
                await self._ask("DELETE", PUSH_PATH, b"", _AT_THE_END)

    async def _ask(self, method: str, path: str, body: bytes, patience: aiohttp.ClientTimeout) -> bytes:
        """The body of the answer. Raises: one of _BROKEN."""
        async with self._session.request(
            method,
            self._url + path,
            data=body,
            headers=self._headers,
            timeout=patience,
            allow_redirects=False,
            **self._way,
        ) as answer:
            if answer.status not in (200, 204):
                raise ConnectionError(f"the link ended: {answer.status} {answer.reason}")
            return await answer.read()
