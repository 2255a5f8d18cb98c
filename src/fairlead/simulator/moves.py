"""Room for a refused arrival by moving a few running pods elsewhere: the cheapest set whose exit makes room and who all fit again.

A plan names a node and the pods to move off it: the smallest on one device that free enough of it (all of it for whole GPUs), and one
more where cores or memory are short. Pods larger than any hole elsewhere are never named; a plan must move less GPU than it lets in.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Final, TypeAlias

import numpy as np

from fairlead.model.arrays import I64
from fairlead.scheduling.ledger import BOUND, Ledger
from fairlead.scheduling.rules.placement import Placer

_PLANS_TRIED: Final = 48
_AT_ONCE: Final = 3
"""Pods taken from one device."""
Plan: TypeAlias = tuple[int, int, tuple[int, ...]]
"""(GPU milli moved, node, pods)."""


class Mover:
    """Moves at most `most` pods for one arrival; counts moves and what they cost: GPU milli x seconds run so far."""

    def __init__(self, ledger: Ledger, most: int) -> None:
        self.ledger, self.most = ledger, most
        self.now = self.moves = self.milli_seconds_moved = 0
        self.started: dict[int, int] = {}
        self.on_node: dict[int, set[int]] = defaultdict(set)
        self.failed: dict[int, int] = {}

    def note(self, pod: int, node: int) -> None:
        """A pod was placed without help."""
        self.started[pod] = self.now
        self.on_node[node].add(pod)

    def make_room(self, pod: int, placer: Placer) -> list[int]:
        """Places `pod` after moving others; the nodes touched, empty where it cannot be done."""
        ledger = self.ledger
        klass = ledger.klass[pod]
        if not self.most or self.failed.get(klass) == ledger.version:
            return []
        fits: dict[int, bool] = {}
        tried = 0
        for _, node, victims in sorted(self._plans(pod)):
            if not all(self._has_room(ledger.klass[victim], placer, fits) for victim in victims):
                continue
            touched = self._carry_out(pod, node, victims, placer)
            tried += 1
            if touched or tried == _PLANS_TRIED:
                return touched
        self.failed[klass] = ledger.version
        return []

    def _has_room(self, klass: int, placer: Placer, known: dict[int, bool]) -> bool:
        """Whether some node takes this class as things are; without this, hopeless plans would be tried in full."""
        if klass not in known:
            known[klass] = bool(placer.view(klass).score.max(initial=-1) >= 0)
        return known[klass]

    def _carry_out(self, pod: int, node: int, victims: tuple[int, ...], placer: Placer) -> list[int]:
        ledger = self.ledger
        mark = ledger.checkpoint()
        for victim in victims:
            ledger.evict(victim)
        here = np.zeros(len(ledger.idle), dtype=np.bool_)
        here[node] = True
        place = placer.choose(pod, (here, ()), False)
        homes: list[int] = []
        if place is not None:
            ledger.place(pod, place[0], place[1], BOUND)
            homes = list(self._rehome(victims, placer))
        if len(homes) < len(victims) or place is None:
            ledger.rollback(mark)
            return []
        self.note(pod, node)
        for victim, home in zip(victims, homes, strict=True):
            self.on_node[node].discard(victim)
            self.moves += 1
            self.milli_seconds_moved += self._size(victim) * (self.now - self.started[victim])
            self.note(victim, home)
        return [node, *homes]

    def _rehome(self, victims: tuple[int, ...], placer: Placer) -> Iterator[int]:
        for victim in victims:
            place = placer.choose(victim, (None, ()), False)
            if place is None:
                return
            self.ledger.place(victim, place[0], place[1], BOUND)
            yield place[0]

    def _plans(self, pod: int) -> Iterator[Plan]:
        ledger = self.ledger
        request = ledger.request[ledger.klass[pod]]
        mine = self._size(pod)
        hole = self._largest_hole()
        lacking = np.maximum(request[1:3] - ledger.idle[:, 1:3], 0)
        feasible = ledger.snapshot.n.feasible[ledger.klass[pod]]
        for node in np.flatnonzero(feasible).tolist():
            small = [p for p in self.on_node[node] if self._size(p) <= hole]
            for victims in self._freeing(node, mine, small):
                full = self._with_cores(victims, small, lacking[node])
                cost = sum(self._size(victim) for victim in full or ())
                if full and cost < mine and len(full) <= self.most:
                    yield cost, node, full

    def _freeing(self, node: int, mine: int, small: list[int]) -> Iterator[tuple[int, ...]]:
        """Sets of pods whose exit frees the GPUs: none where they are free already."""
        ledger = self.ledger
        whole = int(ledger.idle[node, 0]) // 1000
        by_device: dict[int, list[int]] = defaultdict(list)
        for victim in small:
            for device in ledger.shared_of(victim):
                by_device[device].append(victim)
        idle = {d: 1000 - int(ledger.amounts[d, 0, 0]) for d in ledger.devices_on.get(node, ()) if ledger.members[d, 0]}
        if mine > 1000:
            yield from self._whole_gpus(mine // 1000 - whole, small, by_device, idle)
            return
        if whole or any(free >= mine for free in idle.values()):
            yield ()
            return
        for device, free in idle.items():
            yield from self._off(by_device[device], mine - free)

    def _off(self, pods: list[int], gap: int) -> Iterator[tuple[int, ...]]:
        """The cheapest sets of one size each on one device that free `gap`."""
        for size in range(1, min(_AT_ONCE, len(pods)) + 1):
            enough = [chosen for chosen in combinations(pods, size) if self._sum(chosen) >= gap]
            if enough:
                yield min(enough, key=self._sum)

    def _whole_gpus(
        self, wanted: int, small: list[int], by_device: dict[int, list[int]], idle: dict[int, int]
    ) -> Iterator[tuple[int, ...]]:
        """The pods that free `wanted` whole GPUs for the least GPU moved: whole ones, and shared devices whose pods all go."""
        if wanted <= 0:
            yield ()
            return
        shared = {victim for victims in by_device.values() for victim in victims}
        parts: list[tuple[int, int, tuple[int, ...]]] = [
            (self._size(p), self._size(p) // 1000, (p,)) for p in small if p not in shared and self._size(p)
        ]
        parts += [
            (1000 - free, 1, tuple(by_device[d])) for d, free in idle.items() if self._sum(by_device[d]) == 1000 - free
        ]
        best: dict[int, tuple[int, tuple[int, ...]]] = {0: (0, ())}
        for cost, freed, pods in sorted(parts):
            for have, (paid, chosen) in list(best.items()):
                now = min(have + freed, wanted)
                if len(chosen) + len(pods) <= self.most and (now not in best or (paid + cost) < best[now][0]):
                    best[now] = (paid + cost, chosen + pods)
        if wanted in best:
            yield tuple(dict.fromkeys(best[wanted][1]))

    def _with_cores(self, victims: tuple[int, ...], small: list[int], lacking: I64) -> tuple[int, ...]:
        """The same pods, and the smallest further one that makes up for cores and memory still short; empty where none does."""
        request = self.ledger.request
        short = lacking - sum((request[self.ledger.klass[v], 1:3] for v in victims), np.zeros(2, dtype=np.int64))
        if (short <= 0).all():
            return victims
        enough = [p for p in small if p not in victims and (request[self.ledger.klass[p], 1:3] >= short).all()]
        return (*victims, min(enough, key=lambda p: (self._size(p), p))) if enough else ()

    def _largest_hole(self) -> int:
        ledger = self.ledger
        if (ledger.idle[:, 0] >= 1000).any():
            return int(ledger.idle[:, 0].max())
        count = len(ledger.device_node)
        live = ledger.members[:count, 0] > 0
        return int((1000 - ledger.amounts[:count, 0, 0])[live].max(initial=0))

    def _sum(self, pods: Iterable[int]) -> int:
        return sum(self._size(pod) for pod in pods)

    def _size(self, pod: int) -> int:
        return self.ledger.charge[self.ledger.klass[pod]][0]
