"""Values to a snapshot: bulk, once per distinct class, independent of the order of its input."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import pairwise
from operator import attrgetter
from typing import TypeVar

import msgspec
import numpy as np

from fairlead.model.arrays import F64, I32, I64
from fairlead.model.columns import GroupColumns, NodeColumns, PodColumns, QueueColumns
from fairlead.model.feasible import class_columns, feasibility
from fairlead.model.occupancy import charge_pods, occupy, shared_columns
from fairlead.model.snapshot import Demand, Snapshot
from fairlead.model.units import UNLIMITED, Columns, ModelError, Scalars
from fairlead.model.values import Node, Pod, PodGroup, PodStatus, QueueSpec, SharedGpu, SubGroup, TaskClass

FIRST = ("gpu", "cpu", "memory", "pods")
T = TypeVar("T")


def build_snapshot(  # noqa: PLR0913 - the parts of one cluster, all by keyword
    *,
    pool: str = "",
    nodes: Iterable[Node],
    queues: Iterable[QueueSpec] = (),
    groups: Iterable[PodGroup] = (),
    pods: Iterable[Pod] = (),
    shared_gpus: Iterable[SharedGpu] = (),
    levels: Iterable[tuple[str, str]] = (),
    demand: Iterable[Demand] = (),
) -> Snapshot:
    """The snapshot of one node pool. Shared GPUs that only pods name are added; `levels` are (topology, node label), coarse to fine.

    Raises: ModelError for a name used twice or a pod whose group is not given.
    """
    node_values = _distinct("node", sorted(nodes, key=attrgetter("name")), attrgetter("name"))
    queue_values = _order_queues(_distinct("queue", sorted(queues, key=attrgetter("name")), attrgetter("name")))
    group_values = _order_by_age(_distinct("group", sorted(groups, key=attrgetter("uid")), attrgetter("uid")))
    pod_values, group_rows = _order_pods(
        _distinct("pod", sorted(pods, key=attrgetter("uid")), attrgetter("uid")), group_values
    )
    classes, klass = _intern_classes(pod_values)
    shared = _order_shared(shared_gpus, pod_values, {node.name: row for row, node in enumerate(node_values)})
    level_values, demand_values = tuple(levels), tuple(sorted(demand, key=msgspec.msgpack.encode))
    group_columns, leaves = _group_columns(group_values, group_rows, queue_values)
    pod_columns = _pod_columns(
        pod_values, group_rows, klass, node_values, (group_values, leaves, group_columns), shared
    )
    names = _resource_names(node_values, classes)
    c = class_columns(classes, names)
    n = _node_columns(node_values, names, level_values)
    n, g = occupy(n, shared_columns(node_values, shared), c, pod_columns, _devices(pod_values, shared))
    n = msgspec.structs.replace(n, feasible=feasibility(node_values, classes, n, pod_columns))
    snapshot = Snapshot(
        pool=pool,
        digest="",
        nodes=tuple(node_values),
        shared_gpus=tuple(shared),
        queues=tuple(queue_values),
        groups=tuple(group_values),
        pods=tuple(pod_values),
        classes=tuple(classes),
        levels=level_values,
        demand=demand_values,
        leaves=tuple(leaves),
        n=n,
        g=g,
        c=c,
        p=charge_pods(pod_columns, c, n),
        j=group_columns,
        q=_queue_columns(queue_values),
    )
    _freeze(snapshot.n, snapshot.g, snapshot.c, snapshot.p, snapshot.j, snapshot.q)
    return msgspec.structs.replace(snapshot, digest=_digest(snapshot))


def _distinct(kind: str, values: list[T], key: attrgetter[str]) -> list[T]:
    """The same list; sorted by `key`, so that equal names are neighbours. Raises: ModelError when there are any."""
    names = [key(value) for value in values]
    if len(set(names)) != len(names):
        twice = next(a for a, b in pairwise(names) if a == b)
        raise ModelError(f"{kind} {twice!r} is given twice")
    return values


def _order_by_age(groups: list[PodGroup]) -> list[PodGroup]:
    created = np.array([group.created for group in groups], dtype=np.float64)
    return [groups[row] for row in np.argsort(created, kind="stable").tolist()]


def _order_queues(queues: list[QueueSpec]) -> list[QueueSpec]:
    """Parents first, then by name; queues whose parent is missing are dropped with all below them."""
    depth: dict[str, int] = {}
    ordered: list[QueueSpec] = []
    waiting = queues
    while waiting:
        ready = [queue for queue in waiting if not queue.parent or queue.parent in depth]
        if not ready:
            break
        for queue in ready:
            depth[queue.name] = depth[queue.parent] + 1 if queue.parent else 0
        ordered += ready
        waiting = [queue for queue in waiting if queue.name not in depth]
    return sorted(ordered, key=lambda queue: (depth[queue.name], queue.name))


def _order_pods(pods: list[Pod], groups: list[PodGroup]) -> tuple[list[Pod], I32]:
    """Pods by group, then labelled before unlabelled, higher label, age, uid; with the group row of each."""
    row_of = {group.uid: row for row, group in enumerate(groups)}
    try:
        rows = np.array([row_of[pod.group] for pod in pods], dtype=np.int32)
    except KeyError as missing:
        raise ModelError(f"a pod names the group {missing} which is not given") from None
    created = np.array([pod.created for pod in pods], dtype=np.float64)
    label = np.array([-np.inf if pod.task_priority is None else pod.task_priority for pod in pods], dtype=np.float64)
    order = np.lexsort((created, -label, rows))
    return [pods[row] for row in order.tolist()], rows[order]


def _intern_classes(pods: list[Pod]) -> tuple[list[TaskClass], I32]:
    """Distinct classes in canonical order, and the class row of each pod. Equal objects are hashed once, not once a pod."""
    by_id: dict[int, int] = {}
    by_value: dict[TaskClass, int] = {}
    rows: list[int] = []
    for pod in pods:
        row = by_id.get(id(pod.klass))
        if row is None:
            row = by_id[id(pod.klass)] = by_value.setdefault(pod.klass, len(by_value))
        rows.append(row)
    values = list(by_value)
    keys = [msgspec.msgpack.encode(value) for value in values]
    order = sorted(range(len(values)), key=keys.__getitem__)
    place = np.empty(len(values), dtype=np.int32)
    place[order] = np.arange(len(values), dtype=np.int32)
    return [values[row] for row in order], place[np.array(rows, dtype=np.int32)]


def _order_shared(given: Iterable[SharedGpu], pods: list[Pod], node_row: dict[str, int]) -> list[SharedGpu]:
    """Shared GPUs on known nodes, by node then id, with those that only pods name."""
    known = {gpu.id: gpu for gpu in given}
    for pod in pods:
        for group in pod.shared:
            if group not in known and pod.node:
                known[group] = SharedGpu(id=group, node=pod.node)
    return sorted((gpu for gpu in known.values() if gpu.node in node_row), key=lambda gpu: (node_row[gpu.node], gpu.id))


def _devices(pods: list[Pod], shared: list[SharedGpu]) -> dict[int, tuple[int, ...]]:
    """Pod row to the G rows of its devices, for pods that name any."""
    row_of = {gpu.id: row for row, gpu in enumerate(shared)}
    return {
        at: tuple(row_of[name] for name in pod.shared if name in row_of) for at, pod in enumerate(pods) if pod.shared
    }


def _resource_names(nodes: Sequence[Node], classes: Sequence[TaskClass]) -> tuple[str, ...]:
    names: set[str] = set()
    seen: set[int] = set()
    for node in nodes:
        for scalars in (node.allocatable, node.foreign):
            if id(scalars) not in seen:
                seen.add(id(scalars))
                names.update(name for name, _ in scalars)
        names.update(f"dra:{name}" for name, _ in node.dra)
    for klass in classes:
        names.update(name for name, _ in klass.request)
        names.update(name for name, _ in klass.gpu.mig)
        names.update(f"dra:{name}" for name, _ in klass.claims)
    return FIRST + tuple(sorted(names - set(FIRST)))


def _node_columns(nodes: list[Node], names: tuple[str, ...], levels: tuple[tuple[str, str], ...]) -> NodeColumns:
    column = {name: at for at, name in enumerate(names)}
    allocatable = _amounts([node.allocatable for node in nodes], column)
    foreign = _amounts([node.foreign for node in nodes], column)
    for row, node in enumerate(nodes):
        for name, count in node.dra:
            allocatable[row, column[f"dra:{name}"]] = count
    gpu_like = [
        at
        for name, at in column.items()
        if name == "gpu" or "mig-" in name or (name.startswith("dra:") and "gpu" in name.lower())
    ]
    ready = np.array([node.ready for node in nodes], dtype=np.bool_)
    return NodeColumns(
        resources=names,
        rank=np.arange(len(nodes), dtype=np.int32),
        allocatable=allocatable,
        foreign=foreign,
        idle=allocatable - foreign,
        releasing=np.zeros_like(allocatable),
        gpu_memory_mib=np.array([node.gpu_memory_mib for node in nodes], dtype=np.int64),
        usable=ready & ~np.array([node.unschedulable for node in nodes], dtype=np.bool_),
        ready=ready,
        has_gpu=(allocatable[:, gpu_like] > 0).any(axis=1)
        | np.array([node.mig != "none" for node in nodes], dtype=np.bool_),
        domain=_domains(nodes, levels),
        feasible=np.zeros((0, len(nodes)), dtype=np.bool_),
    )


def _amounts(rows: list[Scalars], column: dict[str, int]) -> I64:
    """[len(rows), len(column)] from scalars; equal scalar objects are read once."""
    kinds: dict[int, int] = {}
    distinct: list[Scalars] = []
    index = [0] * len(rows)
    for at, scalars in enumerate(rows):
        kind = kinds.get(id(scalars))
        if kind is None:
            kind = kinds[id(scalars)] = len(distinct)
            distinct.append(scalars)
        index[at] = kind
    table = np.zeros((max(len(distinct), 1), len(column)), dtype=np.int64)
    for kind, scalars in enumerate(distinct):
        for name, amount in scalars:
            table[kind, column[name]] = min(amount, UNLIMITED)
    return table[np.array(index, dtype=np.int64)] if rows else np.zeros((0, len(column)), dtype=np.int64)


def _domains(nodes: list[Node], levels: tuple[tuple[str, str], ...]) -> I32:
    """[L,N]: a node that lacks any label of a topology is outside all its levels."""
    domain = np.full((len(levels), len(nodes)), -1, dtype=np.int32)
    if not levels:
        return domain
    labels = [dict(node.labels) for node in nodes]
    for topology in dict.fromkeys(name for name, _ in levels):
        rows = [row for row, (name, _) in enumerate(levels) if name == topology]
        keys = [levels[row][1] for row in rows]
        paths = [
            tuple(found.get(key, "") for key in keys) if all(key in found for key in keys) else () for found in labels
        ]
        for depth, row in enumerate(rows, start=1):
            names = sorted({path[:depth] for path in paths if path})
            number = {name: at for at, name in enumerate(names)}
            domain[row] = [number[path[:depth]] if path else -1 for path in paths]
    return domain


def _group_columns(groups: list[PodGroup], pod_groups: I32, queues: list[QueueSpec]) -> tuple[GroupColumns, list[str]]:
    queue_row = {queue.name: row for row, queue in enumerate(queues)}
    leaves = [leaf_subgroups(group) for group in groups]
    counts = np.array([len(found) for found in leaves], dtype=np.int32)
    columns = GroupColumns(
        queue=np.array([queue_row.get(group.queue, -1) for group in groups], dtype=np.int32),
        priority=np.array([group.priority for group in groups], dtype=np.int32),
        preemptible=np.array([group.preemptible for group in groups], dtype=np.bool_),
        started=np.array([np.nan if group.started is None else group.started for group in groups], dtype=np.float64),
        pod_offset=np.searchsorted(pod_groups, np.arange(len(groups) + 1)).astype(np.int32),
        leaf_offset=np.concatenate(([0], np.cumsum(counts))).astype(np.int32),
        leaf_min=np.array([leaf.min_member for found in leaves for leaf in found], dtype=np.int32),
    )
    return columns, [leaf.name for found in leaves for leaf in found]


def leaf_subgroups(group: PodGroup) -> Sequence[SubGroup]:
    """The subgroups of a group that hold pods, by name."""
    if len(group.subgroups) == 1:
        return group.subgroups
    parents = {sub.parent for sub in group.subgroups}
    return sorted((sub for sub in group.subgroups if sub.name not in parents), key=attrgetter("name"))


def _pod_columns(
    pods: list[Pod],
    group_rows: I32,
    klass: I32,
    nodes: list[Node],
    grouping: tuple[list[PodGroup], list[str], GroupColumns],
    shared: list[SharedGpu],
) -> PodColumns:
    node_row: dict[str, int] = {node.name: row for row, node in enumerate(nodes)}
    node = np.array([node_row.get(pod.node, -1) for pod in pods], dtype=np.int32)
    status = np.array([int(pod.status) for pod in pods], dtype=np.int32)
    gpu_row = {gpu.id: row for row, gpu in enumerate(shared)}
    status[(status == PodStatus.HELD) & (node < 0)] = PodStatus.PENDING
    node[(status <= PodStatus.PENDING) | (status >= PodStatus.SUCCEEDED)] = -1
    return PodColumns(
        klass=klass,
        node=node,
        group=group_rows,
        leaf=_leaf_rows(pods, group_rows, grouping),
        status=status,
        shared=np.array([gpu_row.get(pod.shared[0], -1) if pod.shared else -1 for pod in pods], dtype=np.int32),
        charge=np.zeros((len(pods), 3), dtype=np.int64),
    )


def _leaf_rows(pods: list[Pod], group_rows: I32, grouping: tuple[list[PodGroup], list[str], GroupColumns]) -> I32:
    """[P]; a pod that names no leaf of its group goes to the first one."""
    _, leaves, columns = grouping
    rows: I32 = columns.leaf_offset[group_rows] if len(pods) else np.zeros(0, dtype=np.int32)
    many = np.diff(columns.leaf_offset)[group_rows] > 1 if len(pods) else np.zeros(0, dtype=np.bool_)
    rows = rows.astype(np.int32)
    for at in np.flatnonzero(many).tolist():
        first, last = columns.leaf_offset[group_rows[at]], columns.leaf_offset[group_rows[at] + 1]
        found = [row for row in range(first, last) if leaves[row] == pods[at].subgroup]
        rows[at] = found[0] if found else first
    return rows


def _queue_columns(queues: list[QueueSpec]) -> QueueColumns:
    row_of = {queue.name: row for row, queue in enumerate(queues)}
    parent = [row_of[queue.parent] if queue.parent else -1 for queue in queues]
    depth = [0] * len(queues)
    for row, above in enumerate(parent):
        depth[row] = depth[above] + 1 if above >= 0 else 0
    by_age = sorted(range(len(queues)), key=lambda row: (queues[row].created, queues[row].name))
    rank = np.empty(len(queues), dtype=np.int32)
    rank[by_age] = np.arange(len(queues), dtype=np.int32)
    has_child = np.zeros(len(queues), dtype=np.bool_)
    has_child[[above for above in parent if above >= 0]] = True
    return QueueColumns(
        parent=np.array(parent, dtype=np.int32),
        depth=np.array(depth, dtype=np.int32),
        rank=rank,
        deserved=_quotas([queue.deserved for queue in queues]),
        limit=_quotas([queue.limit for queue in queues]),
        weight=_triples([queue.weight for queue in queues]),
        usage=_triples([queue.usage for queue in queues]),
        priority=np.array([queue.priority for queue in queues], dtype=np.int32),
        leaf=~has_child,
    )


def _quotas(rows: list[tuple[int, int, int]]) -> I64:
    return np.array([[min(amount, UNLIMITED) for amount in row] for row in rows], dtype=np.int64).reshape(-1, 3)


def _triples(rows: list[tuple[float, float, float]]) -> F64:
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def _freeze(*tables: Columns) -> None:
    for table in tables:
        for name in table.__struct_fields__:
            array = getattr(table, name)
            if isinstance(array, np.ndarray):
                array.flags.writeable = False


def _bounded(spec: QueueSpec) -> QueueSpec:
    """The same queue with amounts beyond UNLIMITED cut to it, which is what they mean."""
    deserved, limit = (tuple(min(amount, UNLIMITED) for amount in quota) for quota in (spec.deserved, spec.limit))
    return msgspec.structs.replace(spec, deserved=deserved, limit=limit)


def _digest(snapshot: Snapshot) -> str:
    """Names, values that are no columns, and the bytes of the columns, all in canonical order."""
    digest = blake2b(digest_size=16)
    queues = [_bounded(spec) for spec in snapshot.queues]
    digest.update(msgspec.msgpack.encode((snapshot.pool, snapshot.nodes, snapshot.shared_gpus, queues)))
    digest.update(msgspec.msgpack.encode((snapshot.classes, snapshot.levels, snapshot.demand, snapshot.leaves)))
    groups, pods = snapshot.groups, snapshot.pods
    digest.update("\n".join([group.uid for group in groups]).encode())
    digest.update("\n".join([pod.uid for pod in pods]).encode())
    digest.update(msgspec.msgpack.encode([group for group in groups if _is_special(group)]))
    digest.update(msgspec.msgpack.encode([groups[row].queue for row in np.flatnonzero(snapshot.j.queue < 0).tolist()]))
    wishes = [(p.uid, p.shared, p.claims, p.nominated) for p in pods if p.shared or p.claims or p.nominated]
    digest.update(msgspec.msgpack.encode(wishes))
    digest.update(np.array([group.created for group in groups], dtype=np.float64).tobytes())
    p, j = snapshot.p, snapshot.j
    for column in (
        p.klass,
        p.node,
        p.group,
        p.leaf,
        p.status,
        p.shared,
        j.queue,
        j.priority,
        j.preemptible,
        j.started,
        j.leaf_min,
    ):
        digest.update(column.tobytes())
    return digest.hexdigest()


def _is_special(group: PodGroup) -> bool:
    """Whether more of the group counts than its columns hold."""
    only = group.subgroups[0]
    return bool(
        group.hold
        or group.stale_since is not None
        or group.retry_at
        or group.failed_binds
        or group.set_aside
        or group.is_undecidable
        or not group.movable
        or len(group.subgroups) > 1
        or any((group.topology, group.required_level, group.preferred_level))
        or any((only.topology, only.required_level, only.preferred_level))
    )
