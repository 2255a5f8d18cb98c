"""Decision time without an API server: snapshot from plain objects, then decide; median of five."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bench import clusters
from bench.rows import Row, median_ms
from fairlead.model import Action, Policy
from fairlead.scheduling.cycle import decide

Make = Callable[[], clusters.Cluster]


def rows(only: str) -> Iterator[Row]:
    """Every row whose name contains `only`."""
    for name, make, actions in _work():
        if only in f"decide.{name}":
            yield Row(f"decide.{name}", (round(_measure(make(), actions), 2),), "ms")


def _measure(cluster: clusters.Cluster, actions: tuple[Action, ...] | None) -> float:
    policy = Policy(actions=actions) if actions else Policy()
    return median_ms(lambda: decide(cluster.snapshot(), policy, clusters.NOW))


def _work() -> Iterator[tuple[str, Make, tuple[Action, ...] | None]]:
    for nodes, jobs in ((10, 50), (50, 200), (100, 500)):
        yield f"allocate-{nodes}x{jobs}", lambda n=nodes, j=jobs: clusters.pending(n, j), (Action.ALLOCATE,)
    for nodes, jobs in ((10, 50), (50, 200)):
        yield f"reclaim-{nodes}x{jobs}", lambda n=nodes, j=jobs: clusters.all_running(n, j), (Action.RECLAIM,)
    for nodes, jobs in ((10, 50), (50, 200)):
        yield f"preempt-{nodes}x{jobs}", lambda n=nodes, j=jobs: clusters.half_running(n, j), (Action.PREEMPT,)
    for nodes, jobs in ((10, 50), (50, 200)):
        yield f"consolidate-{nodes}x{jobs}", lambda n=nodes, j=jobs: clusters.half_running(n, j), (Action.CONSOLIDATE,)
    for nodes, jobs in ((10, 50), (50, 200), (100, 500)):
        yield f"full-{nodes}x{jobs}", lambda n=nodes, j=jobs: clusters.half_running(n, j), None
    yield "queues-20", lambda: clusters.pending(50, 200, leaves=20), None
    yield "gangs-of-4", lambda: clusters.pending(50, 100, pods=4), None
    for nodes in (10, 50, 100, 200, 500, 1000, 5000):
        yield f"large-gang-{nodes}", lambda n=nodes: clusters.large_gang(n), (Action.RECLAIM,)
