"""The state: every object by resource, namespace and name; one revision; the recent changes of each resource.

A change becomes visible to watches only when it is published, which happens after it has been written to disk.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal, NamedTuple

import orjson

from fairlead.embedded.store.status import Doc, expired
from fairlead.objects.kinds import KINDS, Kind

RING: Final = 10_000
"""Changes of one resource that are kept at least; a watch from further back is told to list again."""

_KINDS: Final = {kind.resource: kind for kind in KINDS}


class Entry(NamedTuple):
    """One stored object: as a document, and as the bytes that lists and events share."""

    doc: Doc
    data: bytes
    revision: int


class Place(NamedTuple):
    """Where an object is kept."""

    resource: str
    namespace: str
    name: str

    @property
    def kind(self) -> Kind[Any]:
        """Give the kind kept there."""
        return _KINDS[self.resource]


class Change:
    """One change of one object; `before` and `after` are None where the object was, or is, not there.

    `last` is what a DELETED event shows: the last state under the revision of the deletion.
    """

    __slots__ = ("_line", "after", "before", "last", "place", "revision")

    def __init__(self, place: Place, before: Entry | None, after: Entry | None, last: Entry) -> None:
        self.place = place
        self.before = before
        self.after = after
        self.last = last
        self.revision = last.revision
        self._line = b""

    @property
    def type(self) -> Literal["ADDED", "MODIFIED", "DELETED"]:
        """Give the name of the watch event."""
        if self.after is None:
            return "DELETED"
        return "MODIFIED" if self.before else "ADDED"

    @property
    def line(self) -> bytes:
        """Give the watch event, encoded once for all who watch."""
        if not self._line:
            self._line = event_line(self.type, self.last.data)
        return self._line


def event_line(type_: str, data: bytes) -> bytes:
    """Give one line of a watch."""
    return b'{"type":"' + type_.encode() + b'","object":' + data + b"}\n"


class Ring:
    """The recent changes of one resource, and those who wait for the next."""

    def __init__(self, start: int) -> None:
        self.changes: list[Change] = []
        self.forgotten = start
        """The revision up to which changes are no longer known."""
        self._waiting: dict[asyncio.Future[None], None] = {}  # woken in the order in which they came

    def publish(self, change: Change) -> None:
        """Add a change and wake who waits."""
        self.changes.append(change)
        if len(self.changes) >= 2 * RING:
            self.forgotten = self.changes[RING - 1].revision
            del self.changes[:RING]
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    @property
    def newest(self) -> int:
        """The revision of the last change."""
        return self.changes[-1].revision if self.changes else self.forgotten

    def after(self, revision: int) -> list[Change]:
        """Give the changes after that revision. Raises: StatusError 410."""
        if revision < self.forgotten:
            raise expired(f"too old resource version: {revision} ({self.forgotten})")
        return self.changes[bisect_right(self.changes, revision, key=lambda change: change.revision) :]

    async def wait(self) -> None:
        """Return when the next change is published."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = None
        try:
            await future
        finally:
            self._waiting.pop(future, None)


class Memory:
    """All objects. Changes wait in `pending` until they are published."""

    def __init__(self, revision: int = 1, entries: Iterable[tuple[Place, Entry]] = ()) -> None:
        self.revision = revision
        self.published = revision
        """The revision that lists and watches may show."""
        self.pending: list[Change] = []
        self.uids: set[str] = set()
        self.dependents: dict[str, set[Place]] = {}
        """Objects by the UID of an owner they name."""
        self._objects: dict[str, dict[str, dict[str, Entry]]] = {}
        self._rings: dict[str, Ring] = {}
        self._start = revision
        for place, entry in entries:
            self._objects.setdefault(place.resource, {}).setdefault(place.namespace, {})[place.name] = entry
            self._index(place, None, entry)

    def get(self, place: Place) -> Entry | None:
        """Give the entry kept there."""
        return self._objects.get(place.resource, {}).get(place.namespace, {}).get(place.name)

    def within(self, resource: str, namespace: str = "") -> Iterator[tuple[Place, Entry]]:
        """Give the entries of a resource, of one namespace or all, in no order."""
        spaces = self._objects.get(resource, {})
        for space in (namespace,) if namespace else tuple(spaces):
            for name, entry in spaces.get(space, {}).items():
                yield Place(resource, space, name), entry

    def content_of(self, namespace: str) -> list[Place]:
        """Give everything kept inside a namespace."""
        return [
            Place(resource, namespace, name)
            for resource, spaces in self._objects.items()
            if namespace
            for name in spaces.get(namespace, ())
        ]

    def at(self, resource: str, namespace: str, revision: int) -> list[tuple[Place, Entry]]:
        """Give the entries as they were at a revision, in the order of their keys. Raises: StatusError 410."""
        found = dict(self.within(resource, namespace))
        pending = (c for c in self.pending if c.place.resource == resource and c.revision > revision)
        later = [*self.ring(resource).after(revision), *pending]
        for change in reversed(later):
            if namespace and change.place.namespace != namespace:
                continue
            if change.before is None:
                found.pop(change.place, None)
            else:
                found[change.place] = change.before
        return sorted(found.items())

    def ring(self, resource: str) -> Ring:
        """Give the recent changes of a resource."""
        return self._rings.setdefault(resource, Ring(self._start))

    def put(self, place: Place, doc: Doc) -> Entry:
        """Keep a document under the next revision, which is written into it, and give its entry."""
        self.revision += 1
        stamped = {**doc, "metadata": {**doc["metadata"], "resourceVersion": str(self.revision)}}
        entry = Entry(stamped, orjson.dumps(stamped), self.revision)
        space = self._objects.setdefault(place.resource, {}).setdefault(place.namespace, {})
        before = space.get(place.name)
        space[place.name] = entry
        self._index(place, before, entry)
        self.pending.append(Change(place, before, entry, entry))
        return entry

    def remove(self, place: Place, marks: Doc | None = None) -> Entry:
        """Let go of an object and give its last state, with `marks` on its metadata, under the removal's revision."""
        self.revision += 1
        entry = self._objects[place.resource][place.namespace].pop(place.name)
        metadata = {**entry.doc["metadata"], **(marks or {}), "resourceVersion": str(self.revision)}
        last = {**entry.doc, "metadata": metadata}
        gone = Entry(last, orjson.dumps(last), self.revision)
        self._index(place, entry, None)
        self.pending.append(Change(place, entry, None, gone))
        return gone

    def publish(self) -> None:
        """Show the pending changes to the watches."""
        changes, self.pending = self.pending, []
        self.published = self.revision
        for change in changes:
            self.ring(change.place.resource).publish(change)

    def take_back(self) -> None:
        """Undo the pending changes, which nobody was shown: the state and the revision are those of before."""
        for change in reversed(self.pending):
            space = self._objects.setdefault(change.place.resource, {}).setdefault(change.place.namespace, {})
            if change.before is None:
                space.pop(change.place.name, None)
            else:
                space[change.place.name] = change.before
        self.pending, self.revision = [], self.published
        self.uids.clear()
        self.dependents.clear()
        for resource in self._objects:
            for place, entry in self.within(resource):
                self._index(place, None, entry)

    def _index(self, place: Place, before: Entry | None, after: Entry | None) -> None:
        for entry, add in ((before, False), (after, True)):
            if entry is None:
                continue
            metadata = entry.doc["metadata"]
            (self.uids.add if add else self.uids.discard)(metadata["uid"])
            for owner in metadata.get("ownerReferences", ()):
                uid = owner.get("uid", "")
                places = self.dependents.setdefault(uid, set())
                (places.add if add else places.discard)(place)
                if not places:
                    del self.dependents[uid]
