"""A cache of one kind: listed, then watched, always whole; it tells who changed.

Values are the decoded objects. A list that had to be repeated (410, lost connection) is compared with what was held, so
that callbacks hear exactly what differs, deletions missed meanwhile included.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar

from fairlead.kube.client import Client
from fairlead.kube.errors import Expired
from fairlead.kube.lines import closing
from fairlead.kube.watch import Event
from fairlead.objects.kinds import Kind
from fairlead.objects.meta import Object, ObjectMeta
from fairlead.runtime.errors import Retryable
from fairlead.runtime.logs import logger
from fairlead.runtime.retry import FOREVER

T = TypeVar("T", bound=Object)


class Key(NamedTuple):
    """The name of an object within its kind."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


OnChange = Callable[[Key, T | None, T | None], None]
"""Called with (key, before, after); None for absent. Must not wait; marking a reconciler's key is the usual work."""


class Cache(Generic[T]):
    """All objects of one kind that the selectors choose, as the server last told."""

    def __init__(
        self, client: Client, kind: Kind[T], namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> None:
        self._client = client
        self.kind = kind
        self._namespace = namespace
        self._selectors = {"labels": labels, "fields": fields}
        self._objects: dict[Key, T] = {}
        self._listeners: list[OnChange[T]] = []
        self.synced = asyncio.Event()
        """Set once the first list is in."""
        self.revision = ""
        """The server's revision up to which this cache is complete."""
        self.lists = 0
        """How often the whole collection was fetched."""
        self._log = logger("cache", kind=kind.plural)

    def on_change(self, listener: OnChange[T]) -> None:
        """Have `listener` hear every change from now on."""
        self._listeners.append(listener)

    def get(self, name: str, namespace: str = "") -> T | None:
        """Give the object, None where the cache holds none."""
        return self._objects.get(Key(namespace, name))

    def values(self) -> tuple[T, ...]:
        """Give all objects, in the order of their keys."""
        return tuple(self._objects[key] for key in sorted(self._objects))

    def items(self) -> Mapping[Key, T]:
        """Give the objects by key; a live view, not to be held over an await."""
        return self._objects

    def __iter__(self) -> Iterator[T]:
        return iter(self._objects.values())

    def __len__(self) -> int:
        return len(self._objects)

    async def run(self) -> None:
        """Keep the cache whole until cancelled. Raises: Denied, NotFound (no such kind) and other permanent refusals."""
        try:
            await self._follow()
        finally:
            self.synced.clear()  # what was known may be old by the time of a second run

    async def _follow(self) -> None:
        failures = 0
        while True:
            try:
                await self._relist()
                failures = 0
                changes = self._client.watch(self.kind, self.revision, self._namespace, **self._selectors)
                async with closing(changes):
                    async for event in changes:
                        self._take(event)
            except Expired:
                self._log.info("cache.relist", revision=self.revision)
            except Retryable as error:
                failures += 1
                self._log.warning("cache.failed", message=str(error), failures=failures)
                await self._client.clock.sleep(max(error.after or 0.0, FOREVER.wait(failures, self._client.rng)))

    async def _relist(self) -> None:
        listing = await self._client.list(self.kind, self._namespace, **self._selectors)
        self.lists += 1
        if listing.broken:
            self._log.error("cache.broken_objects", objects=list(listing.broken))
        present = {_key(obj.metadata): obj for obj in listing.items}
        self.revision = listing.revision
        for key in [key for key in self._objects if key not in present]:
            self._set(key, None)
        for key, obj in present.items():
            self._set(key, obj)
        self.synced.set()

    def _take(self, event: Event[T]) -> None:
        self.revision = event.revision
        if event.broken:
            self._log.error("cache.broken_object", name=event.name, namespace=event.namespace, message=event.broken)
        self._set(Key(event.namespace, event.name), None if event.change == "DELETED" else event.object)

    def _set(self, key: Key, after: T | None) -> None:
        before = self._objects.get(key)
        if before is after or (before and after and _same(before.metadata, after.metadata)):
            return
        if after is None:
            del self._objects[key]
        else:
            self._objects[key] = after
        for listener in self._listeners:
            listener(key, before, after)


def _key(metadata: ObjectMeta) -> Key:
    return Key(metadata.namespace, metadata.name)


def _same(before: ObjectMeta, after: ObjectMeta) -> bool:
    return before.uid == after.uid and before.resource_version == after.resource_version
