"""Our workload kinds (fairlead.dev/v1alpha1): Workspace, Training, DistributedTraining, Inference.

Units: GPU in 1/1000 device, CPU in 1/1000 core, memory in bytes, device memory in MiB, durations in seconds.
Requests of 0 mean "none asked"; limits of 0 mean "no limit written".
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from fairlead.objects.meta import Condition, Object, Wire
from fairlead.objects.pod import EnvVar, Toleration, VolumeMount

Amount = Annotated[int, Meta(ge=0)]
Portion = Annotated[int, Meta(ge=0, le=1000)]

Phase = Literal[
    "",
    "Creating",
    "Initializing",
    "Resuming",
    "Pending",
    "Deleting",
    "Running",
    "Updating",
    "Stopped",
    "Stopping",
    "Degraded",
    "Failed",
    "Completed",
    "Terminating",
    "Unknown",
]


class WorkloadPort(Wire, frozen=True, kw_only=True):
    """A port of the workload's first container, and how it is reached from outside."""

    container: Annotated[int, Meta(ge=1, le=65535)]
    external: Annotated[int, Meta(ge=0, le=65535)] = 0
    service_type: Literal["", "ClusterIP", "NodePort", "LoadBalancer"] = ""
    name: str = ""


class WorkloadSpec(Wire, frozen=True, kw_only=True):
    """What a researcher asks for; shared by all workload kinds."""

    image: Annotated[str, Meta(min_length=1)]
    image_pull_policy: Literal["", "Always", "IfNotPresent", "Never"] = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[EnvVar, ...] = ()
    ports: tuple[WorkloadPort, ...] = ()
    gpu_devices: Amount = 0
    """Whole devices a pod; with `gpuMilli` or `gpuMemoryMib` the number of shared ones."""
    gpu_milli: Portion = 0
    """Part of each device; 0 for whole devices."""
    gpu_memory_mib: Amount = 0
    """Memory of each device, instead of `gpuMilli`."""
    cpu_milli: Amount = 0
    cpu_milli_limit: Amount = 0
    memory_bytes: Amount = 0
    memory_bytes_limit: Amount = 0
    workers: Amount = 0
    """Pods of a distributed workload, the master not counted."""
    min_workers: Amount = 0
    """Least number of workers that makes sense; 0 for all of them."""
    has_master: bool = False
    framework: Literal["", "pytorch", "tensorflow", "mpi", "xgboost", "jax"] = ""
    priority: str = ""
    """Priority class (train, interactive-preemptible, build, inference) or a number; empty for the kind's own."""
    preemptible: bool | None = None
    """None takes it from the priority: below 100 is preemptible."""
    suspended: bool = False
    backoff_limit: Amount | None = None
    """Failures that are tried again; evictions are not failures."""
    completions: Amount | None = None
    parallelism: Amount | None = None
    max_runtime_seconds: Amount = 0
    termination_grace_period_seconds: Amount | None = None
    node_selector: dict[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    node_pools: tuple[str, ...] = ()
    """Node pools in order of preference; empty for the project's."""
    topology: str = ""
    topology_required_level: str = ""
    topology_preferred_level: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    volumes: tuple[dict[str, Any], ...] = ()
    """Pod volumes as Kubernetes writes them."""
    volume_mounts: tuple[VolumeMount, ...] = ()
    image_pull_secrets: tuple[str, ...] = ()
    security_context: dict[str, Any] | None = None
    host_network: bool = False
    host_ipc: bool = field(default=False, name="hostIPC")
    shared_memory_bytes: Amount = 0
    requested_by: str = ""
    """Name of the person who asked."""
    workload_id: str = ""
    """UUID the control plane gave; empty for objects made in the cluster."""


class InferenceSpec(WorkloadSpec, frozen=True, kw_only=True):
    """A workload that answers requests and is scaled."""

    min_replicas: Amount = 1
    max_replicas: Amount = 1
    replicas: Amount | None = None
    serving_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    metric: Literal["", "throughput", "concurrency", "latency"] = ""
    metric_target: Amount = 0
    scale_to_zero_seconds: Amount = 0


class WorkloadStatus(Wire, frozen=True, kw_only=True):
    """How a workload fares; written by the controllers only."""

    phase: Phase = ""
    phase_message: str = ""
    conditions: tuple[Condition, ...] = ()
    running_pods: Amount = 0
    requested_pods: Amount = 0
    succeeded_pods: Amount = 0
    failures: Amount = 0
    """Failed attempts so far, evictions not counted."""
    evictions: Amount = 0
    node_pool: str = ""
    nodes: tuple[str, ...] = ()
    allocated_gpu_milli: Amount = 0
    next_try_at: str | None = None
    """When the next attempt is made after a failure."""
    started_at: str | None = None
    completed_at: str | None = None
    observed_generation: Amount = 0


class Workload(Object, frozen=True, kw_only=True):
    """Base of the kinds that share one specification."""

    spec: WorkloadSpec
    status: WorkloadStatus = WorkloadStatus()


class Workspace(Workload, frozen=True, kw_only=True):
    """Interactive work, such as a notebook; not preemptible unless said."""


class Training(Workload, frozen=True, kw_only=True):
    """Work that runs to an end in one pod, or in several alike."""


class DistributedTraining(Workload, frozen=True, kw_only=True):
    """Work of several pods that start together or not at all."""


class Inference(Object, frozen=True, kw_only=True):
    """A model that answers requests."""

    spec: InferenceSpec
    status: WorkloadStatus = WorkloadStatus()
