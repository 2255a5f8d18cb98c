"""The event stream: what changed, in order, for whoever looks at a page."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from fairlead.server.auth.scope import Level, Name

_KEPT = 5_000
_BEHIND = 2_000
"""A reader this many events behind is told to list again instead."""

Owner: TypeAlias = tuple[Level, str | Name]
"""What of a reader's scope must hold which key for the reader to be told of an event."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One change. `topic`: workloads, pods, nodes, queues, clusters. `kind`: upsert or delete; bookmark and reset (list again) are for
    everyone; recheck (look up again who reads) is for this process only."""

    revision: int
    topic: str
    kind: str
    key: str = ""
    owner: Owner | None = None
    row: Any = None


@dataclass(eq=False)
class _Reader:
    topics: frozenset[str]
    queue: asyncio.Queue[Event] = field(default_factory=lambda: asyncio.Queue(_BEHIND))
    lost: bool = False

    def take(self, event: Event) -> None:
        if event.topic in self.topics and not self.lost:
            try:
                self.queue.put_nowait(event)
            except asyncio.QueueFull:
                self.lost = True


class Watch:
    """Fans events out to readers and remembers the last few thousand, so that a reader can resume.

    It knows nothing of permissions: `feed.follow` leaves out what a reader may not see.
    """

    def __init__(self) -> None:
        self.revision = 0
        self.checks = 0
        """Counts changes of who may see what; a reader that knows a lower number asks again before it tells anything."""
        self.turn = asyncio.Lock()
        """Held while rows are read and told, so that the state told last is the one written last."""
        self._kept: deque[Event] = deque(maxlen=_KEPT)
        self._readers: set[_Reader] = set()

    @property
    def has_readers(self) -> bool:
        """Whether anybody listens; where nobody does, rows need not be made."""
        return bool(self._readers)

    def skip(self) -> None:
        """Counts a change that nobody listened to; who comes back from before it lists again."""
        self.revision += 1
        self._kept.clear()

    def recheck(self) -> None:
        """Makes every reader look up again who it reads for, before the next event."""
        self.checks += 1
        for reader in self._readers:
            reader.take(Event(revision=self.revision, topic="", kind="recheck"))

    def rescope(self) -> None:
        """Tells that somebody may see more or less than before: readers look it up, and who comes back from before lists again."""
        self.skip()
        self.recheck()

    def publish(self, topic: str, kind: str, key: str, owner: Owner, row: Any = None) -> None:
        """Tells all readers of a topic."""
        self.revision += 1
        event = Event(revision=self.revision, topic=topic, kind=kind, key=key, owner=owner, row=row)
        self._kept.append(event)
        for reader in self._readers:
            reader.take(event)

    def reset(self) -> Event:
        """The event that says: list again, then go on from its revision."""
        return Event(revision=self.revision, topic="", kind="reset")

    async def events(self, topics: frozenset[str], since: int | None) -> AsyncGenerator[Event | None]:
        """A bookmark, then the events after `since` (None = from now on); None every 15 s without one, to keep proxies from closing
        the line. Nothing that is told after the bookmark is missed."""
        reader = _Reader(topics | {""})
        self._readers.add(reader)
        missed = self._resume(topics, since)
        try:
            yield Event(revision=self.revision if since is None else since, topic="", kind="bookmark")
            for event in missed:
                yield event
            while True:
                if reader.lost:
                    reader.queue = asyncio.Queue(_BEHIND)
                    reader.lost = False
                    yield self.reset()
                try:
                    yield await asyncio.wait_for(reader.queue.get(), 15)
                except TimeoutError:
                    yield None
        finally:
            self._readers.discard(reader)

    def _resume(self, topics: frozenset[str], since: int | None) -> list[Event]:
        if since is None or since == self.revision:
            return []
        oldest = self._kept[0].revision if self._kept else self.revision + 1
        if since > self.revision or since + 1 < oldest:
            return [self.reset()]
        return [e for e in self._kept if e.revision > since and e.topic in topics]
