"""Snapshot: all a decision may depend on besides Policy and the time; one node pool of one cluster."""

from __future__ import annotations

from fairlead.model.columns import ClassColumns, GroupColumns, NodeColumns, PodColumns, QueueColumns, SharedColumns
from fairlead.model.units import Columns
from fairlead.model.values import GpuRequest, Node, NodeRule, Pod, PodGroup, QueueSpec, SharedGpu, TaskClass

Demand = tuple[GpuRequest, int, int, float] | tuple[GpuRequest, int, int, float, NodeRule]
"""(request, cpu milli, memory bytes, how often asked, decayed[, where it may go]): what `fit` placement expects to come."""


def demand_row(klass: TaskClass, often: float) -> Demand:
    """The demand for pods of that class, asked that often."""
    request = dict(klass.request)
    return klass.gpu, request.get("cpu", 0), request.get("memory", 0), often, klass.rule


class Snapshot(Columns, frozen=True, kw_only=True):
    """Values and the columns made of them. `digest` = blake2b of all that can change a decision: equal input, equal digest."""

    pool: str
    digest: str
    nodes: tuple[Node, ...]
    shared_gpus: tuple[SharedGpu, ...]
    queues: tuple[QueueSpec, ...]
    """As many as rows: orphans are left out."""
    groups: tuple[PodGroup, ...]
    pods: tuple[Pod, ...]
    classes: tuple[TaskClass, ...]
    levels: tuple[tuple[str, str], ...]
    """(topology, node label) of each row of NodeColumns.domain, coarse to fine."""
    demand: tuple[Demand, ...]
    leaves: tuple[str, ...]
    """Names of the subgroup leaves by row."""
    n: NodeColumns
    g: SharedColumns
    c: ClassColumns
    p: PodColumns
    j: GroupColumns
    q: QueueColumns
