"""Records as the REST models people and pages read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from fairlead.server.db import stored
from fairlead.server.db.records import EVERYTHING, OrgUnit, Scope, Workload
from fairlead.server.services import quotas, specs
from fairlead.server.services.directory import Directory
from fairlead.wire.agent import DeviceRow, NodeRow, PodRow, QueueRow, WorkloadRow
from fairlead.wire.rest import organisation as org
from fairlead.wire.rest import workloads as rest
from fairlead.wire.rest.base import instant

TYPES = {
    "Workspace": "Workspace",
    "Training": "Training",
    "DistributedTraining": "Distributed",
    "Inference": "Inference",
}
_K8S_PHASE = {"Completed": "Succeeded", "Failed": "Failed", "Running": "Running", "Degraded": "Running"}
FINISHED = frozenset({"Completed", "Failed", "Stopped"})


def time(seconds: float) -> datetime:
    """RFC 3339 UTC time from seconds since the epoch."""
    found = instant(seconds)
    assert found is not None
    return found


def workload(record: Workload, names: Directory) -> rest.Workload:
    """One row of the list."""
    return rest.Workload(**_workload_fields(record, names, _observed(record)))


def workload_detail(record: Workload, names: Directory) -> rest.WorkloadDetail:
    """One workload with spec and history."""
    row = _observed(record)
    history = [rest.History(time=time(h.time), type=h.type, message=h.message) for h in row.history]
    return rest.WorkloadDetail(**_workload_fields(record, names, row), spec=spec(record), history=history)


def spec(record: Workload) -> dict[str, Any] | None:
    """What was submitted, as it was submitted."""
    return None if record.spec is None else stored.read(record.spec, dict, "workload", record.id)


def workloads_json(records: Iterable[Workload], names: Directory, following: int | None) -> bytes:
    """One page of the list as JSON: what `rest.Workloads` would give, made without its models, which take three times as long.

    Each row is encoded as soon as it is made: a page of live dictionaries makes the garbage collector walk the whole heap.
    """
    rows = [msgspec.Raw(_encode(_on_the_wire(_workload_fields(r, names, _observed(r))))) for r in records]
    return _encode({"workloads": rows, "next": following})


def _on_the_wire(values: dict[str, Any]) -> dict[str, Any]:
    return _DEFAULTS | {_ALIASES[name]: value for name, value in values.items()}


_encode = msgspec.json.Encoder().encode
_ALIASES = {name: str(field.alias) for name, field in rest.Workload.model_fields.items()}
_DEFAULTS = {str(f.alias): f.default for f in rest.Workload.model_fields.values() if not f.is_required()}
"""Values of fields that `_workload_fields` leaves out; only ever read."""


def _phase(record: Workload, row: WorkloadRow) -> tuple[str, str]:
    """(phase, sentence): what the cluster said last, corrected by what was asked since."""
    if record.refused:
        return "Failed", record.refused
    if record.deleting or record.deleted:
        return "Deleting", "Being removed"
    if record.suspended and record.observed is not None and row.phase not in FINISHED | {"Stopping"}:
        return "Stopping", "Being suspended"
    return row.phase, row.message


def pod(record: Workload, row: PodRow, project_name: str) -> rest.Pod:
    """One pod of a workload."""
    observed = _observed(record)
    ended = row.phase in ("Succeeded", "Failed")
    gpus = row.gpu_milli / 1000
    return rest.Pod(
        id=row.uid,
        name=row.name,
        workload_id=record.id,
        workload_name=record.name,
        cluster_id=record.cluster_id,
        project_id=record.project_id,
        project_name=project_name,
        priority_class_name=observed.priority_class,
        node_name=row.node or None,
        k8s_phase=row.phase,
        k8s_phase_updated_at=time(row.completed or row.started or row.created),
        created_at=time(row.created),
        updated_at=time(row.completed or row.started or row.created),
        started_at=instant(row.started),
        completed_at=instant(row.completed),
        requested_resources=_requested(
            0 if row.gpu_memory_mib else row.gpu_milli, row.gpu_memory_mib, row.cpu_milli, row.memory_bytes
        ),
        allocated_resources=_allocated(0 if ended or not row.node else gpus, row.cpu_milli, row.memory_bytes),
        devices=list(row.devices),
        enforcement=row.enforcement,
        enforcement_reason=row.enforcement_reason,
        exit_code=row.exit_code,
        message=row.message,
    )


def node(cluster_id: str, updated: float, row: NodeRow, scope: Scope = EVERYTHING) -> org.Node:
    """One node with its devices; holders outside the scope have no names."""
    status = "Ready" if row.ready and row.schedulable else "NotReady" if not row.ready else "Unschedulable"
    return org.Node(
        id=row.uid or row.name,
        name=row.name,
        status=status,
        node_pool=row.pool,
        cluster_uuid=cluster_id,
        created_at=time(row.created),
        updated_at=time(updated),
        gpu_info=org.GpuInfo(gpu_type=row.gpus[0].model, gpu_count=len(row.gpus)) if row.gpus else None,
        conditions=[{"type": "Ready", "status": str(row.ready), "reason": row.reason}],
        taints=[_taint(t) for t in row.taints],
        simulated=row.simulated,
        gpus=masked(cluster_id, [_device(g) for g in row.gpus], scope),
        cpu_milli=row.cpu_milli,
        cpu_used_milli=row.cpu_used_milli,
        memory_bytes=row.memory_bytes,
        memory_used_bytes=row.memory_used_bytes,
        runtime=row.runtime,
    )


def masked(cluster_id: str, gpus: list[dict[str, Any]], scope: Scope) -> list[dict[str, Any]]:
    """The devices of a node, without the names of holders that the reader may not see; how much they hold stays."""
    return [g | {"holders": [_holder(cluster_id, h, scope) for h in g["holders"]]} for g in gpus]


def _holder(cluster_id: str, holder: dict[str, Any], scope: Scope) -> dict[str, Any]:
    if scope.holds("names", (cluster_id, "project", holder["project"])):
        return holder
    return {"workload": "", "workload_name": "", "project": "", "pod": "", "milli": holder["milli"]}


def node_pool(record: OrgUnit, cluster_name: str, nodes: int) -> org.NodePool:
    """A node pool; Empty where no node is in it."""
    return org.NodePool(
        id=record.id,
        name=record.name,
        label_key=record.label_key or None,
        label_value=record.label_value or None,
        cluster_id=record.cluster_id,
        cluster_name=cluster_name,
        phase="Ready" if nodes else "Empty",
        is_default=not record.label_key,
        created_at=time(record.created),
        updated_at=time(record.updated),
        created_by=record.created_by,
    )


def department(
    record: OrgUnit, children: list[OrgUnit], use: list[QueueRow], pool_ids: dict[str, str]
) -> org.Department:
    """A department and its projects; `use`: its row in each node pool."""
    return org.Department(
        **_unit_fields(record, use, pool_ids),
        children=[org.Parent(id=p.id, name=p.name, type="project") for p in children],
    )


def project(record: OrgUnit, department: OrgUnit | None, use: list[QueueRow], pool_ids: dict[str, str]) -> org.Project:
    """A project with its use per node pool; `use`: its row in each."""
    return org.Project(
        **_unit_fields(record, use, pool_ids),
        parent=org.Parent(id=department.id, name=department.name) if department else None,
        parent_id=record.department_id,
        requested_namespace=record.namespace,
    )


def _unit_fields(record: OrgUnit, use: list[QueueRow], pool_ids: dict[str, str]) -> dict[str, Any]:
    quota = quotas.quota_of(record)
    status = org.OrgUnitStatus(
        namespace=record.namespace or None,
        phase="Unknown" if quota is None else "Ready" if use else "Creating",
        phase_message="Its stored quota cannot be read; save it again" if quota is None else "",
        node_pool_quota_statuses=[_quota_status(row) for row in use],
    )
    return {
        "id": record.id,
        "name": record.name,
        "description": record.description or None,
        "cluster_id": record.cluster_id,
        "created_at": time(record.created),
        "updated_at": time(record.updated),
        "created_by": record.created_by,
        "resources": quotas.to_rest(quota.pools if quota else (), pool_ids),
        "default_node_pools": list(quota.default_node_pools) if quota else [],
        "simulated": any(row.simulated for row in use),
        "status": status,
    }


def _quota_status(row: QueueRow) -> org.QuotaStatus:
    def amounts(triple: tuple[int, int, int]) -> dict[str, float]:
        gpu, cpu, memory = triple
        return {"gpu": gpu / 1000, "cpu": cpu / 1000, "memory": float(memory)}

    return org.QuotaStatus(
        node_pool_name=row.pool,
        allocated=amounts(row.allocated),
        allocated_non_preemptible=amounts(row.allocated_non_preemptible),
        requested=amounts(row.requested),
        fair_share=amounts(row.fair_share),
    )


class _Asked(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The part of a submission that a list shows."""

    node_pools: tuple[str, ...] | None = None
    distributed_framework: str | None = None
    command: str | None = None
    args: str | None = None


def _observed(record: Workload) -> WorkloadRow:
    if record.observed is None:
        return _not_seen_yet(record)
    found = stored.read(record.observed, WorkloadRow, "workload", record.id)
    return found or _unreadable(record, "What its cluster reported cannot be read; the next report mends it")


def _not_seen_yet(record: Workload) -> WorkloadRow:
    """What can be said of a submission the cluster has not taken yet."""
    wanted = stored.read(record.object, specs.Wanted, "workload", record.id)
    if wanted is None:
        return _unreadable(record, "What was stored of it cannot be read; delete it and submit it again")
    spec = wanted.spec
    pods = max(spec.workers, 1)
    milli = spec.gpu_devices * (spec.gpu_milli or (0 if spec.gpu_memory_mib else 1000))
    return WorkloadRow(
        id=record.id,
        kind=record.kind,
        namespace=record.namespace,
        name=record.name,
        message="Waiting for the cluster to take it",
        created=record.created,
        phase_since=record.updated,
        requested_pods=pods,
        requested_gpu_milli=milli * pods,
        requested_gpu_memory_mib=spec.gpu_devices * spec.gpu_memory_mib * pods,
        requested_cpu_milli=spec.cpu_milli * pods,
        requested_memory_bytes=spec.memory_bytes * pods,
        image=spec.image,
        priority_class=spec.priority,
        submitted_by=record.submitted_by,
    )


def _unreadable(record: Workload, message: str) -> WorkloadRow:
    """A row that says so; the log says which value did not fit."""
    return WorkloadRow(
        id=record.id,
        kind=record.kind,
        namespace=record.namespace,
        name=record.name,
        phase="Unknown",
        message=message,
        requested_pods=0,
    )


def _workload_fields(record: Workload, names: Directory, row: WorkloadRow) -> dict[str, Any]:
    asked = None if record.spec is None else stored.read(record.spec, _Asked, "workload", record.id)
    asked = asked or _Asked()
    phase, message = _phase(record, row)
    project = names.projects.get(record.project_id)
    department = names.departments.get(project.department_id) if project else None
    place, waiting = names.places.get(record.id, (0, 0)) if phase == "Pending" else (0, 0)
    pods = max(row.requested_pods, 1)
    changed = max(row.phase_since, record.created)
    return {
        "id": record.id,
        "type": TYPES.get(record.kind, record.kind),
        "name": record.name,
        "cluster_id": record.cluster_id,
        "project_id": record.project_id,
        "project_name": project.name if project else "",
        "department_id": department.id if department else "",
        "department_name": department.name if department else "",
        "namespace": record.namespace,
        "phase": phase,
        "phase_message": message,
        "phase_updated_at": time(changed),
        "k8s_phase": _K8S_PHASE.get(phase, "Pending"),
        "k8s_phase_updated_at": time(changed),
        "priority": row.priority,
        "priority_class_name": row.priority_class,
        "submitted_by": record.submitted_by or row.submitted_by,
        "running_pods": row.running_pods,
        "requested_pods": {"number": row.requested_pods},
        "workload_requested_resources": _requested(
            row.requested_gpu_milli,
            row.requested_gpu_memory_mib,
            row.requested_cpu_milli,
            row.requested_memory_bytes,
        ),
        "pods_requested_resources": _requested(
            row.requested_gpu_milli // pods,
            row.requested_gpu_memory_mib // pods,
            row.requested_cpu_milli // pods,
            row.requested_memory_bytes // pods,
        ),
        "allocated_resources": _allocated(row.allocated_gpu_milli / 1000, 0, 0),
        "current_node_pools": [row.pool] if row.pool else [],
        "requested_node_pools": list(asked.node_pools or ()),
        "actions_support": {
            "delete": specs.is_ours(record.kind),
            "suspend": phase not in FINISHED and record.object is not None,
        },
        "source": "Fairlead" if record.object is not None else "Kubernetes",
        "preemptible": row.preemptible,
        "distributed_framework": asked.distributed_framework,
        "images": [row.image] if row.image else [],
        "command": asked.command or "",
        "arguments": asked.args or "",
        "created_at": time(record.created),
        "updated_at": time(max(record.updated, row.phase_since)),
        "started_at": instant(row.started),
        "completed_at": instant(row.completed),
        "deleted_at": instant(record.deleted or None),
        "reasons": [{"code": r.code, "message": r.message, "details": r.details} for r in row.reasons],
        "nodes": list(row.nodes),
        "requested_gpus": row.requested_gpu_milli / 1000,
        "requested_gpu_memory_mib": row.requested_gpu_memory_mib,
        "allocated_gpus": row.allocated_gpu_milli / 1000,
        "borrowed_gpus": row.borrowed_gpu_milli / 1000,
        "place": place,
        "waiting": waiting,
        "evictions": row.evictions,
        "next_try_at": instant(row.next_try),
        "exit_code": row.exit_code,
        "suspended": record.suspended,
        "simulated": row.simulated,
    }


def _requested(gpu_milli: int, gpu_memory_mib: int, cpu_milli: int, memory_bytes: int) -> dict[str, Any]:
    memory = {"gpuMemory": {"request": f"{gpu_memory_mib}Mi"}} if gpu_memory_mib else {}
    return {
        "gpuRequestType": "memory" if gpu_memory_mib else "portion",
        "gpu": {"request": gpu_milli / 1000},
        **memory,
        "cpu": {"request": cpu_milli / 1000},
        "cpuMemory": {"request": str(memory_bytes)},
    }


def _allocated(gpus: float, cpu_milli: int, memory_bytes: int) -> dict[str, Any]:
    return {"gpu": gpus, "cpu": cpu_milli / 1000, "cpuMemory": str(memory_bytes)}


def _taint(text: str) -> dict[str, str]:
    pair, _, effect = text.partition(":")
    key, _, value = pair.partition("=")
    return {"key": key, "value": value, "effect": effect}


def _device(device: DeviceRow) -> dict[str, Any]:
    """All keys of a device, also those left out on the wire because they hold their default."""
    return msgspec.structs.asdict(device) | {"holders": [msgspec.structs.asdict(h) for h in device.holders]}
