"""Channels: a caller here and an agent there, joined for one log, shell or explanation.

The caller opens a channel and waits; the agent, told over its control connection, dials in with the grant and both exchange messages.
A channel serves once. Whoever goes first ends it for the other.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from fairlead.runtime.errors import Denied, Unreachable

_DIAL_SECONDS = 10.0
_LAST_WORDS_SECONDS = 2.0
_BUFFER = 256
"""Messages held before the faster side has to wait."""


class ChannelFailed(Unreachable):
    """The agent ended the channel with an error text of its own."""

    code = "channel-failed"


@dataclass(eq=False)
class Channel:
    """Two queues of messages. `None` in a queue = that side is done; a ChannelFailed = it failed."""

    id: str
    cluster_id: str
    user_id: str = ""
    to_caller: asyncio.Queue[bytes | ChannelFailed | None] = field(default_factory=lambda: asyncio.Queue(_BUFFER))
    to_agent: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(_BUFFER))
    dialled: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def messages(self) -> AsyncIterator[bytes]:
        """What the agent sends, until it is done.

        Raises: Unreachable where the agent does not dial in time; ChannelFailed with its own words.
        """
        try:
            await asyncio.wait_for(self.dialled.wait(), _DIAL_SECONDS)
        except TimeoutError:
            raise Unreachable(
                "The cluster's agent did not answer.",
                hint=f"Waited {_DIAL_SECONDS:.0f} s. Is the cluster connected? `fairlead status` tells.",
                code="agent-silent",
            ) from None
        while (message := await self.to_caller.get()) is not None:
            if isinstance(message, ChannelFailed):
                raise message
            yield message

    def revoke(self) -> None:
        """Ends it for both sides, without what waits to be read."""
        while not self.to_caller.empty():
            self.to_caller.get_nowait()
        self.to_caller.put_nowait(ChannelFailed("What you may do was changed, so this ended.", hint="Open it again."))
        self.dialled.set()
        self.closed.set()


class Channels:
    """The open channels of this process."""

    def __init__(self) -> None:
        self._open: dict[str, Channel] = {}
        self._kept: set[asyncio.Task[None]] = set()

    def open(self, cluster_id: str, user_id: str = "") -> Channel:
        """A new channel of that user to that cluster; close it in `finally`."""
        channel = Channel(str(uuid.uuid4()), cluster_id, user_id)
        self._open[channel.id] = channel
        return channel

    def dial(self, channel_id: str, cluster_id: str) -> Channel:
        """The agent's end, once.

        Raises: Denied where there is no such channel of that cluster, or it was dialled before.
        """
        channel = self._open.get(channel_id)
        if channel is None or channel.cluster_id != cluster_id or channel.dialled.is_set():
            raise Denied("No channel of that id waits for this cluster.", code="channel-unknown")
        channel.dialled.set()
        return channel

    def revoke(self, user_id: str) -> None:
        """Ends everything that user has open."""
        for channel in [channel for channel in self._open.values() if channel.user_id == user_id]:
            channel.revoke()

    def keep(self, task: asyncio.Task[None]) -> None:
        """Owns what has to be done after a channel, though whoever asked for it is gone."""
        self._kept.add(task)
        task.add_done_callback(self._kept.discard)

    def close(self, channel: Channel) -> None:
        """Ends it for both sides."""
        self._open.pop(channel.id, None)
        channel.closed.set()


async def pump(
    channel: Channel, receive: Callable[[], Awaitable[bytes | None]], send: Callable[[bytes], Awaitable[None]]
) -> None:
    """Moves messages between the agent's socket and the channel until either side is done.

    `receive` gives None at the end of the agent's stream. The agent's last message may be an error: `b"\\x00error:" + text`.

    Raises: an ExceptionGroup of what `receive` or `send` raised; the caller has a ChannelFailed then.
    """
    async with asyncio.TaskGroup() as group:
        up = group.create_task(_or_tell(channel, _to_caller(channel, receive)), name="channel-to-caller")
        down = group.create_task(_or_tell(channel, _to_agent(channel, send, up)), name="channel-to-agent")
        ended = group.create_task(channel.closed.wait(), name="channel-closed")
        await asyncio.wait({ended, up}, return_when=asyncio.FIRST_COMPLETED)
        for task in (down, ended, up):
            task.cancel()


ERROR_PREFIX = b"\x00error:"


async def _or_tell(channel: Channel, direction: Awaitable[None]) -> None:
    """One direction; where it breaks the caller, who may wait for the next message, is told."""
    try:
        await direction
    except Exception:
        await channel.to_caller.put(ChannelFailed("The connection to the cluster's agent broke."))
        raise


async def _to_caller(channel: Channel, receive: Callable[[], Awaitable[bytes | None]]) -> None:
    while (message := await receive()) is not None:
        if message.startswith(ERROR_PREFIX):
            text = message[len(ERROR_PREFIX) :].decode(errors="replace")
            await channel.to_caller.put(ChannelFailed(text))
            return
        await channel.to_caller.put(message)
    await channel.to_caller.put(None)


async def _to_agent(channel: Channel, send: Callable[[bytes], Awaitable[None]], up: asyncio.Task[None]) -> None:
    """`up`: the other direction. An agent that takes no more may have ended well: what it said last is still to be read."""
    while (message := await channel.to_agent.get()) is not None:
        try:
            await send(message)
        except Exception:
            await asyncio.wait({up}, timeout=_LAST_WORDS_SECONDS)
            if up.done():
                return
            raise
