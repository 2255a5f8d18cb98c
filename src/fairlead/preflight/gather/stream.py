"""The agent's own connection, opened and held from a pod as the agent would: that pages can be fetched does not show that it works.

The control plane lets in whoever has the cluster's secret and then waits for a first frame. None is sent: an agent that is connected is
not disturbed, and nothing is noted there. Where no WebSocket gets through, or none stays, requests that wait are tried, as the agent does.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidProxyStatus, InvalidStatus, WebSocketException

from fairlead.preflight.gather.reach import secured
from fairlead.runtime.proxies import Proxy
from fairlead.wire.agent import CONTROL_PATH, REFUSED
from fairlead.wire.polling import LINK_HEADER, PULL_PATH, PUSH_PATH, WAIT_SECONDS, Pulled, read_answer

if TYPE_CHECKING:
    from aiohttp import ClientSession

HELD_SECONDS: Final = 70.0
"""Longer than the usual idle time-outs of proxies, which are a minute."""


class Stream(Struct, frozen=True, kw_only=True):
    """What to hold. `url`: of the control plane; `ca`: PEM; `every`: between echoes; `patience`: for each. Units: seconds."""

    url: str
    cluster: str
    secret: str = ""
    ca: str = ""
    proxy: Proxy | None = None
    seconds: float = HELD_SECONDS
    every: float = 30.0
    patience: float = 10.0


class Held(Struct, frozen=True, kw_only=True):
    """What came of it. `code`: with which it was closed, 1006 where it was cut; None where it stayed open. Units: seconds."""

    is_open: bool
    is_signed: bool = False
    """Whether there was a secret to show."""
    seconds: float = 0.0
    code: int | None = None
    error: str = ""
    """Why no WebSocket opened or stayed."""
    transport: str = "websocket"
    """Or `poll`."""


async def hold(stream: Stream) -> Held:
    """Open it and ask for echoes until the time is over. Never raises for what lies on the way."""
    held = await _by_websocket(stream)
    if held.code == REFUSED or (held.is_open and held.seconds >= stream.seconds):
        return held
    polled = await _by_requests(stream)
    return held if polled is None else replace(polled, error=polled.error or held.error)


async def _by_requests(stream: Stream) -> Held | None:
    """None where they do not get through either."""
    import aiohttp  # a fifth of a second, which no probe but this needs

    way: dict[str, Any] = {"proxy": stream.proxy.url if stream.proxy else None, **_security(stream)}
    patience = aiohttp.ClientTimeout(total=WAIT_SECONDS + stream.patience)
    began = time.monotonic()
    try:
        async with aiohttp.ClientSession(stream.url.rstrip("/"), timeout=patience) as session:
            found = await _waited(session, _who(stream), way)
    except (aiohttp.ClientError, OSError, TimeoutError, msgspec.MsgspecError):
        return None
    return Held(
        is_open=True,
        is_signed=bool(stream.secret),
        seconds=round(time.monotonic() - began, 1),
        code=found.code,
        error=found.reason,
        transport="poll",
    )


async def _waited(session: ClientSession, who: dict[str, str], way: dict[str, Any]) -> Pulled:
    """What came while one request waited. Raises: aiohttp.ClientError and others where it did not come to its end."""
    async with session.post(CONTROL_PATH, headers=who, raise_for_status=True, **way) as answer:
        link = {LINK_HEADER: answer.headers.get(LINK_HEADER, "")}
    async with session.post(PULL_PATH, headers=link, raise_for_status=True, **way) as answer:
        found = read_answer(await answer.read())
    async with session.delete(PUSH_PATH, headers=link, **way):
        return found


def _who(stream: Stream) -> dict[str, str]:
    return {"Authorization": f"Bearer {stream.secret}", "X-Fairlead-Cluster": stream.cluster}


def _security(stream: Stream) -> dict[str, Any]:
    return {"ssl": secured(stream.ca)} if stream.url.startswith("https") else {}


async def _by_websocket(stream: Stream) -> Held:
    try:
        socket = await connect(
            stream.url.rstrip("/").replace("http", "ws", 1) + CONTROL_PATH,
            additional_headers=_who(stream),
            proxy=stream.proxy.url if stream.proxy else None,
            ping_interval=None,
            open_timeout=stream.patience,
            close_timeout=1,
            **_security(stream),
        )
    except (WebSocketException, OSError, TimeoutError) as error:
        return Held(is_open=False, error=_words(error))
    async with socket:
        return await _held(socket, stream)


async def _held(socket: ClientConnection, stream: Stream) -> Held:
    began = time.monotonic()
    error = ""
    try:
        while (left := stream.seconds - (time.monotonic() - began)) > 0:
            async with asyncio.timeout(stream.patience):
                await (await socket.ping())
            if await _ends(socket, min(left, stream.every)):
                break
    except ConnectionClosed as closed:
        error = str(closed)
    except TimeoutError:
        error = f"no echo within {stream.patience:g} s"
    took = round(time.monotonic() - began, 1)
    error = error or socket.close_reason or ""
    return Held(is_open=True, is_signed=bool(stream.secret), seconds=took, code=socket.close_code, error=error)


async def _ends(socket: ClientConnection, seconds: float) -> bool:
    """Whether it is closed within that time."""
    try:
        async with asyncio.timeout(seconds):
            await socket.wait_closed()
    except TimeoutError:
        return False
    return True


def _words(error: Exception) -> str:
    """What went wrong, in few words."""
    if isinstance(error, InvalidStatus):
        return f"answered with status {error.response.status_code} instead of an upgrade"
    if isinstance(error, InvalidProxyStatus):
        return f"the proxy answered {error.response.status_code} to CONNECT"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip()
