"""Victims: who may give in one action, kept in order while the action goes on."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator

import numpy as np

from fairlead.model import Action, PodStatus
from fairlead.model.arrays import I64
from fairlead.scheduling.ledger import NOWHERE, group_pods
from fairlead.scheduling.rules.order import Leaf, VictimLine, victim_key
from fairlead.scheduling.rules.runtime import is_protected, is_runtime_kept, may_be_victim
from fairlead.scheduling.rules.search import Chunk
from fairlead.scheduling.rules.state import Best, JobKey, State
from fairlead.scheduling.rules.turns import elastic_state

ALL = -1
"""Instead of a queue: every queue."""


class Victims:
    """Running preemptible groups per leaf queue in the order they give, made when first asked for and then kept up to date."""

    def __init__(self, state: State, action: Action) -> None:
        self._state, self._action = state, action
        self._lines: dict[int, list[tuple[JobKey, int]]] | None = None
        self._keys: dict[int, JobKey] = {}
        self._front: dict[int, Best] = {}
        self._at: I64 = np.zeros(0, dtype=np.int64)
        self._freed: dict[int, I64] = {}
        self._is_anybody = self._may_anybody()

    def chunks(self, group: int) -> Iterator[Chunk]:
        """Who may give to this group, chunk by chunk. The ledger must stand as it settled whenever the next one is asked for."""
        state, action = self._state, self._action
        own, may = state.ledger.queue_of[group], self._filter(group)
        lines = self._sorted()
        leaves = {queue: Leaf(line, may) for queue, line in lines.items() if line and self._gives(queue, own)}
        changed = set(state.ledger.tree.path[own]) if self._is_anybody else None
        known = {} if changed is None else {q: best for q, best in self._front.items() if q not in changed}
        line = VictimLine(state, leaves, known)
        line.next_leaf()
        if changed is not None:
            self._front.update((q, best) for q, best in line.best.items() if q not in changed)
        found = line.chunks(_nobody if self._is_anybody else lambda one: is_protected(state, one, group, action))
        most = state.policy.max_moves
        yield from found if action != Action.CONSOLIDATE or most < 0 else _first_groups(found, most)

    def freed(self, group: int) -> I64:
        """[N,R] at most what all who might give hold on each node: pods of preemptible groups (of this queue only, for preempt)."""
        queue = self._state.ledger.queue_of[group] if self._action == Action.PREEMPT else ALL
        if not len(self._at):
            self._at = self._places()
        if queue not in self._freed:
            self._freed[queue] = self._sum(queue)
        return self._freed[queue]

    def settled(self, groups: set[int]) -> None:
        """Pods of these groups were placed or evicted for good."""
        ledger = self._state.ledger
        for group in groups:
            queue = ledger.queue_of[group]
            for above in ledger.tree.path[queue] if queue >= 0 else ():
                self._front.pop(above, None)
            if self._lines is not None and queue >= 0 and ledger.preemptible[group]:
                self._move(self._lines.setdefault(queue, []), group)
            if len(self._at) and ledger.preemptible[group]:
                self._count(group, queue)

    def _sorted(self) -> dict[int, list[tuple[JobKey, int]]]:
        """Made when first asked for: most actions find nobody who may search."""
        if self._lines is not None:
            return self._lines
        snapshot, ledger = self._state.snapshot, self._state.ledger
        j = snapshot.j
        active = np.array(ledger.active, dtype=np.int64)
        least = j.leaf_min.astype(np.int64)
        count = len(snapshot.groups)
        owner = np.repeat(np.arange(count), np.diff(j.leaf_offset))
        held = np.bincount(owner, weights=active, minlength=count) > 0
        below = np.bincount(owner, weights=active < least, minlength=count) > 0
        above = np.bincount(owner, weights=active > least, minlength=count) > 0
        elastic = np.where(below, 0, np.where(above, 2, 1))
        rows = np.flatnonzero(held & j.preemptible & (j.queue >= 0))
        order = rows[np.lexsort((-rows, -elastic[rows], j.priority[rows], j.queue[rows]))]
        keys = list(zip(j.priority[order].tolist(), (-elastic[order]).tolist(), (-order).tolist(), strict=True))
        entries = list(zip(keys, order.tolist(), strict=True))
        queues, starts = np.unique(j.queue[order], return_index=True)
        ends = [*starts[1:].tolist(), len(entries)][: len(starts)]
        self._keys = dict(zip(order.tolist(), keys, strict=True))
        self._lines = {
            queue: entries[at:end] for queue, at, end in zip(queues.tolist(), starts.tolist(), ends, strict=True)
        }
        return self._lines

    def _move(self, line: list[tuple[JobKey, int]], group: int) -> None:
        """To its new place among the victims of its leaf, or out of them."""
        ledger = self._state.ledger
        if (key := self._keys.pop(group, None)) is not None:
            del line[bisect_left(line, (key, group))]
        if any(ledger.active[leaf] for leaf in range(ledger.leaf_offset[group], ledger.leaf_offset[group + 1])):
            self._keys[group] = victim_key(self._state, group, elastic_state(ledger, group))
            insort(line, (self._keys[group], group))

    def _gives(self, queue: int, own: int) -> bool:
        if self._action == Action.PREEMPT:
            return queue == own
        return self._action != Action.RECLAIM or queue != own

    def _filter(self, group: int) -> Callable[[int], bool]:
        state, groups, action = self._state, self._state.snapshot.groups, self._action
        if action == Action.CONSOLIDATE:
            return lambda one: one != group and groups[one].movable
        if action == Action.PREEMPT:
            mine = groups[group].priority
            return lambda one: groups[one].priority < mine and may_be_victim(state, one, group, action)
        if self._is_anybody:
            return lambda _: True
        return lambda one: may_be_victim(state, one, group, action)

    def _may_anybody(self) -> bool:
        """Whether each group of another queue may be a victim of any other: then what one search knows of the queues, the next may use."""
        return self._action == Action.RECLAIM and not is_runtime_kept(self._state)

    def _places(self) -> I64:
        """[P] node of each pod that might be taken away, -1 = of none."""
        snapshot, ledger = self._state.snapshot, self._state.ledger
        p, j = snapshot.p, snapshot.j
        gone = np.frombuffer(ledger.evicted, dtype=np.uint8).astype(np.bool_)
        stays = (p.status >= PodStatus.HELD) & (p.status <= PodStatus.RUNNING) & ~gone & j.preemptible[p.group]
        places = np.where(stays, p.node, -1).astype(np.int64)
        for group in self._state.changed:
            for pod in group_pods(ledger, group):
                if ledger.kind[pod] != NOWHERE and ledger.preemptible[group]:
                    places[pod] = ledger.place_node[pod]
        return places

    def _sum(self, queue: int) -> I64:
        """Shared devices count as if each part freed a whole one."""
        snapshot, ledger = self._state.snapshot, self._state.ledger
        p = snapshot.p
        may = self._at >= 0
        if queue != ALL:
            may &= snapshot.j.queue[p.group] == queue
        total = np.zeros_like(ledger.idle)
        rows = np.flatnonzero(may)
        amounts = ledger.request[p.klass[rows]].copy()
        amounts[:, 0] += 1000 * snapshot.c.fraction[p.klass[rows]]
        np.add.at(total, self._at[rows], amounts)
        return total

    def _count(self, group: int, queue: int) -> None:
        """Brings the sums to where the group's pods are now."""
        ledger = self._state.ledger
        totals = [total for key, total in self._freed.items() if key in (ALL, queue)]
        for pod in group_pods(ledger, group):
            before, after = int(self._at[pod]), ledger.node_of(pod) if ledger.is_active(pod) else -1
            if before == after:
                continue
            self._at[pod] = after
            amounts = ledger.request[ledger.klass[pod]].copy()
            amounts[0] += 1000 * ledger.fraction[ledger.klass[pod]]
            for total in totals:
                if before >= 0:
                    total[before] -= amounts
                if after >= 0:
                    total[after] += amounts


def _nobody(_: int) -> bool:
    return False


def _first_groups(chunks: Iterator[Chunk], most: int) -> Iterator[Chunk]:
    """Chunks of the first `most` groups."""
    known: set[int] = set()
    for chunk in chunks:
        if chunk[0] not in known and len(known) == most:
            return
        known.add(chunk[0])
        yield chunk
