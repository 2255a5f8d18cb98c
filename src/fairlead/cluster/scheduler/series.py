"""Decisions as gauges: what is allocated, requested and guaranteed, who waits and how long, per workload, project, queue and node. Pure.

What has the same name and labels is added up: a workload's pods, and a project's queues in several node pools.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from fairlead.cluster.scheduler.queues import QueueUse
from fairlead.model import UNLIMITED, Plan, Pod, PodStatus, QueueSpec, Snapshot
from fairlead.objects import fields
from fairlead.objects import pod as objects
from fairlead.objects.kai import Queue
from fairlead.objects.meta import controller_of
from fairlead.objects.quantity import amount
from fairlead.objects.times import seconds_of
from fairlead.runtime.instruments import Sample
from fairlead.runtime.metrics import METRICS

_PLACED: Final = (PodStatus.BINDING, PodStatus.BOUND, PodStatus.RUNNING, PodStatus.RELEASING)
_REQUESTED: Final = (
    "runai_active_job_{}_requested_{}",
    "runai_active_job_{}_allocated_{}",
    "runai_running_job_{}_requested_{}",
)
"""Of pods that have a place; the last one of those that run."""
_SET: Final = {"fairlead_scheduler_last_cycle_timestamp_seconds"}
"""Gauges of the scheduler that are set where it works."""
NAMES: Final = tuple(m.name for m in METRICS if m.source == "scheduler" and m.kind == "gauge" and m.name not in _SET)

_INFINITE: Final = float("inf")
_MIB: Final = 1 << 20
Labels = tuple[str, ...]


class Decided(Struct, frozen=True, kw_only=True):
    """A decision and what it was made on. `queues`: their objects; `now` in seconds since the epoch."""

    snapshot: Snapshot
    plan: Plan
    pods: Mapping[str, objects.Pod]
    queues: tuple[Queue, ...]
    now: float


class _Unit(Struct, frozen=True):
    """Whose queue it is: the project is empty for a department's."""

    project: str
    department: str


class _Values:
    """Sums and largest values by name and labels."""

    def __init__(self) -> None:
        self.by_key: dict[tuple[str, Labels], float] = {}

    def add(self, name: str, value: float, *labels: str) -> None:
        key = (name, labels)
        self.by_key[key] = self.by_key.get(key, 0.0) + value

    def most(self, name: str, value: float, *labels: str) -> None:
        key = (name, labels)
        self.by_key[key] = max(self.by_key.get(key, 0.0), value)


def values_of(decisions: Sequence[Decided]) -> Iterator[Sample]:
    """All gauges of `NAMES`, over all node pools."""
    values = _Values()
    values.add("runai_allocated_gpus", 0)
    for decided in decisions:
        units = _units(decided)
        work = _Work(decided, units)
        work.count(values)
        _queues(decided, units, work, values)
        _waiting(decided, work, values)
        _nodes(decided, work, values)
    _projects(decisions, values)
    return (Sample(name, labels, value) for (name, labels), value in values.by_key.items())


def _units(decided: Decided) -> dict[str, _Unit]:
    """Queue's name to whose it is: by its labels, else a leaf is a project and its parent the department."""
    labels = {queue.metadata.name: queue.metadata.labels for queue in decided.queues}
    units = {}
    for row, queue in enumerate(decided.snapshot.queues):
        mine = labels.get(queue.name, {})
        is_project = fields.DEPARTMENT not in mine and bool(decided.snapshot.q.leaf[row])
        units[str(queue.name)] = _Unit(
            mine.get(fields.PROJECT, str(queue.name) if is_project else ""),
            mine.get(fields.DEPARTMENT, str(queue.parent if is_project else queue.name)),
        )
    return units


# queues and projects


def _queues(decided: Decided, units: Mapping[str, _Unit], work: _Work, values: _Values) -> None:
    snapshot, shares, use = decided.snapshot, dict(decided.plan.fair_share), QueueUse(decided.snapshot)
    for row, queue in enumerate(snapshot.queues):
        unit = units[str(queue.name)]
        labels = (str(queue.name), unit.project, unit.department, snapshot.pool)
        allocated, deserved = int(use.allocated[row][0]), queue.deserved[0]
        values.add("fairlead_queue_deserved_gpus", _devices(deserved), *labels)
        values.add("fairlead_queue_limit_gpus", _devices(queue.limit[0]), *labels)
        values.add("fairlead_queue_fair_share_gpus", _devices(shares.get(queue.name, (0, 0, 0))[0]), *labels)
        values.add("fairlead_queue_allocated_gpus", allocated / 1000, *labels)
        values.add("fairlead_queue_allocated_non_preemptible_gpus", int(use.fixed[row][0]) / 1000, *labels)
        values.add("fairlead_queue_requested_gpus", int(use.requested[row][0]) / 1000, *labels)
        waited = (since for asked, since in work.waits.get(row, ()) if asked and allocated + asked <= deserved)
        longest = max((decided.now - since for since in waited), default=0.0)
        values.most("fairlead_queue_waiting_within_quota_seconds", longest, *labels)
        if unit.project:
            values.add("runai_project_guaranteed_gpus", _devices(deserved), unit.project)
            values.add("runai_allocated_gpu_count_per_project", allocated / 1000, unit.project)


def _projects(decisions: Sequence[Decided], values: _Values) -> None:
    """One line a project, over all node pools."""
    found: dict[tuple[str, str], list[QueueSpec]] = {}
    for decided in decisions:
        units = _units(decided)
        for queue in decided.snapshot.queues:
            unit = units[str(queue.name)]
            if unit.project:
                found.setdefault((unit.project, unit.department), []).append(queue)
    for labels, queues in found.items():
        gpus, cpu, memory = (_total(queue.deserved[k] for queue in queues) for k in range(3))
        values.add("runai_project_info", 1, *labels, _text(gpus, 1000), _text(cpu, 1000), _text(memory, 1))


def _total(amounts: Iterable[int]) -> int:
    listed = list(amounts)
    return UNLIMITED if any(amount >= UNLIMITED for amount in listed) else sum(listed)


def _text(amount: int, unit: int) -> str:
    return "unlimited" if amount >= UNLIMITED else f"{amount / unit:g}" if unit > 1 else str(amount)


def _devices(milli: int) -> float:
    return _INFINITE if milli >= UNLIMITED else milli / 1000


# work


class _Work:
    """The pods of a decision by the workload they belong to."""

    def __init__(self, decided: Decided, units: Mapping[str, _Unit]) -> None:
        snapshot = decided.snapshot
        self._decided = decided
        self.projects = [
            units[str(snapshot.queues[queue].name)].project if queue >= 0 else "" for queue in snapshot.j.queue.tolist()
        ]
        """Of each group; empty for one whose queue is missing."""
        self._labels: dict[int, Labels] = {}
        self._status: dict[Labels, int] = {}
        self.waits: dict[int, list[tuple[int, float]]] = {}
        """Row of a queue to its waiting groups: GPUs in 1/1000, and since when."""
        self.on_node = [0] * len(snapshot.nodes)
        """GPUs in use by our pods, in 1/1000."""

    def count(self, values: _Values) -> None:
        """Adds what pods hold and ask for, and each workload's status and wait."""
        snapshot = self._decided.snapshot
        charges, groups = snapshot.p.charge.tolist(), snapshot.p.group.tolist()
        wanting: dict[int, tuple[int, float]] = {}
        for row, pod in enumerate(snapshot.pods):
            labels, (gpu, cpu, memory) = self._of(groups[row], pod), charges[row]
            values.add("runai_job_requested_gpus", gpu / 1000, *labels)
            if asked := pod.klass.gpu.memory_mib * pod.klass.gpu.devices:
                values.add("runai_job_requested_gpu_memory", asked * _MIB, *labels)
            placed = pod.status in _PLACED
            self._note_status(labels, pod.status)
            for name in ("runai_job_allocated_gpus", "runai_allocated_gpu_count_per_workload"):
                values.add(name, gpu / 1000 if placed else 0, *labels)
            made = self._decided.pods.get(str(pod.uid))
            if made is not None:
                self._note_object(made, pod, labels, values)
            if placed:
                self._place(row, pod, (gpu, cpu, memory), labels, values)
            elif pod.status == PodStatus.PENDING:
                before, since = wanting.get(groups[row], (0, _INFINITE))
                wanting[groups[row]] = (before + gpu, min(since, pod.created))
                values.most("fairlead_workload_waiting_seconds", self._decided.now - pod.created, *labels)
        for group, wait in wanting.items():
            self.waits.setdefault(int(snapshot.j.queue[group]), []).append(wait)
        self._statuses(values)

    def _place(self, row: int, pod: Pod, charge: Sequence[int], labels: Labels, values: _Values) -> None:
        gpu, cpu, memory = charge
        job, named = (labels[0], labels[2]), (pod.namespace, pod.name, str(pod.uid), str(pod.node))
        values.add("runai_allocated_gpus", gpu / 1000)
        for name in _REQUESTED if pod.status == PodStatus.RUNNING else _REQUESTED[:2]:
            values.add(name.format("cpu", "cores"), cpu / 1000, *job)
            values.add(name.format("memory", "bytes"), memory, *job)
        if (node := int(self._decided.snapshot.p.node[row])) >= 0:
            self.on_node[node] += gpu
        if gpu:
            values.add("runai_allocated_gpu_count_per_pod", gpu / 1000, *named)
        values.add("runai_allocated_millicpus_per_pod", cpu, *named)
        values.add("runai_allocated_memory_per_pod", memory, *named)
        values.most("fairlead_pod_info", 1, *named, *labels)

    def _note_object(self, made: objects.Pod, pod: Pod, labels: Labels, values: _Values) -> None:
        """What only the pod's object tells: images, limits, and when it was started."""
        job, now, started = (labels[0], labels[2]), self._decided.now, seconds_of(made.status.start_time)
        values.most("runai_job_total_wait_time", (started or now) - pod.created, labels[2])
        for container in made.spec.containers:
            values.most("runai_job_image", 1, container.image, *job)
        if pod.status != PodStatus.RUNNING:
            return
        limits = [container.resources.limits for container in made.spec.containers]
        values.add("runai_running_job_cpu_limit_cores", sum(amount(each, "cpu") for each in limits) / 1000, *job)
        values.add("runai_running_job_memory_limit_bytes", sum(amount(each, "memory") for each in limits), *job)
        values.most("runai_job_total_runtime", now - started if started else 0.0, labels[2])

    def _note_status(self, labels: Labels, status: PodStatus) -> None:
        """The furthest of its pods speaks for a workload."""
        rank = 2 if status == PodStatus.RUNNING else 1 if status in _PLACED else 0
        self._status[labels] = max(self._status.get(labels, 0), rank)

    def _statuses(self, values: _Values) -> None:
        for labels, rank in self._status.items():
            status = ("Pending", "Initializing", "Running")[rank]
            values.add("runai_job_status_with_info", 1, *labels, status)
            values.add("fairlead_workloads", 1, labels[3], self._decided.snapshot.pool, status)

    def _of(self, group: int, pod: Pod) -> Labels:
        """Name, type, id and project of the workload: our labels, else the gang, else who made the pod."""
        if group not in self._labels:
            self._labels[group] = self._read(group, pod)
        return self._labels[group]

    def _read(self, group: int, pod: Pod) -> Labels:
        value, made = self._decided.snapshot.groups[group], self._decided.pods.get(str(pod.uid))
        labels = made.metadata.labels if made else {}
        owner = controller_of(made.metadata) if made else None
        name = labels.get(fields.WORKLOAD, value.name)
        kind = labels.get(fields.WORKLOAD_KIND, owner.kind if owner else "Pod")
        return name, kind, labels.get(fields.WORKLOAD_ID, str(value.uid)), self.projects[group]


def _waiting(decided: Decided, work: _Work, values: _Values) -> None:
    rows = {group.uid: row for row, group in enumerate(decided.snapshot.groups)}
    for outcome in decided.plan.outcomes:
        if outcome.result == "waiting" and outcome.reasons:
            project = work.projects[rows[outcome.group]]
            values.add("fairlead_waiting", 1, project, decided.snapshot.pool, outcome.reasons[0].code.value)


# machines


def _nodes(decided: Decided, work: _Work, values: _Values) -> None:
    snapshot = decided.snapshot
    at = {name: column for column, name in enumerate(snapshot.n.resources)}
    taken = (snapshot.n.allocatable - snapshot.n.idle).tolist()
    for row, node in enumerate(snapshot.nodes):
        name, takes = str(node.name), node.ready and not node.unschedulable
        values.add("runai_node_cpu_requested_cores", taken[row][at["cpu"]] / 1000, name)
        values.add("runai_node_requested_memory_bytes", taken[row][at["memory"]], name)
        state = "ready" if takes else "cordoned" if node.ready else "not-ready"
        values.add("fairlead_nodes", 1, snapshot.pool, state)
        if not node.gpus:
            continue
        allocated, foreign = work.on_node[row] / 1000, int(snapshot.n.foreign[row][at["gpu"]]) / 1000
        values.add("runai_gpu_count_per_node", node.gpus, name)
        values.add("runai_allocated_gpu_count_per_node", allocated, name)
        free = max(node.gpus - allocated - foreign, 0)
        for kind, count in (
            ("allocated", allocated),
            ("foreign", foreign),
            ("free", free if takes else 0),
            ("unusable", 0 if takes else free),
        ):
            values.add("fairlead_node_pool_gpus", count, snapshot.pool, kind)
