"""A double of a cluster's agent: speaks the real protocol over a real WebSocket, and does what the test tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import aiohttp

from fairlead.wire.agent import (
    CHANNEL_PATH,
    CONTROL_PATH,
    AnyRow,
    Applied,
    ApplyError,
    ClusterHealth,
    Desired,
    Frame,
    Gone,
    Hello,
    Observed,
    Open,
    Received,
    decode_from_server,
    encode,
)

F = TypeVar("F", bound=Frame)


class AgentDouble:
    """One connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, session: aiohttp.ClientSession, url: str) -> None:
        self.socket = socket
        self._session = session
        self._url = url
        self._seq = 0
        self._reported = False

    async def next(self, kind: type[F]) -> F:
        """The next frame of that kind; others are passed over. Who asks what is wanted has said before what there is: else nothing."""
        if kind is Desired and not self._reported:
            await self._observed(full=True)
        while True:
            message = await asyncio.wait_for(self.socket.receive(), 10)
            assert message.type is aiohttp.WSMsgType.TEXT, (message.type, self.socket.close_code, message.extra)
            frame = decode_from_server(message.data)
            if isinstance(frame, kind):
                return frame

    async def report(
        self, *rows: AnyRow, gone: tuple[Gone, ...] = (), full: bool = False, health: ClusterHealth | None = None
    ) -> None:
        """Sends rows and waits until they are stored."""
        await self._observed(*rows, gone=gone, full=full, health=health)
        while (await self.next(Received)).seq < self._seq:
            continue

    async def _observed(
        self, *rows: AnyRow, gone: tuple[Gone, ...] = (), full: bool = False, health: ClusterHealth | None = None
    ) -> None:
        self._seq += 1
        self._reported |= full
        await self.socket.send_str(encode(Observed(seq=self._seq, rows=rows, gone=gone, full=full, health=health)))

    async def applied(self, frame: Desired, *errors: ApplyError) -> None:
        """Says that a frame was tried."""
        await self.socket.send_str(encode(Applied(revision=frame.revision, errors=errors)))

    @asynccontextmanager
    async def dial(self, ask: Open) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """The agent's end of a channel."""
        headers = {"Authorization": f"Bearer {ask.grant}"}
        async with self._session.ws_connect(f"{self._url}{CHANNEL_PATH}/{ask.channel}", headers=headers) as socket:
            yield socket


@asynccontextmanager
async def connect(
    url: str, cluster: str, secret: str, *, kube_uid: str = "uid-1", applied: int = 0
) -> AsyncIterator[AgentDouble]:
    """A connected agent that has said hello."""
    headers = {"Authorization": f"Bearer {secret}", "X-Fairlead-Cluster": cluster}
    async with aiohttp.ClientSession() as session, session.ws_connect(url + CONTROL_PATH, headers=headers) as socket:
        await socket.send_str(encode(Hello(cluster=cluster, kube_uid=kube_uid, version="test", applied=applied)))
        yield AgentDouble(socket, session, url)
