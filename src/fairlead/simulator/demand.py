"""What `fit` placement expects to come: how often each request was asked. A scenario file's own gangs, where it says nothing else."""

from collections import Counter
from collections.abc import Iterable

from fairlead.model import Demand, demand_row
from fairlead.model.values import TaskClass
from fairlead.simulator.scenario.spec import GangSpec


def demand_of(gangs: Iterable[GangSpec]) -> tuple[Demand, ...]:
    """The requests of these gangs with their counts."""
    kinds: dict[int, TaskClass] = {}
    counts: Counter[int] = Counter()
    for gang in gangs:
        for pod in gang.pods:
            klass = pod.ask.klass
            kinds[id(klass)] = klass
            counts[id(klass)] += 1
    totals: dict[TaskClass, float] = {}
    for key, count in counts.items():
        totals[kinds[key]] = totals.get(kinds[key], 0.0) + count
    return tuple(demand_row(klass, often) for klass, often in totals.items())
