"""WebSockets of a cluster's agent: one control connection, and one more for each log, shell or explanation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
import structlog
from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from fairlead.runtime.errors import Denied, FairleadError, Retryable
from fairlead.server.api.dependencies import context_of
from fairlead.server.api.sockets import open_until_done
from fairlead.server.services import agents, channels
from fairlead.server.services.connections import Line
from fairlead.server.services.context import Context
from fairlead.server.services.feed import publish_cluster
from fairlead.wire.agent import (
    CHANNEL_PATH,
    CONTROL_PATH,
    REFUSED,
    Applied,
    Hello,
    Observed,
    Received,
    Welcome,
    decode_from_agent,
    encode,
)

router = APIRouter()
_log = structlog.get_logger()

MALFORMED = 4400
"""Close code: a frame that is not of this protocol."""
LATER = 1013
"""Close code: try again later."""
_AGAIN_SECONDS = 1.0


@router.websocket(CONTROL_PATH)
async def control(socket: WebSocket) -> None:
    """The one connection of a cluster: frames of `wire/agent.py`."""
    context = context_of(socket)
    cluster_id = socket.headers.get("x-fairlead-cluster", "")
    secret = socket.headers.get("authorization", "").partition(" ")[2]
    await socket.accept()
    try:
        await agents.admit(context, cluster_id, secret)
        first = decode_from_agent(await _text(socket))
        if not isinstance(first, Hello):
            raise Denied("The first frame must be Hello.")
        await agents.hello(context, cluster_id, first)
        await _converse(context, socket, cluster_id, first)
    except Denied as error:
        _log.warning("agent refused", cluster=cluster_id, code=error.code, message=str(error))
        await socket.close(REFUSED, error.message[:120])
    except msgspec.MsgspecError as error:
        _log.warning("agent sent a malformed frame", cluster=cluster_id, error=str(error))
        await socket.close(MALFORMED, str(error)[:120])
    except Retryable as error:
        _log.warning("agent not admitted yet", cluster=cluster_id, error=str(error))
        await socket.close(LATER, error.message[:120])
    except WebSocketDisconnect:
        _log.info("agent went away", cluster=cluster_id)


@router.websocket(CHANNEL_PATH + "/{channel_id}")
async def channel(socket: WebSocket, channel_id: str) -> None:
    """The agent's end of one log, shell or explanation."""
    context = context_of(socket)
    await socket.accept()
    try:
        token = socket.headers.get("authorization", "").partition(" ")[2]
        cluster_id, named = context.grants.channel_of(token, now=context.now())
        if named != channel_id:
            raise Denied("The grant is for another channel.")
        end = context.channels.dial(channel_id, cluster_id)
    except FairleadError as error:
        await socket.close(REFUSED, error.message[:120])
        return

    async def receive() -> bytes | None:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        data: bytes | None = message.get("bytes")
        return data if data is not None else str(message.get("text", "")).encode()

    async with open_until_done(socket, "channel"):
        await channels.pump(end, receive, socket.send_bytes)


async def _converse(context: Context, socket: WebSocket, cluster_id: str, first: Hello) -> None:
    """Listens and tells until either ends: an agent that is heard but told nothing would never notice."""
    line = context.agents.connect(cluster_id, first.connection)
    await publish_cluster(context, cluster_id)
    _log.info("agent connected", cluster=cluster_id, version=first.version, applied=first.applied)
    talk = (
        asyncio.create_task(_receive(context, socket, cluster_id, line), name="agent-observed"),
        asyncio.create_task(_send(context, socket, cluster_id, line, first.applied), name="agent-desired"),
    )
    try:
        await asyncio.wait(talk, return_when=asyncio.FIRST_COMPLETED)
        for task in talk:
            if task.done():
                task.result()
    finally:
        for task in talk:
            task.cancel()
        context.agents.disconnect(cluster_id, line)
        context.watch.publish(
            "clusters", "upsert", cluster_id, ("clusters", cluster_id), {"id": cluster_id, "state": "Disconnected"}
        )
        await asyncio.gather(*talk, return_exceptions=True)


async def _receive(context: Context, socket: WebSocket, cluster_id: str, line: Line) -> None:
    """Stores what the agent says until it goes away. Raises: WebSocketDisconnect; MsgspecError for a frame of no protocol."""
    while True:
        frame = decode_from_agent(await _text(socket))
        if isinstance(frame, Observed):
            await _stored(partial(agents.observed, context, cluster_id, frame))
            await socket.send_text(encode(Received(seq=frame.seq)))
            if frame.full:
                line.reported = True
                line.wake.set()
        elif isinstance(frame, Applied):
            await _stored(partial(agents.applied, context, cluster_id, frame))


async def _stored(store: Callable[[], Awaitable[None]]) -> None:
    """Returns once it is stored: while the disk is full or the database is held, logs and shells of the cluster go on."""
    while True:
        try:
            return await store()
        except Retryable as error:
            _log.warning("agent's report not stored yet", error=str(error))
            await asyncio.sleep(error.after or _AGAIN_SECONDS)


async def _text(socket: WebSocket) -> str | bytes:
    """The next frame; one sent as a binary message is read as the same text."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000), message.get("reason"))
    text = message.get("text")
    return str(text) if text is not None else bytes(message["bytes"])


async def _send(context: Context, socket: WebSocket, cluster_id: str, line: Line, applied: int) -> None:
    """Everything first, then what changes, each time something does.

    Not before the cluster has said what it has: what was removed there while nobody listened would else be made anew.
    """
    sent, full = applied, True
    await socket.send_text(encode(Welcome(grant_key=context.grants.public)))
    while True:
        line.wake.clear()
        while line.opens:
            await socket.send_text(encode(line.opens.pop(0)))
        if line.reported:
            frame = await agents.next_desired(context, cluster_id, sent, full=full)
            if full or frame.objects:
                await socket.send_text(encode(frame))
            sent, full = max(sent, frame.revision), False
        await line.wake.wait()
