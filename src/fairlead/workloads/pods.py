"""The pods and the pod group of a workload."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from fairlead.objects import fields
from fairlead.objects.kai import PodGroup, PodGroupSpec, TopologyConstraint
from fairlead.objects.kinds import kind_of
from fairlead.objects.meta import ObjectMeta, OwnerReference
from fairlead.objects.pod import (
    Container,
    EnvVar,
    LocalReference,
    Pod,
    PodSpec,
    ResourceRequirements,
    Volume,
    VolumeMount,
)
from fairlead.objects.quantity import text_of_bytes, text_of_milli
from fairlead.objects.workload import DistributedTraining, Workload, WorkloadSpec
from fairlead.workloads.priority import is_preemptible, priority_of

_NAME_LIMIT = 63


class Owner(Struct, frozen=True, kw_only=True):
    """What a workload's pods take from its place: project, queue, node pool, scheduler."""

    project: str
    queue: str
    pool: str = "default"
    scheduler: str = "fairlead"


def ranks_of(workload: Workload) -> int:
    """How many pods the workload has."""
    if not isinstance(workload, DistributedTraining):
        return 1
    return max(workload.spec.workers, 1) + (1 if workload.spec.has_master else 0)


def least_of(workload: Workload) -> int:
    """How many of them it needs to start."""
    if workload.spec.min_workers:
        return workload.spec.min_workers + (1 if workload.spec.has_master else 0)
    return ranks_of(workload)


def group_name(workload: Workload) -> str:
    """Name of the pod group of a gang."""
    return f"pg-{workload.metadata.name}"[: _NAME_LIMIT - 9] + f"-{workload.metadata.uid[:8]}"


def gang_of(workload: Workload, owner: Owner) -> PodGroup | None:
    """The pod group of a workload of several pods; a single pod is its own group."""
    if ranks_of(workload) == 1:
        return None
    spec = workload.spec
    preemptible = is_preemptible(priority_of(spec.priority), spec.preemptible)
    return PodGroup(
        metadata=ObjectMeta(
            name=group_name(workload),
            namespace=workload.metadata.namespace,
            labels=_labels(workload, owner),
            owner_references=(_reference(workload),),
        ),
        spec=PodGroupSpec(
            min_member=least_of(workload),
            queue=owner.queue,
            priority_class_name=spec.priority or "train",
            preemptibility="preemptible" if preemptible else "non-preemptible",
            topology_constraint=_nearness(spec),
        ),
    )


def _nearness(spec: WorkloadSpec) -> TopologyConstraint | None:
    """How close together the workload's pods lie; None where it does not say."""
    if not spec.topology:
        return None
    return TopologyConstraint(
        topology=spec.topology,
        required_topology_level=spec.topology_required_level,
        preferred_topology_level=spec.topology_preferred_level,
    )


def pod_of(workload: Workload, owner: Owner, rank: int, attempt: int) -> Pod:
    """One pod of an attempt. Its name follows from rank and attempt, so that making it twice conflicts instead of doubling."""
    spec = workload.spec
    labels = {**spec.labels, **_labels(workload, owner), fields.RANK: str(rank), fields.ATTEMPT: str(attempt)}
    annotations = {**spec.annotations, **_annotations(workload)}
    pod_spec = PodSpec(
        containers=(_container(workload, owner, rank, attempt),),
        scheduler_name=owner.scheduler,
        restart_policy="Never",
        node_selector=spec.node_selector,
        tolerations=spec.tolerations,
        termination_grace_period_seconds=spec.termination_grace_period_seconds,
        volumes=_volumes(spec),
        image_pull_secrets=tuple(LocalReference(name=n) for n in spec.image_pull_secrets),
        hostname=pod_name(workload, rank, attempt) if ranks_of(workload) > 1 else "",
        subdomain=workload.metadata.name if ranks_of(workload) > 1 else "",
        host_network=spec.host_network,
        host_ipc=spec.host_ipc,
        security_context=spec.security_context,
    )
    return Pod(
        metadata=ObjectMeta(
            name=pod_name(workload, rank, attempt),
            namespace=workload.metadata.namespace,
            labels=labels,
            annotations=annotations,
            owner_references=(_reference(workload),),
        ),
        spec=pod_spec,
    )


def pod_name(workload: Workload, rank: int, attempt: int) -> str:
    """`NAME-RANK`, and `-ATTEMPT` from the second attempt on."""
    tail = f"-{rank}" + (f"-{attempt}" if attempt else "")
    return workload.metadata.name[: _NAME_LIMIT - len(tail)] + tail


def _reference(workload: Workload) -> OwnerReference:
    kind = kind_of(workload)
    return OwnerReference(
        api_version=kind.api_version,
        kind=kind.kind,
        name=workload.metadata.name,
        uid=workload.metadata.uid,
        controller=True,
        block_owner_deletion=True,
    )


def _labels(workload: Workload, owner: Owner) -> dict[str, str]:
    spec = workload.spec
    preemptible = is_preemptible(priority_of(spec.priority), spec.preemptible)
    found = {
        fields.PROJECT: owner.project,
        fields.QUEUE: owner.queue,
        fields.QUEUE_OLD: owner.queue,
        fields.NODE_POOL: owner.pool,
        fields.WORKLOAD: workload.metadata.name,
        fields.WORKLOAD_KIND: kind_of(workload).kind,
        fields.PRIORITY_CLASS: spec.priority or "train",
        fields.PREEMPTIBILITY: "preemptible" if preemptible else "non-preemptible",
    }
    if spec.workload_id:
        found[fields.WORKLOAD_ID] = spec.workload_id
    return found


def _annotations(workload: Workload) -> dict[str, str]:
    spec = workload.spec
    found = {fields.REQUESTED_BY: spec.requested_by} if spec.requested_by else {}
    if ranks_of(workload) > 1:
        found[fields.POD_GROUP] = group_name(workload)
    if spec.gpu_milli:
        found[fields.GPU_FRACTION] = f"{spec.gpu_milli / 1000:g}"
    if spec.gpu_memory_mib:
        found[fields.GPU_MEMORY] = str(spec.gpu_memory_mib)
    if (spec.gpu_milli or spec.gpu_memory_mib) and spec.gpu_devices > 1:
        found[fields.GPU_FRACTION_DEVICES] = str(spec.gpu_devices)
    return found


def _container(workload: Workload, owner: Owner, rank: int, attempt: int) -> Container:
    spec = workload.spec
    mounts = spec.volume_mounts
    if spec.shared_memory_bytes:
        mounts = (*mounts, VolumeMount(name="shm", mount_path="/dev/shm"))
    return Container(
        name=workload.metadata.name,
        image=spec.image,
        image_pull_policy=spec.image_pull_policy,
        command=spec.command,
        args=spec.args,
        working_dir=spec.working_dir,
        env=(*spec.env, *_environment(workload, owner, rank, attempt)),
        resources=_resources(spec),
        volume_mounts=mounts,
    )


def _environment(workload: Workload, owner: Owner, rank: int, attempt: int) -> tuple[EnvVar, ...]:
    """Who and where a pod is; for gangs also rank, size and the address of rank 0, under the names frameworks read."""
    size = ranks_of(workload)
    pairs = {
        "RUNAI_PROJECT": owner.project,
        "RUNAI_JOB_NAME": workload.metadata.name,
        "jobName": workload.metadata.name,
    }
    if size > 1:
        first = f"{pod_name(workload, 0, attempt)}.{workload.metadata.name}.{workload.metadata.namespace}"
        pairs |= {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": first, "MASTER_PORT": "29500"}
    said = {e.name for e in workload.spec.env}
    return tuple(EnvVar(name=k, value=v) for k, v in pairs.items() if k not in said)


def _resources(spec: WorkloadSpec) -> ResourceRequirements:
    requests: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    if spec.gpu_devices and not (spec.gpu_milli or spec.gpu_memory_mib):
        requests[fields.GPU_RESOURCE] = limits[fields.GPU_RESOURCE] = str(spec.gpu_devices)
    for name, asked, limit, text in (
        ("cpu", spec.cpu_milli, spec.cpu_milli_limit, text_of_milli),
        ("memory", spec.memory_bytes, spec.memory_bytes_limit, text_of_bytes),
    ):
        if asked:
            requests[name] = text(asked)
        if limit:
            limits[name] = text(limit)
    return ResourceRequirements(requests=requests, limits=limits)


def _volumes(spec: WorkloadSpec) -> tuple[Volume, ...]:
    given = msgspec.convert(spec.volumes, tuple[Volume, ...])
    if not spec.shared_memory_bytes:
        return given
    size = text_of_bytes(spec.shared_memory_bytes)
    return (*given, Volume(name="shm", empty_dir={"medium": "Memory", "sizeLimit": size}))
