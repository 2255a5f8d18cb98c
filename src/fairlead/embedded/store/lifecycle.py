"""How objects end: grace, finalizers, owners, namespaces.

What a cluster leaves to its garbage collector and namespace controller happens here within the same transaction as the
deletion that causes it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fairlead.embedded.store.memory import Entry, Memory, Place
from fairlead.embedded.store.status import Doc, conflict, forbidden, other_uid, unsupported
from fairlead.objects.kinds import EVENT, NAMESPACE
from fairlead.objects.times import seconds_of, text_of
from fairlead.runtime.clock import Clock

EVENT_SECONDS: Final = 3600.0
"""Events are kept that long after they were last written, as real API servers do by default."""

_MOST_GRACE: Final = (1 << 31) - 1
"""Longer than that is for ever. Units: seconds."""
_PROTECTED: Final = ("default", "kube-system", "kube-public", "kube-node-lease")


class Lifecycle:
    """Ends objects in a memory."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock
        self.look_again()

    def look_again(self) -> None:
        """Learn from the memory's objects what there is to end: at the start, and when changes were taken back."""
        memory = self._memory
        self._loose: set[Place] = set()
        """Objects whose owners may be gone."""
        self._events = {
            place: seconds_of(entry.doc["metadata"]["creationTimestamp"]) or 0.0
            for place, entry in sorted(memory.within(EVENT.resource), key=lambda item: item[1].revision)
        }
        """When each event was last written, the longest ago first."""
        self._closing = {place.name for place, entry in memory.within(NAMESPACE.resource) if is_ending(entry.doc)}

    def delete(self, place: Place, entry: Entry, options: Doc) -> tuple[Entry, bool]:
        """Give the object's state after the wish to delete it, and whether it is gone.

        Raises: StatusError 409 for a precondition that does not hold, 400 for what we do not do.
        """
        self._check(place, entry.doc["metadata"], options)
        if options.get("propagationPolicy") == "Orphan":
            self._orphan(entry.doc["metadata"]["uid"])
        grace = _grace(place, entry.doc, options)
        metadata = entry.doc["metadata"]
        if "deletionTimestamp" in metadata:
            return self._again(place, entry, grace, options)
        if place.resource == NAMESPACE.resource:
            return self._close(place, entry)
        if grace == 0 and not metadata.get("finalizers"):
            return self.remove(place), True
        marked = self._memory.put(place, self._marked(entry.doc, grace))
        return marked, False

    def settle(self, place: Place, entry: Entry) -> Entry:
        """Give the entry after a change: removed when it was ending and nothing holds it any more."""
        metadata = entry.doc["metadata"]
        if place.resource == EVENT.resource:
            self._events.pop(place, None)
            self._events[place] = self._clock.now()
        if metadata.get("ownerReferences"):
            self._loose.add(place)
        free = not metadata.get("finalizers") and not metadata.get("deletionGracePeriodSeconds")
        if is_ending(entry.doc) and free and place.resource != NAMESPACE.resource:
            return self.remove(place)
        return entry

    def remove(self, place: Place) -> Entry:
        """Let go of an object at once and give its last state."""
        entry = self._memory.get(place)
        marks = self._last_marks(entry.doc["metadata"]) if entry and place.resource == "pods" else None
        gone = self._memory.remove(place, marks)
        self._loose |= self._memory.dependents.pop(gone.doc["metadata"]["uid"], set())
        return gone

    def collect(self) -> None:
        """End what has lost its owners, namespaces that have become empty, and events of long ago."""
        self._forget_events()
        while self._loose or self._sweep():
            for place in sorted(self._loose):
                self._loose.discard(place)
                self._collect_one(place)

    def _forget_events(self) -> None:
        while self._events:
            place = next(iter(self._events))
            if self._clock.now() - self._events[place] <= EVENT_SECONDS:
                return
            del self._events[place]
            if self._memory.get(place):
                self.remove(place)

    def _check(self, place: Place, metadata: Doc, options: Doc) -> None:
        wanted = options.get("preconditions") or {}
        if (uid := wanted.get("uid")) and uid != metadata["uid"]:
            raise other_uid(place.kind, place.name, uid, metadata["uid"])
        version = wanted.get("resourceVersion")
        if version and version != metadata["resourceVersion"]:
            why = (
                f"Precondition failed: ResourceVersion in precondition: {version}, "
                f"ResourceVersion in object meta: {metadata['resourceVersion']}"
            )
            raise conflict(place.kind, place.name, why)
        if options.get("propagationPolicy") not in (None, "Background", "Orphan"):
            raise unsupported(f"the propagation policy {options['propagationPolicy']}")
        if options.get("dryRun"):
            raise unsupported("dry runs")

    def _again(self, place: Place, entry: Entry, grace: int, options: Doc) -> tuple[Entry, bool]:
        """A further wish can only shorten the grace that is left."""
        metadata = entry.doc["metadata"]
        present = metadata.get("deletionGracePeriodSeconds") or 0
        if options.get("gracePeriodSeconds") is None or grace >= present:
            return entry, False
        if grace == 0 and not metadata.get("finalizers"):
            return self.remove(place), True
        end = datetime.fromisoformat(metadata["deletionTimestamp"]) - timedelta(seconds=present - grace)
        shortened = {
            **metadata,
            "deletionTimestamp": end.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "deletionGracePeriodSeconds": grace,
        }
        return self._memory.put(place, {**entry.doc, "metadata": shortened}), False

    def _marked(self, doc: Doc, grace: int) -> Doc:
        metadata: Doc = {
            **doc["metadata"],
            "deletionTimestamp": text_of(self._clock.now() + grace),
            "deletionGracePeriodSeconds": grace,
        }
        if "generation" in metadata:
            metadata["generation"] += 1
        return {**doc, "metadata": metadata}

    def _last_marks(self, metadata: Doc) -> Doc:
        """Give what a pod's last state says of its end: no grace is left."""
        if "deletionTimestamp" in metadata:
            return {"deletionGracePeriodSeconds": 0}
        generation = metadata.get("generation", 0) + 1
        now = text_of(self._clock.now())
        return {"deletionTimestamp": now, "deletionGracePeriodSeconds": 0, "generation": generation}

    def _close(self, place: Place, entry: Entry) -> tuple[Entry, bool]:
        if place.name in _PROTECTED[:3]:
            raise forbidden(NAMESPACE, place.name, "this namespace may not be deleted")
        self._closing.add(place.name)
        metadata = {**entry.doc["metadata"], "deletionTimestamp": text_of(self._clock.now())}
        status = {**(entry.doc.get("status") or {}), "phase": "Terminating"}
        return self._memory.put(place, {**entry.doc, "metadata": metadata, "status": status}), False

    def _orphan(self, uid: str) -> None:
        for place in sorted(self._memory.dependents.get(uid, ())):
            entry = self._memory.get(place)
            if entry is not None:
                metadata = dict(entry.doc["metadata"])
                metadata["ownerReferences"] = [ref for ref in metadata["ownerReferences"] if ref.get("uid") != uid]
                self._memory.put(place, {**entry.doc, "metadata": metadata})

    def _collect_one(self, place: Place) -> None:
        entry = self._memory.get(place)
        if entry is None or is_ending(entry.doc):
            return
        owners = entry.doc["metadata"].get("ownerReferences") or ()
        if owners and not any(owner.get("uid") in self._memory.uids for owner in owners):
            self.delete(place, entry, {})

    def _sweep(self) -> bool:
        """Empty the namespaces that are ending; say whether more has to be collected."""
        for name in sorted(self._closing):
            for place in self._memory.content_of(name):
                entry = self._memory.get(place)
                if entry is not None and not is_ending(entry.doc):
                    self.delete(place, entry, {})
            own = Place(NAMESPACE.resource, "", name)
            entry = self._memory.get(own)
            if entry is None:
                self._closing.discard(name)
            elif not self._memory.content_of(name) and not entry.doc["metadata"].get("finalizers"):
                self._closing.discard(name)
                self.remove(own)
        return bool(self._loose)


def is_ending(doc: Doc) -> bool:
    """Say whether the object has been told to go."""
    return "deletionTimestamp" in doc["metadata"]


def _grace(place: Place, doc: Doc, options: Doc) -> int:
    """Give the seconds a pod has to end by itself; nothing else has any."""
    if place.resource != "pods":
        return 0
    spec, status = doc["spec"], doc.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    wanted: Any = options.get("gracePeriodSeconds")
    grace = spec.get("terminationGracePeriodSeconds", 30) if wanted is None else wanted
    return min(_MOST_GRACE, max(0, int(grace)))
