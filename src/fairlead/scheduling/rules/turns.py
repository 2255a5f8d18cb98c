"""Turns: which pods a group asks for next, and which it would give up next. A gang moves whole up to its minimum, then pod by pod."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.model import PodStatus
from fairlead.scheduling.ledger import Ledger, group_pods

BELOW, AT, ABOVE = range(3)
"""Elastic state of a group: a leaf below its minimum, all at it, one above it."""


def pods_wanted(ledger: Ledger, group: int, simulated: bool) -> list[int]:
    """The pods of its next turn: what each leaf lacks to its minimum, or one pod when all are at it. In a simulation also evicted ones.

    As many leaves get a turn as are below their minimum (one when none is); a leaf without a pod to place does not use up a turn.
    """
    first, last = ledger.leaf_offset[group], ledger.leaf_offset[group + 1]
    waiting = [pod for pod in group_pods(ledger, group) if ledger.is_waiting(pod, simulated)]
    if not waiting:
        return []
    if last - first == 1:
        return waiting[: max(ledger.leaf_min[first] - ledger.active[first], 1)]
    turns = max(sum(ledger.active[leaf] < ledger.leaf_min[leaf] for leaf in range(first, last)), 1)
    found: list[int] = []
    for leaf in sorted(range(first, last), key=lambda leaf: (*_fill(ledger, leaf), leaf)):
        mine = [pod for pod in waiting if ledger.leaf_of[pod] == leaf]
        if mine and turns:
            turns -= 1
            found += mine[: max(ledger.leaf_min[leaf] - ledger.active[leaf], 1)]
    return found


def elastic_state(ledger: Ledger, group: int) -> int:
    """BELOW, AT or ABOVE."""
    state = AT
    for leaf in range(ledger.leaf_offset[group], ledger.leaf_offset[group + 1]):
        if ledger.active[leaf] < ledger.leaf_min[leaf]:
            return BELOW
        if ledger.active[leaf] > ledger.leaf_min[leaf]:
            state = ABOVE
    return state


def may_start(ledger: Ledger, group: int) -> bool:
    """Whether every leaf has enough pods that are neither gated nor gone."""
    first, last = ledger.leaf_offset[group], ledger.leaf_offset[group + 1]
    alive = [0] * (last - first)
    for pod in group_pods(ledger, group):
        if ledger.is_active(pod) or ledger.is_waiting(pod, simulated=True):
            alive[ledger.leaf_of[pod] - first] += 1
    return all(count >= ledger.leaf_min[first + at] for at, count in enumerate(alive))


def is_pipelined_whole(ledger: Ledger, group: int, promised: set[int]) -> bool:
    """Whether the group must wait as a whole: a leaf has a promised pod and fewer others than its minimum."""
    first, last = ledger.leaf_offset[group], ledger.leaf_offset[group + 1]
    waits = [0] * (last - first)
    for pod in promised:
        waits[ledger.leaf_of[pod] - first] += 1
    return any(
        count and ledger.active[first + at] - count < ledger.leaf_min[first + at] for at, count in enumerate(waits)
    )


def is_stale(ledger: Ledger, group: int) -> bool:
    """Some pod holds something, none has succeeded, and a leaf holds less than its minimum (pods being released still count)."""
    first, last = ledger.leaf_offset[group], ledger.leaf_offset[group + 1]
    used = [0] * (last - first)
    for pod in group_pods(ledger, group):
        status = ledger.base_status[pod]
        if status == PodStatus.SUCCEEDED:
            return False
        if ledger.is_active(pod) or status == PodStatus.RELEASING or (ledger.evicted[pod] and status != PodStatus.HELD):
            used[ledger.leaf_of[pod] - first] += 1
    return any(used) and any(count < ledger.leaf_min[first + at] for at, count in enumerate(used))


class Victim:
    """A running group while chunks are taken from it: surplus pods one by one, newest first, then all the rest."""

    __slots__ = ("_first", "_minimum", "group", "leaves")

    def __init__(self, ledger: Ledger, group: int) -> None:
        self.group = group
        self._first, last = ledger.leaf_offset[group], ledger.leaf_offset[group + 1]
        self.leaves: list[list[int]] = [[] for _ in range(last - self._first)]
        self._minimum = ledger.leaf_min[self._first : last]
        is_active = ledger.is_active
        if len(self.leaves) == 1:
            self.leaves[0] = [pod for pod in group_pods(ledger, group) if is_active(pod)]
            return
        for pod in group_pods(ledger, group):
            if is_active(pod):
                self.leaves[ledger.leaf_of[pod] - self._first].append(pod)

    def pods(self) -> list[int]:
        """All that it still has."""
        return [pod for leaf in self.leaves for pod in leaf]

    def state(self) -> int:
        """BELOW, AT or ABOVE with what it still has."""
        if any(len(leaf) < least for leaf, least in zip(self.leaves, self._minimum, strict=True)):
            return BELOW
        return ABOVE if any(len(leaf) > least for leaf, least in zip(self.leaves, self._minimum, strict=True)) else AT

    def take(self, surplus_only: bool = False) -> tuple[int, ...]:
        """The next chunk; empty when nothing is left (or nothing above the minimum, if only that may go)."""
        over = [
            (len(leaf) / max(least, 1), at)
            for at, (leaf, least) in enumerate(zip(self.leaves, self._minimum, strict=True))
            if len(leaf) > least
        ]
        if over:
            return (self.leaves[max(over)[1]].pop(),)
        if surplus_only:
            return ()
        chunk = tuple(pod for leaf in self.leaves for pod in reversed(leaf))
        self.leaves = [[] for _ in self.leaves]
        return chunk


def amounts(charge: Sequence[tuple[int, int, int]], ledger: Ledger, pods: Sequence[int]) -> tuple[int, int, int]:
    """Sum of a per-class charge over pods."""
    if len(pods) == 1 and pods[0] not in ledger.claim_charge:
        return charge[ledger.klass[pods[0]]]
    gpu = sum(ledger.claim_charge.get(pod, 0) for pod in pods) if ledger.claim_charge else 0
    cpu = memory = 0
    for pod in pods:
        row = charge[ledger.klass[pod]]
        gpu, cpu, memory = gpu + row[0], cpu + row[1], memory + row[2]
    return gpu, cpu, memory


def _fill(ledger: Ledger, leaf: int) -> tuple[int, float]:
    below = ledger.active[leaf] < ledger.leaf_min[leaf]
    return (0, 0.0) if below else (1, ledger.active[leaf] / max(ledger.leaf_min[leaf], 1))
