"""Builders of small clusters for tests: `a_node("n1", gpus=8)`, `a_gang("t", 4, gpus=1)`, `a_queue("ai", 8)`."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.model import (
    UNLIMITED,
    GpuRequest,
    Node,
    Pod,
    PodGroup,
    PodStatus,
    QueueSpec,
    Snapshot,
    SubGroup,
    TaskClass,
    build_snapshot,
)

GIB = 1 << 30
Gang = tuple[PodGroup, list[Pod]]


def a_node(
    name: str, gpus: int = 8, *, cpu: int = 64_000, memory: int = 512 * GIB, pods: int = 110, **more: Any
) -> Node:
    """A ready node with device-plugin GPUs and its hostname label."""
    allocatable = (("cpu", cpu), ("gpu", gpus * 1000), ("memory", memory), ("pods", pods))
    labels = tuple(sorted({"kubernetes.io/hostname": name, **dict(more.pop("labels", {}))}.items()))
    return Node(
        name=name,
        allocatable=allocatable,
        gpus=gpus,
        gpu_source="device-plugin" if gpus else "none",
        labels=labels,
        **more,
    )


def a_class(
    gpus: float = 0, *, devices: int = 1, gpu_memory: int = 0, cpu: int = 0, memory: int = 0, **more: Any
) -> TaskClass:
    """A class that asks whole devices (gpus >= 1), a part of `devices` devices, or memory of them."""
    if gpu_memory:
        gpu = GpuRequest(devices=devices, memory_mib=gpu_memory)
    elif 0 < gpus < 1:
        gpu = GpuRequest(devices=devices, portion_milli=round(gpus * 1000))
    else:
        gpu = GpuRequest(devices=int(gpus), portion_milli=1000 if gpus else 0)
    request = tuple((name, amount) for name, amount in (("cpu", cpu), ("memory", memory), ("pods", 1)) if amount)
    return TaskClass(request=request, gpu=gpu, **more)


def a_queue(
    path: str, gpus: int | None = 0, *, limit: int | None = None, weight: float = 2.0, **more: Any
) -> QueueSpec:
    """A queue named by its path; None = unlimited; CPU and memory are unlimited unless `cpu=(deserved, limit)` is given."""
    deserved = (UNLIMITED if gpus is None else gpus * 1000, UNLIMITED, UNLIMITED)
    limits = (UNLIMITED if limit is None else limit * 1000, UNLIMITED, UNLIMITED)
    more = {"deserved": deserved, "limit": limits, "weight": (weight, weight, weight), **more}
    return QueueSpec(name=path, parent=path.rpartition("/")[0], **more)


def a_gang(name: str, queue: str, klass: TaskClass, *, pods: int = 1, minimum: int | None = None, **more: Any) -> Gang:
    """A group and its pods; `on` (a node name, or one or None per pod) makes them running, `age` counts seconds before 1,000,000."""
    on, age = more.pop("on", None), more.pop("age", 0.0)
    status = more.pop("status", PodStatus.RUNNING if on else PodStatus.PENDING)
    shared = more.pop("shared", ())
    priority = more.setdefault("priority", 50)
    more.setdefault("preemptible", priority < 100)
    created = 1_000_000.0 - age
    leaf = SubGroup(name="", min_member=pods if minimum is None else minimum)
    group = PodGroup(uid=name, namespace="default", name=name, queue=queue, subgroups=(leaf,), created=created, **more)
    nodes = [on] * pods if isinstance(on, str) or on is None else list(on)
    members = [
        Pod(
            uid=f"{name}-{at}",
            namespace="default",
            name=f"{name}-{at}",
            group=name,
            klass=klass,
            status=status if nodes[at] or not on else PodStatus.PENDING,
            node=nodes[at] or "",
            shared=shared,
            created=created + at * 1e-3,
        )
        for at in range(pods)
    ]
    return group, members


def a_cluster(nodes: list[Node], queues: list[QueueSpec], gangs: list[Gang], **more: Any) -> Snapshot:
    """The snapshot of it; queues are as old as they stand in the list."""
    aged = [queue if queue.created else _aged(queue, at) for at, queue in enumerate(queues)]
    return build_snapshot(
        nodes=nodes,
        queues=aged,
        groups=[group for group, _ in gangs],
        pods=[pod for _, pods in gangs for pod in pods],
        **more,
    )


def _aged(queue: QueueSpec, at: int) -> QueueSpec:
    return msgspec.structs.replace(queue, created=float(at + 1))
