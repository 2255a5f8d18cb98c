"""What this scheduler has done and its caches do not show yet. Without it two pods could be promised one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from fairlead.model import GpuGroup, Hold, NodeName, Pod, PodGroup, PodStatus

UNCERTAIN_SECONDS: Final = 30.0
"""How long a call without an answer counts as done: by then the caches would show it."""


class Seen(Struct, frozen=True, kw_only=True):
    """What the caches show of one object: whether it has a place, ends, and which promise is written on it."""

    is_placed: bool = False
    is_ending: bool = False
    hold: Hold | None = None


class Assumed:
    """Binds, evictions and holds, each until the caches have caught up or its object is gone.

    What was answered stays as long as that takes; what was not answered is forgotten after `UNCERTAIN_SECONDS`.
    """

    def __init__(self) -> None:
        self._bound: dict[str, tuple[NodeName, tuple[GpuGroup, ...], float | None]] = {}
        self._evicted: dict[str, float | None] = {}
        self._holds: dict[str, tuple[Hold | None, float]] = {}

    @property
    def is_empty(self) -> bool:
        """True where the caches show everything that was done."""
        return not (self._bound or self._evicted or self._holds)

    def bind(self, pod: str, node: NodeName, shared: tuple[GpuGroup, ...], until: float | None = None) -> None:
        """The pod has that place; with `until` (seconds since the epoch) only perhaps."""
        self._bound[pod] = (node, shared, until)

    def evict(self, pod: str, until: float | None = None) -> None:
        """The pod ends; with `until` only perhaps."""
        self._evicted[pod] = until

    def keep(self, group: str, hold: Hold | None, now: float) -> None:
        """The promise is written; the caches are given until it ends, and no less than the usual time, to show it."""
        self._holds[group] = (hold, max(hold.deadline if hold else 0.0, now + UNCERTAIN_SECONDS))

    def is_bound(self, pod: str) -> bool:
        """Whether the pod was given a place that the caches do not show."""
        return pod in self._bound

    def pod(self, pod: Pod) -> Pod:
        """The pod as it is known to be."""
        if pod.uid in self._bound and not pod.node:
            node, shared, _ = self._bound[pod.uid]
            pod = msgspec.structs.replace(pod, node=node, shared=shared, status=PodStatus.BOUND)
        if pod.uid in self._evicted and pod.node and pod.status is not PodStatus.RELEASING:
            pod = msgspec.structs.replace(pod, status=PodStatus.RELEASING)
        return pod

    def group(self, group: PodGroup) -> PodGroup:
        """The group with the hold last written."""
        if group.uid in self._holds and group.hold != self._holds[group.uid][0]:
            return msgspec.structs.replace(group, hold=self._holds[group.uid][0])
        return group

    def forget(self, seen: Mapping[str, Seen], now: float) -> None:
        """Drops what the caches show by now, whose object is gone, and what was uncertain for too long.

        `seen`: every object by UID, of all node pools.
        """
        for uid, (_, _, until) in list(self._bound.items()):
            if uid not in seen or seen[uid].is_placed or _is_past(until, now):
                del self._bound[uid]
        for uid, until in list(self._evicted.items()):
            if uid not in seen or seen[uid].is_ending or _is_past(until, now):
                del self._evicted[uid]
        for uid, (hold, deadline) in list(self._holds.items()):
            if uid not in seen or seen[uid].hold == hold or _is_past(deadline, now):
                del self._holds[uid]


def _is_past(until: float | None, now: float) -> bool:
    return until is not None and until <= now
