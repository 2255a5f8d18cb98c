"""Routes of our own: status, queues, the event stream, logs, shells, explanations, and what a submission would make."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Annotated, Any

import msgspec
import orjson
import structlog
from fastapi import APIRouter, Query, Request, WebSocket
from fastapi.responses import StreamingResponse
from starlette.websockets import WebSocketDisconnect

import fairlead
from fairlead.objects.codec import to_json
from fairlead.runtime.errors import FairleadError
from fairlead.server.api.dependencies import Ctx, Who, context_of, principal_of
from fairlead.server.api.problems import document, status_of
from fairlead.server.api.sockets import open_until_done
from fairlead.server.services import clusters, feed, nodes, streams, workloads
from fairlead.server.services.channels import Channel, ChannelFailed
from fairlead.server.services.watch import Event
from fairlead.wire.agent import DATA, NO_MORE
from fairlead.wire.rest import workloads as rest

router = APIRouter(prefix="/api/fairlead/v1", tags=["fairlead"])
_log = structlog.get_logger()


@router.get("/status")
async def status(context: Ctx, who: Who) -> dict[str, Any]:
    """State of the control plane and its clusters."""
    found = await clusters.list_clusters(context, who)
    rows = await clusters.list_nodes(context, who)
    return {
        "version": fairlead.__version__,
        "user": who.username,
        "revision": context.watch.revision,
        "clusters": [
            {
                "id": c.id,
                "name": c.name,
                "state": clusters.standing(context, c).state,
                "kubernetes": c.kubernetes,
                "nodes": sum(1 for cluster, _, _ in rows if cluster == c.id),
                "gpus": sum(len(n.gpus) for cluster, _, n in rows if cluster == c.id),
                "simulated": any(n.simulated for cluster, _, n in rows if cluster == c.id),
            }
            for c in found
        ],
    }


@router.get("/queues")
async def queues(context: Ctx, who: Who) -> dict[str, Any]:
    """What each department and project may use and uses, per node pool; 1/1000 GPU, 1/1000 core, bytes; -1 = unlimited."""
    rows = await clusters.list_queues(context, who)
    return {"queues": [msgspec.structs.asdict(row) | {"cluster_id": cluster} for cluster, row in rows]}


@router.post("/workloads/render")
async def render(
    body: rest.DistributedCreate, context: Ctx, who: Who, kind: Annotated[str, Query()] = "trainings"
) -> Any:
    """The object a submission would make; nothing is stored."""
    _, made = await workloads.render(context, who, kind, body)
    return to_json(made)


@router.get("/workloads/{workload_id}/explain")
async def explain(workload_id: str, context: Ctx, who: Who) -> Any:
    """Why it waits, and what would start it."""
    return await streams.explain(context, who, workload_id)


@router.get("/workloads/{workload_id}/logs")
async def logs(workload_id: str, context: Ctx, who: Who, asked: Annotated[rest.LogQuery, Query()]) -> StreamingResponse:
    """The log of a pod as plain text; with `follow` until it ends; with `previous` that of the run before."""
    source = await streams.logs(context, who, workload_id, asked)
    first = await anext(source, b"")
    return StreamingResponse(_chain(first, source), media_type="text/plain; charset=utf-8")


@router.post("/nodes/{name}/cordon", status_code=204)
async def cordon(
    name: str, context: Ctx, who: Who, cluster_id: Annotated[str | None, Query(alias="clusterId")] = None
) -> None:
    """Lets a node take no new work; what runs there goes on."""
    await nodes.set_schedulable(context, who, name, schedulable=False, cluster=cluster_id)


@router.post("/nodes/{name}/uncordon", status_code=204)
async def uncordon(
    name: str, context: Ctx, who: Who, cluster_id: Annotated[str | None, Query(alias="clusterId")] = None
) -> None:
    """Lets a node take work again."""
    await nodes.set_schedulable(context, who, name, schedulable=True, cluster=cluster_id)


@router.get("/watch")
async def watch(
    request: Request, context: Ctx, topics: str = "workloads,pods,nodes,queues", since: int | None = None
) -> StreamingResponse:
    """Server-sent events: what changes from now on, or since a revision, of what the caller may see."""
    last = request.headers.get("last-event-id", "")
    start = int(last) if last.isdigit() else since
    events = feed.follow(context.watch, lambda: principal_of(request), frozenset(topics.split(",")), start)
    first = await anext(events)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_chain(_sse(first), _encoded(events)), media_type="text/event-stream", headers=headers)


@router.websocket("/workloads/{workload_id}/exec")
async def run_command(
    socket: WebSocket, workload_id: str, command: Annotated[list[str], Query()], pod: str = ""
) -> None:
    """A command beside the workload: binary messages are its input and output; the last text message is `{"exit_code"}`."""
    await socket.accept()
    async with open_until_done(socket, "exec"), _told(socket, "exec", workload_id):
        context, who = context_of(socket), await principal_of(socket)
        async with streams.exec_channel(context, who, workload_id, pod=pod, command=tuple(command)) as channel:
            await _joined(socket, channel, _shown)


@router.websocket("/workloads/{workload_id}/port-forward")
async def forward_port(
    socket: WebSocket, workload_id: str, port: Annotated[int, Query(ge=1, le=65535)], pod: str = ""
) -> None:
    """One connection to a port of a pod: binary messages are its bytes; the text "eof", of either side, that it sends no more."""
    await socket.accept()
    async with open_until_done(socket, "port-forward"), _told(socket, "port-forward", workload_id):
        context, who = context_of(socket), await principal_of(socket)
        async with streams.port_channel(context, who, workload_id, pod=pod, port=port) as channel:
            await _joined(socket, channel, _passed)


@asynccontextmanager
async def _told(socket: WebSocket, what: str, workload_id: str) -> AsyncIterator[None]:
    """Says what failed as the last message."""
    try:
        yield
    except FairleadError as error:
        _log.info("channel failed", what=what, workload=workload_id, code=error.code, message=str(error))
        status = 409 if isinstance(error, ChannelFailed) else status_of(error)
        told = document(status, error.message, details=error.hint, reason=error.code)
        await socket.send_text(orjson.dumps({"error": told}).decode())


async def _joined(
    socket: WebSocket, channel: Channel, show: Callable[[WebSocket, Channel], Coroutine[Any, Any, None]]
) -> None:
    """Until the agent has said all, or whoever asked is gone."""
    typing = asyncio.create_task(_typed(socket, channel.to_agent), name="channel-input")
    showing = asyncio.create_task(show(socket, channel), name="channel-output")
    try:
        await asyncio.wait({typing, showing}, return_when=asyncio.FIRST_COMPLETED)
        if showing.done():
            showing.result()
    finally:
        typing.cancel()
        showing.cancel()


async def _shown(socket: WebSocket, channel: Channel) -> None:
    async for message in channel.messages():
        if message.startswith(b"\x01exit:"):
            await socket.send_text(orjson.dumps({"exit_code": int(message[6:])}).decode())
        else:
            await socket.send_bytes(message)


async def _passed(socket: WebSocket, channel: Channel) -> None:
    async for message in channel.messages():
        if message == NO_MORE:
            await socket.send_text("eof")
        else:
            await socket.send_bytes(message[len(DATA) :])


async def _typed(socket: WebSocket, to_agent: asyncio.Queue[bytes | None]) -> None:
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                break
            if message.get("bytes") is not None:
                await to_agent.put(message["bytes"])
            elif message.get("text") == "eof":
                await to_agent.put(b"")
    except WebSocketDisconnect:
        pass
    await to_agent.put(None)


async def _chain(first: bytes, rest_of: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest_of:
        yield part


async def _encoded(events: AsyncIterator[Event | None]) -> AsyncIterator[bytes]:
    async for event in events:
        yield _sse(event)


def _sse(event: Event | None) -> bytes:
    if event is None:
        return b": still here\n\n"
    data = {} if event.kind == "bookmark" else {"topic": event.topic, "key": event.key, "row": event.row}
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.revision, event.kind.encode(), orjson.dumps(data))
