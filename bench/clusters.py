"""Clusters of the decision benchmarks as plain values: nodes of 8 GPUs, one-GPU jobs, queues of equal quota in two departments."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from fairlead.model import (
    UNLIMITED,
    GpuRequest,
    Node,
    NodeName,
    Pod,
    PodGroup,
    PodStatus,
    QueueName,
    QueueSpec,
    Snapshot,
    SubGroup,
    TaskClass,
    Uid,
    build_snapshot,
)

NOW = 1_000_000.0
FREE = (UNLIMITED, UNLIMITED, UNLIMITED)


@dataclass
class Cluster:
    """Plain objects; `snapshot` turns them into the scheduler's input."""

    nodes: list[Node]
    queues: list[QueueSpec]
    groups: list[PodGroup] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)
    classes: dict[int, TaskClass] = field(default_factory=dict)

    def job(self, queue: str, gpus: int = 1, pods: int = 1, priority: int = 50, node: str = "") -> None:
        """One gang, running on `node` or pending."""
        number = len(self.groups)
        uid = Uid(f"g{number:06d}")
        created = NOW - 100_000 + number
        self.groups.append(
            PodGroup(
                uid=uid,
                namespace="bench",
                name=uid,
                queue=QueueName(queue),
                priority=priority,
                subgroups=(SubGroup(name="", min_member=pods),),
                created=created,
                started=created if node else None,
            )
        )
        klass = self.classes.setdefault(
            gpus, TaskClass(request=(("pods", 1),), gpu=GpuRequest(devices=gpus, portion_milli=1000))
        )
        status = PodStatus.RUNNING if node else PodStatus.PENDING
        for index in range(pods):
            self.pods.append(
                Pod(
                    uid=Uid(f"{uid}-{index}"),
                    namespace="bench",
                    name=f"{uid}-{index}",
                    group=uid,
                    klass=klass,
                    status=status,
                    node=NodeName(node),
                    created=created,
                )
            )

    def snapshot(self) -> Snapshot:
        """Built anew each time: this is part of what is measured."""
        return build_snapshot(nodes=self.nodes, queues=self.queues, groups=self.groups, pods=self.pods)


def empty(nodes: int, leaves: int = 4) -> Cluster:
    """Nodes and `leaves` queues of equal quota in two departments."""
    total = nodes * 8000
    tops = [
        QueueSpec(name=QueueName(f"d{d}"), deserved=(total // 2, UNLIMITED, UNLIMITED), created=float(d))
        for d in range(2)
    ]
    below = [
        QueueSpec(
            name=QueueName(f"q{q}"),
            parent=QueueName(f"d{q % 2}"),
            deserved=(total // leaves, UNLIMITED, UNLIMITED),
            created=float(q),
        )
        for q in range(leaves)
    ]
    return Cluster(nodes=nodes_of(nodes), queues=tops + below)


def pending(nodes: int, jobs: int, leaves: int = 4, pods: int = 1) -> Cluster:
    """An empty cluster with `jobs` waiting."""
    cluster = empty(nodes, leaves)
    for number in range(jobs):
        cluster.job(f"q{number % leaves}", pods=pods)
    return cluster


def all_running(nodes: int, jobs: int) -> Cluster:
    """All jobs run, nothing waits."""
    cluster = empty(nodes)
    for number in range(jobs):
        cluster.job(f"q{number % 4}", node=f"n{number % nodes:05d}")
    return cluster


def half_running(nodes: int, jobs: int) -> Cluster:
    """Half of the jobs run, half wait; all of priority train."""
    cluster = empty(nodes)
    for number in range(jobs // 2):
        cluster.job(f"q{number % 4}", node=f"n{number % nodes:05d}")
    for number in range(jobs - jobs // 2):
        cluster.job(f"q{number % 4}")
    return cluster


def large_gang(nodes: int) -> Cluster:
    """Full of one-GPU jobs of a queue without quota; one gang of nodes/10 pods of 8 GPUs in the queue that deserves everything."""
    cluster = Cluster(
        nodes=nodes_of(nodes),
        queues=[
            QueueSpec(name=QueueName("queue-0"), deserved=(0, UNLIMITED, UNLIMITED)),
            QueueSpec(name=QueueName("queue-1"), deserved=(nodes * 8000, UNLIMITED, UNLIMITED), created=1.0),
        ],
    )
    for number in range(nodes * 8):
        cluster.job("queue-0", node=f"n{number // 8:05d}")
    cluster.job("queue-1", gpus=8, pods=max(1, nodes // 10))
    return cluster


def refused_gang(nodes: int) -> Cluster:
    """The same, but both queues are owed everything: the gang waits, and only a change of something would start it."""
    cluster = large_gang(nodes)
    cluster.queues = [msgspec.structs.replace(queue, deserved=cluster.queues[1].deserved) for queue in cluster.queues]
    return cluster


def nodes_of(count: int) -> list[Node]:
    """`count` nodes of 8 GPUs."""
    allocatable = (("cpu", 64_000), ("gpu", 8000), ("memory", 512 << 30), ("pods", 110))
    return [
        Node(
            name=NodeName(f"n{row:05d}"),
            allocatable=allocatable,
            gpus=8,
            gpu_source="device-plugin",
            gpu_memory_mib=81_920,
        )
        for row in range(count)
    ]
