"""A plain cluster under load: gangs of 1, 2, 4 and 8 GPUs come and go; how often is an 8-GPU gang refused, how many places are kept.

Before each arrival running gangs leave at random until it would not lift the load above a given share of all GPUs; each size asks for an
equal part of the GPUs; what does not fit is dropped. Same ledger and placement as a decision, same moves as the inflation experiment.
"""

import random
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from fairlead.model import GpuRequest, Node, NodeName, Placement, Policy, TaskClass, demand_row
from fairlead.scheduling.ledger import BOUND, Ledger
from fairlead.scheduling.rules.placement import Placer
from fairlead.simulator.inflation import all_pending, uid_of
from fairlead.simulator.moves import Mover
from fairlead.simulator.openb import Arrival

NODES: Final = 128
GPUS: Final = 8
SIZES: Final = (1, 2, 4, 8)
_CORES_PER_GPU: Final = 8000
_WARM_UP: Final = 0.3
"""Part of the arrivals that is not counted."""


class Kept(Struct, frozen=True, kw_only=True):
    """Refused 8-GPU gangs in %, mean 8-GPU places free, moves per 1,000 arrivals."""

    refused_pct: float
    places: float
    moves_per_1000: float


class Load(Struct, frozen=True, kw_only=True):
    """What the experiment varies; `load` = GPUs held at most, over all GPUs."""

    seed: int = 42
    load: float = 0.95
    arrivals: int = 12_000
    moves: int = 0
    placement: Placement = "fit"


def keep_places(setup: Load) -> Kept:
    """Runs the experiment."""
    return _Plain(setup).run()


class _Plain:
    def __init__(self, setup: Load) -> None:
        self.setup = setup
        self.draw = random.Random(setup.seed)
        self.order = [_gang(self._size()) for _ in range(setup.arrivals)]
        self.snapshot = all_pending(_nodes(), self.order)
        self.policy = Policy(
            placement_gpu=setup.placement, placement_cpu=setup.placement, placement_device=setup.placement
        )
        self.ledger = Ledger(self.snapshot, self.policy)
        self.rows = {pod.uid: row for row, pod in enumerate(self.snapshot.pods)}
        self.demand = tuple(demand_row(_gang(size).klass, 1 / size) for size in SIZES)
        self.placer = self._placer()
        self.mover = Mover(self.ledger, setup.moves)
        self.running: list[int] = []
        self.used = 0

    def run(self) -> Kept:
        asked, refused, places, seen = 0, 0, 0, 0
        for at, gang in enumerate(self.order):
            self._make_way(gang.gpus)
            if at % 100 == 0:
                self.placer = self._placer()
            self.mover.now = at
            placed = self._arrive(self.rows[uid_of(at)])
            if placed:
                self.running.append(self.rows[uid_of(at)])
                self.used += gang.gpus
            if at >= _WARM_UP * len(self.order):
                seen += 1
                places += int((self.ledger.idle[:, 0] >= GPUS * 1000).sum())
                asked += gang.gpus == GPUS
                refused += gang.gpus == GPUS and not placed
        return Kept(
            refused_pct=100 * refused / max(asked, 1),
            places=places / max(seen, 1),
            moves_per_1000=1000 * self.mover.moves / len(self.order),
        )

    def _make_way(self, gpus: int) -> None:
        """Running gangs leave at random until the next one would not exceed the load."""
        while self.used + gpus > self.setup.load * NODES * GPUS:
            at = self.draw.randrange(len(self.running))
            self.running[at], self.running[-1] = self.running[-1], self.running[at]
            row = self.running.pop()
            self.used -= self.ledger.charge[self.ledger.klass[row]][0] // 1000
            self._leave(row)

    def _arrive(self, row: int) -> bool:
        place = self.placer.choose(row, (None, ()), False)
        if place is None:
            return bool(self.mover.make_room(row, self.placer))
        self.ledger.place(row, place[0], place[1], BOUND)
        self.mover.note(row, place[0])
        return True

    def _leave(self, row: int) -> None:
        self.mover.on_node[self.ledger.node_of(row)].discard(row)
        self.ledger.evict(row)

    def _placer(self) -> Placer:
        return Placer(self.ledger, replace(self.snapshot, demand=self.demand), self.policy)

    def _size(self) -> int:
        return self.draw.choices(SIZES, [1 / size for size in SIZES])[0]


def _gang(size: int) -> Arrival:
    klass = TaskClass(
        request=(("cpu", _CORES_PER_GPU * size), ("pods", 1)), gpu=GpuRequest(devices=size, portion_milli=1000)
    )
    return Arrival(f"g{size}", klass, _CORES_PER_GPU * size, 0, size, 1000, ())


def _nodes() -> list[Node]:
    allocatable = (("cpu", 96_000), ("gpu", GPUS * 1000), ("memory", 1 << 40), ("pods", 110))
    return [
        Node(name=NodeName(f"n{row:03d}"), allocatable=allocatable, gpus=GPUS, gpu_source="device-plugin")
        for row in range(NODES)
    ]
