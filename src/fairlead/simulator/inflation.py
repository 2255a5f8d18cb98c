"""The inflation experiment: pods arrive one by one at an empty cluster and are tried once; how much of the GPUs gets allocated.

The same ledger, placement and policy as a decision: one ledger lives across all arrivals. Nothing is known in advance: what `fit`
expects to come is learnt from the requests seen so far.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from fairlead.model import (
    UNLIMITED,
    Demand,
    Node,
    Placement,
    Pod,
    PodGroup,
    PodStatus,
    Policy,
    QueueName,
    QueueSpec,
    Snapshot,
    TaskClass,
    Uid,
    build_snapshot,
    demand_row,
)
from fairlead.scheduling.ledger import BOUND, Ledger
from fairlead.scheduling.rules.placement import Placer
from fairlead.simulator.fragments import Fragments
from fairlead.simulator.moves import Mover
from fairlead.simulator.openb import Arrival, arrivals

MARKS: Final = (60, 80, 90, 95, 100, 110, 120, 130)
"""Arrived GPU request in % of the capacity, at which the result is read."""
_QUEUE: Final = QueueName("openb")
_LEARN: Final = ((200, 20), (1000, 50), (4000, 100))
"""Up to so many arrivals, learn every so many; after that every 200."""


class Outcome(Struct, frozen=True, kw_only=True):
    """One run. Percentages are of all GPUs, the mean over the arrivals at that mark; a mark that was not reached is left out.

    `gpu_seconds_moved` = GPUs x the time each moved pod had run, one arrival a second."""

    seed: int
    pods: int
    placed: int
    allocated_pct: dict[str, float]
    frag_pct: dict[str, float]
    moves: int
    gpu_seconds_moved: float


class Setup(Struct, frozen=True, kw_only=True):
    """What an experiment varies. `moves` = pods that may be moved for one refused arrival, 0 = never."""

    seed: int = 42
    inflate: float = 1.3
    moves: int = 0
    placement: Placement = "fit"


def inflate(nodes: Sequence[Node], pods: Sequence[Arrival], setup: Setup, tell: Callable[[int, int], None]) -> Outcome:
    """Runs the experiment; `tell(done, all)` is called now and then."""
    capacity = sum(node.gpus for node in nodes) * 1000
    order = arrivals(pods, capacity, setup.seed, setup.inflate)
    run = _Run(nodes, order, setup, Fragments(nodes, pods))
    marks: dict[int, list[tuple[float, float]]] = {mark: [] for mark in MARKS}
    arrived = 0
    for at, pod in enumerate(order):
        run.arrive(at)
        arrived += pod.asked
        mark = round(100 * arrived / capacity)
        if mark in marks:
            marks[mark].append((run.allocated / capacity, run.fragments.total / capacity))
        if at % 500 == 0:
            tell(at, len(order))
    reached = {str(mark): seen for mark, seen in marks.items() if seen}
    return Outcome(
        seed=setup.seed,
        pods=len(order),
        placed=run.placed,
        allocated_pct={mark: round(100 * sum(a for a, _ in seen) / len(seen), 3) for mark, seen in reached.items()},
        frag_pct={mark: round(100 * sum(f for _, f in seen) / len(seen), 3) for mark, seen in reached.items()},
        moves=run.mover.moves,
        gpu_seconds_moved=float(run.mover.milli_seconds_moved) / 1000,
    )


class _Run:
    """One ledger and what was learnt so far."""

    def __init__(self, nodes: Sequence[Node], order: Sequence[Arrival], setup: Setup, fragments: Fragments) -> None:
        self.order, self.fragments = order, fragments
        self.policy = Policy(
            placement_gpu=setup.placement,
            placement_cpu=setup.placement,
            placement_device=setup.placement,
        )
        self.snapshot = all_pending(nodes, order)
        self.rows = {pod.uid: row for row, pod in enumerate(self.snapshot.pods)}
        self.ledger = Ledger(self.snapshot, self.policy)
        self.placer = Placer(self.ledger, self.snapshot, self.policy)
        self.mover = Mover(self.ledger, setup.moves)
        self.counts: Counter[int] = Counter()
        self.kinds: dict[int, TaskClass] = {}
        self.placed = self.allocated = 0
        self.learn_at = 1

    def arrive(self, at: int) -> None:
        """Tries the next pod once."""
        pod = self.order[at]
        self.counts[id(pod.klass)] += 1
        self.kinds[id(pod.klass)] = pod.klass
        if at >= self.learn_at:
            self._learn(at)
        row = self.rows[uid_of(at)]
        self.mover.now = at
        place = self.placer.choose(row, (None, ()), False)
        touched: list[int] = []
        if place is not None:
            self.ledger.place(row, place[0], place[1], BOUND)
            self.mover.note(row, place[0])
            touched.append(place[0])
        elif pod.asked:
            touched = self.mover.make_room(row, self.placer)
        if touched:
            self.placed += 1
            self.allocated += pod.asked
            for node in touched:
                self.fragments.update(node, self.ledger)

    def _learn(self, at: int) -> None:
        demand = tuple(_demand(self.counts, self.kinds))
        self.placer = Placer(self.ledger, replace(self.snapshot, demand=demand), self.policy)
        self.learn_at = at + next((step for until, step in _LEARN if at < until), 200)


def _demand(counts: Counter[int], kinds: dict[int, TaskClass]) -> Iterator[Demand]:
    for key, often in counts.items():
        yield demand_row(kinds[key], float(often))


def uid_of(at: int) -> Uid:
    """Uid of the arrival at that place in the order."""
    return Uid(f"{at:06d}")


def all_pending(nodes: Sequence[Node], order: Sequence[Arrival]) -> Snapshot:
    """Every arrival as a pending pod of its own group, in one queue without bounds."""
    no_bound = (UNLIMITED, UNLIMITED, UNLIMITED)
    groups = [PodGroup(uid=uid_of(at), namespace="openb", name=pod.name, queue=_QUEUE) for at, pod in enumerate(order)]
    pods = [
        Pod(
            uid=uid_of(at),
            namespace="openb",
            name=pod.name,
            group=uid_of(at),
            klass=pod.klass,
            status=PodStatus.PENDING,
        )
        for at, pod in enumerate(order)
    ]
    return build_snapshot(nodes=nodes, queues=[QueueSpec(name=_QUEUE, deserved=no_bound)], groups=groups, pods=pods)


def summary(outcomes: Sequence[Outcome]) -> dict[str, tuple[float, float]]:
    """Mean and population deviation of the allocated % by mark over several seeds."""
    marks = [mark for mark in outcomes[0].allocated_pct if all(mark in outcome.allocated_pct for outcome in outcomes)]
    table = {mark: np.array([outcome.allocated_pct[mark] for outcome in outcomes]) for mark in marks}
    return {mark: (float(values.mean()), float(values.std())) for mark, values in table.items()}
