"""Objects as the rows a control plane lists. Pure: everything a row shows comes in as an argument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fairlead.model.charges import memory_charge
from fairlead.objects import builtin, fields, kai
from fairlead.objects import organisation as org
from fairlead.objects import pod as objects
from fairlead.objects.kinds import kind_of
from fairlead.objects.meta import condition_of
from fairlead.objects.quantity import Quantity, amount
from fairlead.objects.times import seconds_of
from fairlead.objects.workload import Workload
from fairlead.wire.agent import (
    DeviceRow,
    HistoryEntry,
    Holder,
    NodeRow,
    PodRow,
    QueueRow,
    ReasonText,
    WorkloadRow,
)
from fairlead.wire.reasons import from_lines
from fairlead.workloads.evictions import eviction_of, told
from fairlead.workloads.gpus import count_of, devices_of, gpu_milli, gpu_of
from fairlead.workloads.pods import ranks_of
from fairlead.workloads.priority import is_preemptible, priority_of
from fairlead.workloads.status import ended_at, exit_code_of, failure_of, held_up

DEFAULT_POOL = "default"
_MOST_ROWS = 1024
"""Devices listed of a node that only counts them: more is no node but a mistake."""


def workload_id(workload: Workload) -> str:
    """The id the control plane gave, else the object's UID."""
    return workload.spec.workload_id or workload.metadata.uid


def device_mib(node: builtin.Node | None) -> int:
    """Memory of each device of the node in MiB, as the scheduler reads it; 0 where it is not known."""
    return count_of(node.metadata.labels.get(fields.GPU_MEMORY_LABEL), 0) if node is not None else 0


def workload_row(
    workload: Workload, pods: Sequence[objects.Pod], *, simulated: bool, sizes: Mapping[str, int]
) -> WorkloadRow:
    """A workload with its pods. `sizes`: node -> memory of its devices in MiB."""
    spec, status, meta = workload.spec, workload.status, workload.metadata
    priority = priority_of(spec.priority or "train")
    phase = condition_of(status.conditions, "Phase")
    codes = [c for c in (exit_code_of(p) for p in pods) if c is not None]
    pods_asked = ranks_of(workload)
    queued, queued_as = queued_since(pods) if status.phase == "Pending" else (0.0, "")
    reasons = reasons_of(pods) if status.phase == "Pending" and not status.next_try_at else ()
    return WorkloadRow(
        id=workload_id(workload),
        kind=kind_of(workload).kind,
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        phase=status.phase or "Creating",
        message=reasons[0].message if reasons else status.phase_message,
        reasons=reasons,
        created=_time(meta.creation_timestamp),
        started=seconds_of(status.started_at),
        completed=seconds_of(status.completed_at),
        phase_since=_time(phase.last_transition_time if phase else meta.creation_timestamp),
        running_pods=status.running_pods,
        requested_pods=pods_asked,
        requested_gpu_milli=0 if spec.gpu_memory_mib else pods_asked * spec.gpu_devices * (spec.gpu_milli or 1000),
        requested_gpu_memory_mib=pods_asked * spec.gpu_devices * spec.gpu_memory_mib,
        allocated_gpu_milli=_by_memory(pods, sizes) if spec.gpu_memory_mib else status.allocated_gpu_milli,
        requested_cpu_milli=pods_asked * spec.cpu_milli,
        requested_memory_bytes=pods_asked * spec.memory_bytes,
        nodes=status.nodes,
        image=spec.image,
        priority_class=spec.priority or "train",
        priority=priority,
        preemptible=is_preemptible(priority, spec.preemptible),
        queued=queued,
        queued_as=queued_as,
        evictions=status.evictions,
        next_try=seconds_of(status.next_try_at),
        exit_code=codes[-1] if codes and status.phase in ("Completed", "Failed") else None,
        submitted_by=spec.requested_by,
        suspended=spec.suspended,
        simulated=simulated,
        pool=next(iter(spec.node_pools), DEFAULT_POOL),
        history=_history(workload, pods),
    )


def indices_of(pod: objects.Pod, report: org.NodeReport | None) -> tuple[int, ...]:
    """Indices of the devices a pod has: as its node wrote them on it, else by what its node reports."""
    if report is None or fields.DEVICES in pod.metadata.annotations:
        return devices_of(pod)
    told = pod.metadata.annotations.get(fields.VISIBLE_DEVICES, "").split(",")
    name = f"{pod.metadata.namespace}/{pod.metadata.name}"
    return tuple(d.index for d in report.status.devices if d.uuid in told or name in d.pods)


def pod_row(pod: objects.Pod, workload: str, size: int, report: org.NodeReport | None = None) -> PodRow:
    """A pod of a workload. `size`: memory of the devices of its node in MiB; `report`: its node's."""
    meta, status = pod.metadata, pod.status
    asked = pod.spec.containers[0].resources.requests if pod.spec.containers else {}
    ended = status.container_statuses[0].state.terminated if status.container_statuses else None
    phase = "Terminating" if meta.deletion_timestamp else status.phase or "Pending"
    return PodRow(
        uid=meta.uid,
        workload=workload,
        namespace=meta.namespace,
        name=meta.name,
        phase=phase,
        node=pod.spec.node_name,
        gpu_milli=taken(pod, size),
        gpu_memory_mib=gpu_of(pod).memory_mib * gpu_of(pod).devices,
        rank=count_of(meta.labels.get(fields.RANK), 0),
        attempt=count_of(meta.labels.get(fields.ATTEMPT), 0),
        devices=indices_of(pod, report),
        enforcement=meta.annotations.get(fields.ENFORCEMENT, "none"),
        enforcement_reason=meta.annotations.get(fields.ENFORCEMENT_REASON, ""),
        message=status.message or held_up(pod),
        exit_code=exit_code_of(pod),
        created=_time(meta.creation_timestamp),
        started=seconds_of(status.start_time),
        completed=seconds_of(str(ended["finishedAt"])) if ended and ended.get("finishedAt") else None,
        cpu_milli=amount(asked, "cpu"),
        memory_bytes=amount(asked, "memory"),
    )


def node_row(
    node: builtin.Node, report: org.NodeReport | None, pods: Sequence[objects.Pod], names: Mapping[str, str], pool: str
) -> NodeRow:
    """A node with its devices and who holds them. `names`: pod UID -> id of its workload."""
    ready = condition_of(node.status.conditions, "Ready")
    active = [p for p in pods if not objects.has_ended(p)]
    labels = node.metadata.labels
    allocatable = node.status.allocatable
    requests = [c.resources.requests for p in active for c in p.spec.containers]
    return NodeRow(
        name=node.metadata.name,
        uid=node.metadata.uid,
        ready=ready is not None and ready.status == "True",
        schedulable=not node.spec.unschedulable,
        reason=ready.message if ready is not None and ready.status != "True" else "",
        pool=pool,
        simulated=labels.get(fields.SIMULATED) == "true",
        runtime=node.status.node_info.container_runtime_version,
        version=node.status.node_info.kubelet_version,
        created=_time(node.metadata.creation_timestamp),
        cpu_milli=amount(allocatable, "cpu"),
        cpu_used_milli=sum(amount(r, "cpu") for r in requests),
        memory_bytes=amount(allocatable, "memory"),
        memory_used_bytes=sum(amount(r, "memory") for r in requests),
        gpus=_devices(node, report, active, names),
        labels=dict(labels),
        taints=tuple(f"{t.key}={t.value}:{t.effect}" for t in node.spec.taints),
    )


def queue_row(queue: kai.Queue, *, simulated: bool) -> QueueRow:
    """A department's or project's queue in one pool. `simulated`: the GPUs of the cluster do not exist."""
    labels, spec, status = queue.metadata.labels, queue.spec, queue.status
    resources = spec.resources or kai.QueueResources()
    parts = ((resources.gpu, 1000), (resources.cpu, 1), (resources.memory, 1_000_000))
    deserved, limit = [_bounded(r.quota, u) for r, u in parts], [_bounded(r.limit, u) for r, u in parts]
    weights = [r.over_quota_weight for r, _ in parts]
    is_project = fields.PROJECT in labels
    return QueueRow(
        name=labels.get(fields.PROJECT if is_project else fields.DEPARTMENT, queue.metadata.name),
        parent=labels.get(fields.DEPARTMENT, "") if is_project else "",
        kind="project" if is_project else "department",
        pool=labels.get(fields.NODE_POOL, DEFAULT_POOL),
        deserved=(deserved[0], deserved[1], deserved[2]),
        limit=(limit[0], limit[1], limit[2]),
        weight=(weights[0], weights[1], weights[2]),
        fair_share=_triple(status.fair_share),
        allocated=_triple(status.allocated),
        allocated_non_preemptible=_triple(status.allocated_non_preemptible),
        requested=_triple(status.requested),
        simulated=simulated,
    )


def _devices(
    node: builtin.Node, report: org.NodeReport | None, pods: Iterable[objects.Pod], names: Mapping[str, str]
) -> tuple[DeviceRow, ...]:
    holders: dict[int, list[Holder]] = {}
    size = device_mib(node)
    for pod in pods:
        devices = indices_of(pod, report)
        for index in devices:
            holders.setdefault(index, []).append(
                Holder(
                    workload=names.get(pod.metadata.uid, ""),
                    workload_name=pod.metadata.labels.get(fields.WORKLOAD, pod.metadata.name),
                    project=pod.metadata.labels.get(fields.PROJECT, pod.metadata.namespace),
                    pod=pod.metadata.name,
                    milli=(taken(pod, size) or 1000) // len(devices),
                )
            )
    reported = report.status.devices if report else ()
    model = node.metadata.labels.get(fields.GPU_PRODUCT_LABEL, "")
    known = reported or tuple(
        org.DeviceReport(uuid="", index=i, model=model)
        for i in range(min(_MOST_ROWS, amount(node.status.capacity or node.status.allocatable, fields.GPU_RESOURCE)))
    )
    return tuple(
        DeviceRow(
            index=d.index,
            uuid=d.uuid,
            model=d.model or model,
            memory_mib=d.memory_mib,
            healthy=d.healthy,
            used_milli=min(1000, sum(h.milli for h in holders.get(d.index, ()))),
            holders=tuple(holders.get(d.index, ())),
        )
        for d in known
    )


def taken(pod: objects.Pod, size: int) -> int:
    """1/1000 devices a pod's queue is charged: memory as the part it is of its node's devices, none before it is placed."""
    asked = gpu_of(pod)
    if not asked.memory_mib:
        return gpu_milli(pod)
    return memory_charge(asked.memory_mib, size, asked.devices) if pod.spec.node_name else 0


def _by_memory(pods: Sequence[objects.Pod], sizes: Mapping[str, int]) -> int:
    living = [p for p in pods if not objects.has_ended(p)]
    return sum(taken(p, sizes.get(p.spec.node_name, 0)) for p in living)


def queued_since(pods: Sequence[objects.Pod]) -> tuple[float, str]:
    """(creation, UID) of the oldest pod that has no place, by which the scheduler orders work of one priority."""
    waiting = [p for p in pods if not p.spec.node_name and not objects.has_ended(p)]
    return min(((_time(p.metadata.creation_timestamp), p.metadata.uid) for p in waiting), default=(0.0, ""))


def reasons_of(pods: Sequence[objects.Pod]) -> tuple[ReasonText, ...]:
    """Why they wait, as the first of them that says so has it."""
    for pod in pods:
        condition = condition_of(pod.status.conditions, "PodScheduled")
        if condition is not None and condition.status == "False" and condition.message:
            return from_lines(condition.message)
    return ()


def history_of(pod: objects.Pod) -> list[HistoryEntry]:
    """What became of a pod."""
    entries = []
    for condition in pod.status.conditions:
        if condition.type == "PodScheduled" and condition.status == "True":
            when = _time(condition.last_transition_time)
            text = f"{pod.metadata.name} placed on {pod.spec.node_name}"
            entries.append(HistoryEntry(time=when, type="placed", message=text))
    target = eviction_of(pod)
    if pod.status.phase == "Failed" and target is None:
        text = f"{pod.metadata.name} failed: {failure_of(pod)}"
        entries.append(HistoryEntry(time=_time(ended_at(pod)), type="failed", message=text))
    if target is not None:
        when = _time(target.last_transition_time)
        entries.append(HistoryEntry(time=when, type="evicted", message=told(pod)))
    return entries


def _history(workload: Workload, pods: Sequence[objects.Pod]) -> tuple[HistoryEntry, ...]:
    entries = [HistoryEntry(time=_time(workload.metadata.creation_timestamp), type="asked", message="Asked")]
    entries += [entry for pod in pods for entry in history_of(pod)]
    evicted = condition_of(workload.status.conditions, "Evicted")
    if evicted is not None and not any(e.type == "evicted" for e in entries):
        when = _time(evicted.last_transition_time)
        entries.append(HistoryEntry(time=when, type="evicted", message=evicted.message))
    phase = condition_of(workload.status.conditions, "Phase")
    if phase is not None and workload.status.phase in ("Running", "Completed", "Failed", "Stopped"):
        text = f"{workload.status.phase}. {workload.status.phase_message}".rstrip(". ")
        entries.append(
            HistoryEntry(time=_time(phase.last_transition_time), type=workload.status.phase.lower(), message=text)
        )
    return tuple(sorted(entries, key=lambda e: e.time))


def _bounded(value: float, unit: int) -> int:
    return -1 if value < 0 else round(value * unit)


def _triple(amounts: Mapping[str, Quantity]) -> tuple[int, int, int]:
    gpus = amounts.get(fields.GPU_RESOURCE, 0)
    return round(float(gpus) * 1000), amount(amounts, "cpu"), amount(amounts, "memory")


def _time(text: str | None) -> float:
    return seconds_of(text) or 0.0
