"""Sums over a world by name: what pods, gangs and queues ask for and are charged; whole GPUs free on nodes."""

from collections import defaultdict
from collections.abc import Callable
from typing import TypeAlias

from fairlead.model import PodStatus, Snapshot
from fairlead.simulator.world import World

Amounts3: TypeAlias = tuple[int, int, int]
"""GPU milli, CPU milli, memory bytes."""
_CHARGED = (PodStatus.BINDING, PodStatus.BOUND, PodStatus.RUNNING)
_OVER = (PodStatus.SUCCEEDED, PodStatus.FAILED)


def requested(world: World, snapshot: Snapshot) -> dict[str, Amounts3]:
    """By pod, gang and queue (children included): the sum of requests of all that is not over."""
    return _sums(world, snapshot, lambda status: status not in _OVER)


def allocated(world: World, snapshot: Snapshot) -> dict[str, Amounts3]:
    """By pod, gang and queue (children included): the charge of what is bound or running."""
    return _sums(world, snapshot, lambda status: status in _CHARGED)


def whole_gpus(snapshot: Snapshot) -> dict[str, tuple[int, int]]:
    """By node: (whole GPUs free now, whole GPUs being freed and not yet promised), in milli."""
    idle = snapshot.n.idle[:, 0]
    releasing = snapshot.n.releasing[:, 0]
    return {
        str(node.name): (max(0, int(idle[row]) + min(0, int(releasing[row]))), max(0, int(releasing[row])))
        for row, node in enumerate(snapshot.nodes)
    }


def _sums(world: World, snapshot: Snapshot, counts: Callable[[PodStatus], bool]) -> dict[str, Amounts3]:
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    rows = {pod.uid: row for row, pod in enumerate(snapshot.pods)}
    for member in world.members:
        if member.status is None or member.uid not in rows or not counts(member.status):
            continue
        charge = [int(amount) for amount in snapshot.p.charge[rows[member.uid]]]
        for name in (member.spec.name, member.gang.spec.name, *_path(member.gang.spec.queue)):
            total = sums[name]
            for axis, amount in enumerate(charge):
                total[axis] += amount
    return {name: (total[0], total[1], total[2]) for name, total in sums.items()}


def _path(queue: str) -> list[str]:
    parts = queue.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
