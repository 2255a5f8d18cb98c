"""WebSockets of agents carried by requests that wait, where a proxy lets no WebSocket through: see `wire/polling.py`.

Each link is a WebSocket to the rest of the application, by the same path and with the same headers: nothing behind it knows the difference.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import msgspec
import structlog
from fastapi import APIRouter, Request, Response
from starlette.types import ASGIApp

from fairlead.runtime.errors import NotFound, Retryable
from fairlead.wire.agent import CHANNEL_PATH, CONTROL_PATH
from fairlead.wire.polling import (
    CONTENT_TYPE,
    GONE_SECONDS,
    LINK_HEADER,
    PULL_PATH,
    PUSH_PATH,
    WAIT_SECONDS,
    Message,
    Pulled,
    answer,
    read_pushed,
)

router = APIRouter(include_in_schema=False)
_log = structlog.get_logger()

_CUT: Final = 1006
_DISCONNECT: Final[dict[str, Any]] = {"type": "websocket.disconnect", "code": _CUT}
_MOST_LINKS: Final = 1000
_LAST_SECONDS: Final = 2.0
_WAITING: Final = 64
"""So many messages wait each way; then whoever sends more waits."""
_TAKEN: Final = ("asgi", "http_version", "server", "client", "path", "raw_path", "query_string", "root_path", "headers")


class _Link:
    """One link: what waits each way, and the application's end of it."""

    def __init__(self, app: ASGIApp, scope: MutableMapping[str, Any], ended: Callable[[], None]) -> None:
        self.up: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_WAITING)
        self._down: asyncio.Queue[Message | None] = asyncio.Queue(_WAITING)
        """None is its end."""
        self._closed: tuple[int, str] | None = None
        self._ended = ended
        self._turn = asyncio.Lock()
        self._gone: asyncio.TimerHandle | None = None
        self._is_over = False
        self.up.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(self._serve(app, scope), name="agent-link")
        self._wait_for_signs()

    async def pull(self) -> Pulled:
        """What came since, or within the wait. One asks at a time."""
        async with self._turn:
            self._stop_waiting_for_signs()
            try:
                return await self._next()
            finally:
                self._wait_for_signs()

    async def _next(self) -> Pulled:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                found = [await self._down.get()]
        except TimeoutError:
            return Pulled()
        while not self._down.empty():
            found.append(self._down.get_nowait())
        messages = [each for each in found if each is not None]
        if len(messages) == len(found):
            return Pulled(messages=messages)
        code, reason = self._closed or (_CUT, "")
        self._stop()
        return Pulled(messages=messages, code=code, reason=reason)

    async def close(self) -> None:
        """The other side has said all: the application hears that, and then that it is gone."""
        self._stop()
        await self.up.put(_DISCONNECT)

    def end(self) -> None:
        """The other side is gone: the application hears of that at once."""
        self._stop()
        while not self.up.empty():
            self.up.get_nowait()
        self.up.put_nowait(_DISCONNECT)

    def _stop(self) -> None:
        """Nothing is sent from now on; whoever waits to send goes on."""
        self._is_over = True
        self._stop_waiting_for_signs()
        while not self._down.empty():
            self._down.get_nowait()
        self._ended()

    def _wait_for_signs(self) -> None:
        self._stop_waiting_for_signs()
        if self._is_over:
            return
        self._gone = asyncio.get_running_loop().call_later(GONE_SECONDS, self.end)

    def _stop_waiting_for_signs(self) -> None:
        if self._gone is not None:
            self._gone.cancel()
            self._gone = None

    async def _serve(self, app: ASGIApp, scope: MutableMapping[str, Any]) -> None:
        try:
            await app(scope, self.up.get, self._send)
        except Exception:  # noqa: BLE001  # as a server does for a WebSocket: it is said, and the other side learns that it is over
            _log.exception("agent's link failed")
        if not self._is_over:
            await self._down.put(None)

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if self._is_over:
            raise OSError("the agent is gone")
        if message["type"] == "websocket.send":
            text = message.get("text")
            await self._down.put(text if text is not None else message["bytes"])
        elif message["type"] == "websocket.close":
            self._closed = message.get("code", 1000), message.get("reason") or ""


class Links:
    """The links of this process, by names that only their owners know."""

    def __init__(self) -> None:
        self._links: dict[str, _Link] = {}

    def open(self, request: Request) -> str:
        """The name of a new link. Raises: Retryable where there are too many."""
        if len(self._links) >= _MOST_LINKS:
            raise Retryable(f"{_MOST_LINKS} links are open.", hint="Try again in a minute.", code="too-many-links")
        name = secrets.token_urlsafe(32)
        scope = {
            **{key: request.scope[key] for key in _TAKEN if key in request.scope},
            "type": "websocket",
            "scheme": "wss" if request.scope["scheme"] == "https" else "ws",
            "subprotocols": [],
            "extensions": {},
            "state": {},
        }
        self._links[name] = _Link(request.app, scope, lambda: self._forget(name))
        return name

    def named(self, request: Request) -> _Link:
        """The link that a request bears. Raises: NotFound."""
        found = self._links.get(request.headers.get(LINK_HEADER, ""))
        if found is None:
            raise NotFound("There is no such link.", hint="Open a new one.", code="link-gone")
        return found

    async def end(self) -> None:
        """Ends all of them, and waits a little for what they do last."""
        links = tuple(self._links.values())
        for link in links:
            link.end()
        if links:
            await asyncio.wait([link.task for link in links], timeout=_LAST_SECONDS)

    def _forget(self, name: str) -> None:
        self._links.pop(name, None)


@router.post(CONTROL_PATH)
@router.post(CHANNEL_PATH + "/{channel_id}")
async def open_link(request: Request) -> Response:
    """Opens a link; who asks is found out as for the WebSocket of that path."""
    return Response(status_code=201, headers={LINK_HEADER: _links(request).open(request)})


@router.post(PUSH_PATH)
async def push(request: Request) -> Response:
    """Messages of the agent, in order."""
    link = _links(request).named(request)
    try:
        messages = read_pushed(await request.body())
    except msgspec.MsgspecError as error:
        return Response(f"This is no list of messages: {error}", status_code=400)
    try:
        async with asyncio.timeout(GONE_SECONDS):
            for each in messages:
                await link.up.put({"type": "websocket.receive", "text" if isinstance(each, str) else "bytes": each})
    except TimeoutError:
        link.end()
        raise Retryable(
            "Nothing was taken from this link for long.", hint="Open a new one.", code="link-gone"
        ) from None
    return Response(status_code=204)


@router.post(PULL_PATH)
async def pull(request: Request) -> Response:
    """Messages for the agent, once there are any."""
    found = await _links(request).named(request).pull()
    return Response(answer(found), media_type=CONTENT_TYPE)


@router.delete(PUSH_PATH)
async def close(request: Request) -> Response:
    """The agent needs it no more."""
    await _links(request).named(request).close()
    return Response(status_code=204)


def _links(request: Request) -> Links:
    found: Links = request.app.state.links
    return found
