"""Placement: which node a pod gets. One view per task class holds what fits and how good it is, and follows the ledger node by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from fairlead.model import Placement, Policy, Snapshot
from fairlead.model.arrays import F64, I64, Bit
from fairlead.model.charges import is_gpu_class, mig_charge
from fairlead.model.feasible import preferred_weight
from fairlead.model.occupancy import PROMISED, STAYS
from fairlead.model.units import UNLIMITED
from fairlead.scheduling.ledger import BOUND, PIPELINED, Ledger, Standing
from fairlead.scheduling.rules.devices import pick_devices
from fairlead.scheduling.rules.fill import FULL, PACKING, ROUNDING, SAFE, fill_of
from fairlead.scheduling.rules.onenode import expected_fill
from fairlead.scheduling.rules.pinned import pin_prices

SHARES: Final = 1 << 60
NOW: Final = 1 << 59
KIND: Final = 1 << 58
_TOP: Final = 1 << 57
NO: Final = -1
FEW: Final = 8
"""Changed nodes up to which plain numbers beat arrays."""
GPU_WORKER, CPU_WORKER = "node-role.kubernetes.io/gpu-worker", "node-role.kubernetes.io/cpu-worker"
Place = tuple[int, tuple[int, ...], int]
"""(node, device rows, kind)."""
Among = tuple[Bit | None, Sequence[I64]]


class Placer:
    """Chooses nodes for the pods of one decision."""

    def __init__(self, ledger: Ledger, snapshot: Snapshot, policy: Policy) -> None:
        self.ledger, self.snapshot, self.policy = ledger, snapshot, policy
        self.weights = np.array(gpu_weights(snapshot.n.resources), dtype=np.int64)
        strength = FULL if policy.placement_gpu == "dense" else SAFE
        self.fill = fill_of(snapshot.demand, strength)
        self.prices: list[float] = []
        self.pins: F64 | None = None
        if policy.placement_gpu in ("fit", "dense"):
            free = np.maximum(ledger.idle + ledger.releasing, 0)
            cores, memory = free[:, 1].astype(np.float64), free[:, 2].astype(np.float64)
            self.pins = pin_prices(snapshot.nodes, snapshot.demand, free[:, 0])
            self.prices = self.fill.prices(free[:, 0] // 1000, float(free[:, 0].sum()) / 1000, cores, memory)
        self._views: dict[int, View] = {}
        self.node_row = {node.name: row for row, node in enumerate(snapshot.nodes)}

    @property
    def classes(self) -> int:
        """Classes looked at so far."""
        return len(self._views)

    def view(self, klass: int) -> View:
        """The class's view, brought up to date."""
        found = self._views.get(klass)
        if found is None:
            found = self._views[klass] = View(self, klass)
        found.refresh()
        return found

    def choose(self, pod: int, among: Among, only_pipeline: bool, slack: int = UNLIMITED) -> Place | None:
        """The best node (with devices) that the pod fits on, bound if it fits now; None = no room. Ties go to the first by name.

        `among` holds the nodes allowed (None = all) and wishes, each narrowing the rest to its highest; `slack` bounds the quota charge of
        a memory request.
        """
        view = self.view(self.ledger.klass[pod])
        score = view.score
        if view.charge is not None and slack < UNLIMITED:
            score = np.where(view.charge <= slack, score, NO)
        if among[0] is not None:
            score = np.where(among[0], score, NO)
        score = self._prefer(pod, [*among[1], *([] if view.preferred is None else [view.preferred])], score)
        while len(score):
            node = int(score.argmax())
            if score[node] < 0:
                return None
            place = self._place_on(pod, view, node, only_pipeline)
            if place is not None:
                return place
            score = score.copy()
            score[node] = NO
        return None

    def _prefer(self, pod: int, wishes: Sequence[I64], score: I64) -> I64:
        """Nodes narrowed to the nominated one, or by each wish to those that meet it best."""
        wish = self.snapshot.pods[pod].nominated
        if wish and (row := self.node_row.get(wish, -1)) >= 0 and score[row] >= 0:
            only = np.full_like(score, NO)
            only[row] = score[row]
            return only
        for liking in wishes:
            best = liking[score >= 0].max(initial=0)
            score = np.where(liking == best, score, NO) if best > 0 else score
        return score

    def _place_on(self, pod: int, view: View, node: int, only_pipeline: bool) -> Place | None:
        now = not only_pipeline and bool((self.ledger.idle[node, view.columns] >= view.request).all())
        if not view.devices:
            return node, (), BOUND if now else PIPELINED
        found = pick_devices(self.ledger, pod, node, (self.policy.placement_device, self.fill.worth))
        if found is None:
            return None
        return node, found[0], BOUND if now and found[1] else PIPELINED


class View:
    """What fits and how good it is for one class: `score` [N], -1 where the pod does not fit even when all that is freed is free."""

    def __init__(self, placer: Placer, klass: int) -> None:
        self._placer, self._ledger, self.klass = placer, placer.ledger, klass
        snapshot, ledger = placer.snapshot, placer.ledger
        value = snapshot.classes[klass]
        self.columns = np.flatnonzero(snapshot.c.request[klass])
        self.request = snapshot.c.request[klass][self.columns]
        self.devices = ledger.fraction[klass]
        self.is_gpu = bool(snapshot.c.is_gpu[klass])
        self.feasible: Bit = snapshot.n.feasible[klass]
        if placer.policy.restrict_node_scheduling:
            self.feasible = self.feasible & _workers(snapshot, self.is_gpu)
        memory = snapshot.n.gpu_memory_mib
        milli, mib = ledger.milli[klass], ledger.mib[klass]
        self.part_milli = (
            np.where(memory > 0, mib * 1000 // np.maximum(memory, 1), 1000) if mib else np.full_like(memory, milli)
        )
        self.part_mib = np.full_like(memory, mib) if mib else milli * memory // 1000
        self.charge: I64 | None = None
        if mib:
            self.charge = np.where(memory > 0, 10 * (-(-mib * 100 // np.maximum(memory, 1))), 1000) * self.devices
        weights = preferred_weight(snapshot.nodes, value)
        self.preferred: I64 | None = None
        if weights:
            self.preferred = np.zeros(len(snapshot.nodes), dtype=np.int64)
            self.preferred[list(weights)] = list(weights.values())
        self.whole = int(snapshot.c.request[klass, 0]) // 1000
        self.score: I64 = np.full(len(snapshot.nodes), NO, dtype=np.int64)
        how = placer.policy.placement_gpu if self.is_gpu else placer.policy.placement_cpu
        self._by_numbers = how in ("fit", "dense") and not self.devices
        self._wanted: list[tuple[int, int]] = list(zip(self.columns.tolist(), self.request.tolist(), strict=True))
        self._seen, self._epoch = 0, -1
        self._found: dict[Standing, int] = {}
        """Score of a node by how it stands, which is all that the score depends on besides what never changes in a decision."""

    def refresh(self) -> None:
        """Follows the ledger: only the nodes it touched since, unless those are many."""
        ledger = self._ledger
        if self._epoch == ledger.epoch and self._seen == len(ledger.touched):
            return
        changed = set(ledger.touched[self._seen :]) if self._epoch == ledger.epoch else None
        if changed is not None and len(changed) <= FEW:
            self._refresh_few(changed)
        elif changed is not None and len(changed) * 4 < len(self.score):
            rows = np.array(sorted(changed), dtype=np.int64)
            self.score[rows] = self._evaluate(rows)
        else:
            self.score = self._evaluate(np.arange(len(self.score), dtype=np.int64))
        self._seen, self._epoch = len(ledger.touched), ledger.epoch

    def _refresh_few(self, changed: set[int]) -> None:
        """Searches try and take back: most nodes stand as they stood before, and what was found then is what would be found again."""
        found, ledger = self._found, self._ledger
        missing: dict[int, Standing] = {}
        for row in changed:
            standing = ledger.standing(row)
            score = found.get(standing)
            if score is None:
                missing[row] = standing
            else:
                self.score[row] = score
        for row, score in zip(missing, self._evaluate_few(list(missing)), strict=True):
            self.score[row] = found[missing[row]] = score

    def _evaluate_few(self, rows: list[int]) -> list[int]:
        if self._by_numbers or not rows:
            return [self._evaluate_one(row) for row in rows]
        found: list[int] = self._evaluate(np.array(rows, dtype=np.int64)).tolist()
        return found

    def room(self, free: I64) -> I64:
        """[N] pods of a class without fractions that fit into this free amount [N,R], 0 where infeasible."""
        count: I64 = (
            (free[:, self.columns] // self.request).min(axis=1) if len(self.columns) else np.full(len(free), UNLIMITED)
        )
        return np.where(self.feasible, np.maximum(count, 0), 0)

    def _evaluate_one(self, row: int) -> int:
        """The same for one node, for classes without fractions placed by expected fill."""
        ledger, placer = self._ledger, self._placer
        idle, releasing = ledger.idle[row].tolist(), ledger.releasing[row].tolist()
        free = [a + b for a, b in zip(idle, releasing, strict=True)]
        wanted = self._wanted
        if not self.feasible[row] or any(free[column] < amount for column, amount in wanted):
            return NO
        devices = []
        for device in ledger.devices_on.get(row, ()):
            stays, _, promised = ledger.members[device].tolist()
            if stays or promised:
                devices.append(1000 - int(ledger.amounts[device, STAYS, 0] + ledger.amounts[device, PROMISED, 0]))
        pin = float(placer.pins[row]) if placer.pins is not None and self.is_gpu else 0.0
        ask = (self.whole, self._amount(1), self._amount(2))
        score = expected_fill(placer.fill, placer.prices, pin, ask, free, devices)
        return score + (0 if any(idle[column] < amount for column, amount in wanted) else NOW)

    def _evaluate(self, rows: I64) -> I64:
        idle = self._ledger.idle[rows]
        free = idle + self._ledger.releasing[rows]
        fits = self.feasible[rows] & (free[:, self.columns] >= self.request).all(axis=1)
        now = (idle[:, self.columns] >= self.request).all(axis=1)
        shares = np.zeros(len(rows), dtype=np.bool_)
        if self.devices:
            some = self._fitting_devices(rows)
            fits &= free[:, 0] // 1000 + some >= self.devices
            now &= idle[:, 0] // 1000 + some >= self.devices
            shares = some > 0
        policy = self._placer.policy
        how: Placement = policy.placement_gpu if self.is_gpu else policy.placement_cpu
        score = self._base(how, rows, free) + np.where(now, NOW, 0)
        if how in ("binpack", "spread"):
            if how == "binpack" or not self.is_gpu:
                score += np.where(shares, SHARES, 0)
            if not self.is_gpu:
                score += np.where(self._placer.snapshot.n.has_gpu[rows], 0, KIND)
        return np.where(fits, score, NO)

    def _base(self, how: Placement, rows: I64, free: I64) -> I64:
        """Higher is better, below KIND."""
        if how in ("fit", "dense"):
            return self._expected_fill(rows, free)
        weights = self._placer.weights
        have = (free * weights).sum(axis=1) if self.is_gpu else free[:, 1]
        if how == "binpack":
            return _TOP - np.maximum(have, 0)
        allocatable = self._placer.snapshot.n.allocatable[rows]
        whole = (allocatable * weights).sum(axis=1) if self.is_gpu else allocatable[:, 1]
        return np.where(whole > 0, np.maximum(have, 0) * (1 << 20) // np.maximum(whole, 1), 0)

    def _fitting_devices(self, rows: I64) -> I64:
        """[rows] shared devices that take one part each."""
        found = self._device_room()
        counts = np.bincount(found[0][found[1]], minlength=len(self.score))
        return counts[rows]

    def _device_room(self) -> tuple[I64, Bit, I64]:
        """(node, the part fits, milli idle) per shared device row."""
        ledger = self._ledger
        count = len(ledger.device_node)
        node = ledger.device_at[:count]
        held = ledger.amounts[:count, STAYS] + ledger.amounts[:count, PROMISED]
        live = (ledger.members[:count, STAYS] + ledger.members[:count, PROMISED]) > 0
        memory = self._placer.snapshot.n.gpu_memory_mib[node]
        fits = (
            live
            & (held[:, 0] + self.part_milli[node] <= 1000)
            & ((memory == 0) | (held[:, 1] + self.part_mib[node] <= memory))
        )
        return node, fits, np.where(live, np.maximum(1000 - held[:, 0], 0), 0)

    def _expected_fill(self, rows: I64, free: I64) -> I64:
        """Rounded change of worth, minus prices and packing; then less idle GPU, less idle CPU."""
        fill = self._placer.fill
        free = np.maximum(free, 0)
        cores, memory = free[:, 1].astype(np.float64), free[:, 2].astype(np.float64)
        whole = free[:, 0] // 1000
        worth, idle, loss, opened = self._device_worth(rows, whole)
        cores_after = np.maximum(cores - float(self._amount(1)), 0.0)
        memory_after = np.maximum(memory - float(self._amount(2)), 0.0)
        score: F64 = fill.value(np.maximum(worth - loss, 0), cores_after, memory_after) - fill.value(
            worth, cores, memory
        )
        for gang, price in zip(fill.gangs, self._placer.prices, strict=True):
            lost = fill.slots(gang, whole, cores, memory) - fill.slots(
                gang, np.maximum(whole - opened, 0), cores_after, memory_after
            )
            score -= price * lost
        if self._placer.pins is not None and self.is_gpu:
            asked = np.minimum(self.part_milli[rows], 1000) * self.devices if self.devices else self.whole * 1000
            score -= self._placer.pins[rows] * asked
        score -= PACKING * idle
        rounded = np.clip(np.rint(score / ROUNDING), -(1 << 18), 1 << 18).astype(np.int64) + (1 << 18)
        left_gpu = (1 << 15) - 1 - np.clip(idle // 10, 0, (1 << 15) - 1)
        left_cpu = (1 << 20) - 1 - np.clip(free[:, 1] // 10, 0, (1 << 20) - 1)
        return (rounded << 35) + (left_gpu << 20) + left_cpu

    def _device_worth(self, rows: I64, whole: I64) -> tuple[F64, I64, F64, I64]:
        """Per node: worth of its devices, milli idle, worth lost by this pod, whole devices opened."""
        table = self._placer.fill.worth
        node, fits, idle = self._device_room()
        count = len(self.score)
        worth = np.bincount(node, weights=table[idle], minlength=count)[rows] + whole * table[1000]
        free = np.bincount(node, weights=idle, minlength=count)[rows].astype(np.int64) + whole * 1000
        if not self.devices:
            return (
                worth,
                free,
                np.full(len(rows), self.whole * table[1000]),
                np.full(len(rows), self.whole, dtype=np.int64),
            )
        milli = np.minimum(self.part_milli[rows], 1000)
        fresh = table[1000] - table[1000 - milli]
        best = np.full(count, np.inf)
        here, part = node[fits], np.minimum(self.part_milli[node[fits]], idle[fits])
        np.minimum.at(best, here, table[idle[fits]] - table[idle[fits] - part])
        shared = best[rows]
        opens = (shared > np.where(whole > 0, fresh, np.inf)) | np.isinf(shared)
        loss = np.where(opens, fresh, shared) * self.devices
        return worth, free, loss, np.where(opens, self.devices, 0).astype(np.int64)

    def _amount(self, column: int) -> int:
        return int(self._ledger.request[self.klass, column])


def gpu_weights(resources: Sequence[str]) -> list[int]:
    """[R] GPU milli per unit of each resource; 0 for what is no GPU."""
    return [_gpu_weight(name) for name in resources]


def _gpu_weight(name: str) -> int:
    if name == "gpu":
        return 1
    if name.startswith("dra:"):
        return 1000 if is_gpu_class(name.removeprefix("dra:")) else 0
    return mig_charge(((name, 1),))


def _workers(snapshot: Snapshot, is_gpu: bool) -> Bit:
    wanted = GPU_WORKER if is_gpu else CPU_WORKER
    return np.array([any(key == wanted for key, _ in node.labels) for node in snapshot.nodes], dtype=np.bool_)
