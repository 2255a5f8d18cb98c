"""Scale without an API server: 5,000 nodes, 40,000 GPUs, 50,000 running pods, 1,000 pending ones, 200 leaf queues of three levels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

import psutil

from bench.clusters import NOW, Cluster, nodes_of, refused_gang
from bench.rows import Row, median_ms
from fairlead.model import (
    UNLIMITED,
    GpuGroup,
    GpuRequest,
    NodeName,
    Pod,
    PodGroup,
    PodStatus,
    Policy,
    QueueName,
    QueueSpec,
    SubGroup,
    TaskClass,
    Uid,
)
from fairlead.scheduling.cycle import decide
from fairlead.scheduling.explain import explain

NODES, HALVES_A_NODE, WHOLE_A_NODE, PENDING = 5000, 4, 6, 1000
DEPARTMENTS, TEAMS, PROJECTS = 5, 8, 5


def rows(only: str) -> Iterator[Row]:
    """Seconds of a cold full cycle (snapshot and decision), resident memory after it, and an explanation at 1,000 nodes."""
    if only in "scale.full-cycle" or only in "scale.memory":
        yield from _full_cycle()
    if only in "scale.explain-1000":
        yield _explanation()


def _full_cycle() -> Iterator[Row]:
    cluster = _cluster()
    begin = time.perf_counter()
    snapshot = cluster.snapshot()
    built = time.perf_counter()
    decide(snapshot, Policy(), NOW)
    done = time.perf_counter()
    yield Row(
        "scale.full-cycle",
        (round(done - begin, 2),),
        "s",
        f"of it {built - begin:.2f} s building the snapshot, nothing kept warm",
    )
    yield Row(
        "scale.memory",
        (round(psutil.Process().memory_info().rss / 1e9, 2),),
        "GB",
        "objects, snapshot and decision in one process",
    )


def _explanation() -> Row:
    snapshot = refused_gang(1000).snapshot()
    gang = next(pod.group for pod in snapshot.pods if pod.status == PodStatus.PENDING)
    found = explain(snapshot, Policy(), NOW, gang)
    spent = median_ms(lambda: explain(snapshot, Policy(), NOW, gang))
    return Row("scale.explain-1000", (round(spent, 1),), "ms", f"{len(found.fixes)} fixes found and proven")


def _cluster() -> Cluster:
    queues = _queues()
    leaves = [str(queue.name) for queue in queues if str(queue.name).count("/") == 2]
    cluster = Cluster(nodes=nodes_of(NODES), queues=queues)
    half = TaskClass(request=(("cpu", 1000), ("pods", 1)), gpu=GpuRequest(devices=1, portion_milli=500))
    whole = TaskClass(request=(("cpu", 4000), ("pods", 1)), gpu=GpuRequest(devices=1, portion_milli=1000))
    number = count()
    for row in range(NODES):
        node = f"n{row:05d}"
        for at in range(HALVES_A_NODE):
            _pod(cluster, next(number), leaves, half, node, f"{node}/{at // 2}")
        for _ in range(WHOLE_A_NODE):
            _pod(cluster, next(number), leaves, whole, node)
    for _ in range(PENDING):
        _pod(cluster, next(number), leaves, whole)
    return cluster


def _queues() -> list[QueueSpec]:
    total = NODES * 8000
    out = []
    for d in range(DEPARTMENTS):
        out.append(_queue(f"d{d}", "", total // DEPARTMENTS))
        for t in range(TEAMS):
            out.append(_queue(f"d{d}/t{t}", f"d{d}", total // DEPARTMENTS // TEAMS))
            for p in range(PROJECTS):
                out.append(_queue(f"d{d}/t{t}/p{p}", f"d{d}/t{t}", total // DEPARTMENTS // TEAMS // PROJECTS))
    return out


def _queue(name: str, parent: str, gpus: int) -> QueueSpec:
    return QueueSpec(name=QueueName(name), parent=QueueName(parent), deserved=(gpus, UNLIMITED, UNLIMITED))


def _pod(cluster: Cluster, number: int, leaves: list[str], klass: TaskClass, node: str = "", device: str = "") -> None:
    uid = Uid(f"g{number:06d}")
    created = NOW - 1_000_000 + number
    # Skewed on purpose: the first leaves hold more than they deserve, so that reclaim has something to look at.
    queue = leaves[(number * number) % len(leaves)]
    cluster.groups.append(
        PodGroup(
            uid=uid,
            namespace="bench",
            name=uid,
            queue=QueueName(queue),
            subgroups=(SubGroup(name=""),),
            created=created,
            started=created if node else None,
        )
    )
    cluster.pods.append(
        Pod(
            uid=Uid(f"{uid}-0"),
            namespace="bench",
            name=f"{uid}-0",
            group=uid,
            klass=klass,
            status=PodStatus.RUNNING if node else PodStatus.PENDING,
            node=NodeName(node),
            shared=(GpuGroup(device),) if device else (),
            created=created,
        )
    )
