"""Patches: the same snapshot with one queue or group changed, without building it anew. For questions, not for the wire: the digest is
that of the original with a mark."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from fairlead.model.arrays import I32, I64
from fairlead.model.snapshot import Snapshot
from fairlead.model.units import UNLIMITED
from fairlead.model.values import PodGroup, QueueSpec


def with_queue(snapshot: Snapshot, spec: QueueSpec) -> Snapshot:
    """Another deserved amount or limit for the queue of that name; its place in the tree stays.

    Raises: StopIteration when no queue has the name.
    """
    row = next(at for at, queue in enumerate(snapshot.queues) if queue.name == spec.name)
    queues = (*snapshot.queues[:row], spec, *snapshot.queues[row + 1 :])
    columns = replace(
        snapshot.q,
        deserved=_quota(snapshot.q.deserved, row, spec.deserved),
        limit=_quota(snapshot.q.limit, row, spec.limit),
    )
    return replace(snapshot, queues=queues, q=columns, digest=f"{snapshot.digest}+queue")


def with_group(snapshot: Snapshot, group: PodGroup) -> Snapshot:
    """Another priority, preemptibility or minimum for the group of that uid; its pods, queue and number of subgroups stay.

    Raises: StopIteration when no group has the uid.
    """
    row = next(at for at, one in enumerate(snapshot.groups) if one.uid == group.uid)
    groups = (*snapshot.groups[:row], group, *snapshot.groups[row + 1 :])
    least = snapshot.j.leaf_min
    first, last = int(snapshot.j.leaf_offset[row]), int(snapshot.j.leaf_offset[row + 1])
    if last - first == 1:
        least = _one(least, first, group.subgroups[0].min_member)
    preemptible = snapshot.j.preemptible.copy()
    preemptible[row] = group.preemptible
    columns = replace(
        snapshot.j, priority=_one(snapshot.j.priority, row, group.priority), preemptible=preemptible, leaf_min=least
    )
    return replace(snapshot, groups=groups, j=columns, digest=f"{snapshot.digest}+group")


def _quota(table: I64, row: int, quota: tuple[int, int, int]) -> I64:
    changed = table.copy()
    changed[row] = [min(amount, UNLIMITED) for amount in quota]
    return changed


def _one(column: I32, row: int, value: int) -> I32:
    changed = np.array(column)
    changed[row] = value
    return changed
