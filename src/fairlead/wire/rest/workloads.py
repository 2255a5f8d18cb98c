"""Workloads: what is submitted and what is read back."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from fairlead.wire.rest.base import Request, Rest


class EnvironmentVariable(Request):
    """One variable of the container."""

    name: str = Field(min_length=1)
    value: str | None = None
    description: str | None = None


class Compute(Request):
    """What one pod asks for. GPU portions in devices (0..1), memory as quantities (`20G`, `512Mi`), CPU in cores."""

    gpu_devices_request: int | None = Field(default=None, ge=0)
    gpu_request_type: Literal["portion", "memory"] | None = None
    gpu_portion_request: float | None = Field(default=None, ge=0)
    gpu_portion_limit: float | None = None
    gpu_memory_request: str | None = None
    gpu_memory_limit: str | None = None
    cpu_core_request: float | None = Field(default=None, ge=0)
    cpu_core_limit: float | None = Field(default=None, ge=0)
    cpu_memory_request: str | None = None
    cpu_memory_limit: str | None = None
    large_shm_request: bool | None = None
    extended_resources: list[dict[str, Any]] | None = None


class NameValue(Request):
    """A label or an annotation."""

    name: str
    value: str
    exclude: bool | None = None


class Toleration(Request):
    """A Kubernetes toleration."""

    name: str | None = None
    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None
    toleration_seconds: int | None = None


class Spec(Request):
    """What runs. `command` and `args` are one text each, split as a shell would. Fields of existing clients that are not supported yet
    are known here, and refused by name when they are given."""

    image: str | None = None
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    command: str | None = None
    args: str | None = None
    working_dir: str | None = None
    environment_variables: list[EnvironmentVariable] | None = None
    compute: Compute | None = None
    priority_class: str | None = None
    preemptibility: Literal["preemptible", "non-preemptible"] | None = None
    node_pools: list[str] | None = None
    node_type: str | None = None
    node_affinity_required: dict[str, Any] | None = None
    tolerations: list[Toleration] | None = None
    labels: list[NameValue] | None = None
    annotations: list[NameValue] | None = None
    backoff_limit: int | None = Field(default=None, ge=0)
    termination_grace_period_seconds: int | None = Field(default=None, ge=0)
    restart_policy: str | None = None
    stdin: bool | None = None
    tty: bool | None = None
    category: str | None = None

    # distributed
    distributed_framework: Literal["MPI", "PyTorch", "TF", "XGBoost", "JAX"] | None = None
    num_workers: int | None = Field(default=None, ge=1)
    min_replicas: int | None = Field(default=None, ge=1)
    max_replicas: int | None = Field(default=None, ge=1)

    # known, not supported yet
    auto_deletion_time_after_completion_seconds: int | None = None
    clean_pod_policy: str | None = None
    completions: int | None = None
    create_home_dir: bool | None = None
    exposed_urls: list[Any] | None = None
    image_pull_secrets: list[Any] | None = None
    mpi_launcher_creation_policy: str | None = None
    parallelism: int | None = None
    pod_affinity: dict[str, Any] | None = None
    ports: list[Any] | None = None
    probes: dict[str, Any] | None = None
    related_urls: list[Any] | None = None
    security: dict[str, Any] | None = None
    slots_per_worker: int | None = None
    ssh_auth_mount_path: str | None = None
    storage: dict[str, Any] | None = None
    terminate_after_preemption: bool | None = None


NOT_SUPPORTED: tuple[str, ...] = (
    "auto_deletion_time_after_completion_seconds",
    "completions",
    "exposed_urls",
    "image_pull_secrets",
    "parallelism",
    "pod_affinity",
    "ports",
    "probes",
    "security",
    "storage",
    "terminate_after_preemption",
)
"""Fields of `Spec` that would change what runs and are not there yet: given, they are refused."""


class WorkloadCreate(Request):
    """Body of `POST /api/v1/workloads/{workspaces,trainings}`."""

    name: str = Field(min_length=1, max_length=63)
    use_given_name_as_prefix: bool | None = None
    project_id: str
    cluster_id: str
    template_id: str | None = None
    spec: Spec | None = None


class DistributedCreate(WorkloadCreate):
    """Body of `POST /api/v1/workloads/distributed`: `num_workers` pods start together, plus a master where one is asked for."""

    master_spec_same_as_worker: bool | None = None
    master_spec: Spec | None = None


class WorkloadCreated(Rest):
    """Answer to a submission (202: the cluster has yet to take it)."""

    workload_id: str
    id: str
    name: str
    requested_name: str
    project_id: str
    cluster_id: str
    namespace: str
    desired_phase: str = "Running"
    actual_phase: str = "Creating"
    created_by: str
    created_at: datetime
    updated_at: datetime
    meta: dict[str, Any]
    spec: dict[str, Any]


class Reason(Rest):
    """Why it waits."""

    code: str
    message: str
    details: dict[str, Any] = {}


class History(Rest):
    """One line of what happened."""

    time: datetime
    type: str
    message: str


class Workload(Rest):
    """One row of the list: names existing clients know first, ours after `additional_fields`."""

    tenant_id: int = 1
    id: str
    type: str
    name: str
    cluster_id: str
    project_id: str
    project_name: str
    department_id: str
    department_name: str
    namespace: str
    phase: str
    phase_message: str
    phase_updated_at: datetime
    k8s_phase: str
    k8s_phase_updated_at: datetime
    priority: int
    priority_class_name: str
    submitted_by: str
    running_pods: int
    requested_pods: dict[str, int]
    conditions: list[dict[str, Any]] = []
    workload_requested_resources: dict[str, Any]
    pods_requested_resources: dict[str, Any]
    allocated_resources: dict[str, Any]
    current_node_pools: list[str] = []
    requested_node_pools: list[str] = []
    actions_support: dict[str, bool]
    source: str = "Fairlead"
    category: str = ""
    preemptible: bool
    distributed_framework: str | None = None
    images: list[str] = []
    command: str = ""
    arguments: str = ""
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    deleted_at: datetime | None = None
    # ours
    reasons: list[Reason] = []
    nodes: list[str] = []
    requested_gpus: float
    requested_gpu_memory_mib: int = 0
    allocated_gpus: float
    borrowed_gpus: float = 0
    place: int = 0
    waiting: int = 0
    evictions: int = 0
    next_try_at: datetime | None = None
    exit_code: int | None = None
    suspended: bool = False
    simulated: bool = False


class WorkloadDetail(Workload):
    """One workload with its spec and history."""

    spec: dict[str, Any] | None = None
    history: list[History] = []


class Workloads(Rest):
    """One page of workloads."""

    workloads: list[Workload]
    next: int | None = None


class Pod(Rest):
    """A pod of a workload."""

    id: str
    name: str
    workload_id: str
    workload_name: str
    cluster_id: str
    project_id: str
    project_name: str
    priority_class_name: str
    tenant_id: int = 1
    node_name: str | None = None
    k8s_phase: str
    k8s_phase_updated_at: datetime
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    containers: list[dict[str, Any]] = []
    requested_resources: dict[str, Any]
    allocated_resources: dict[str, Any]
    devices: list[int] = []
    enforcement: str = "none"
    enforcement_reason: str = ""
    exit_code: int | None = None
    message: str = ""


class Pods(Rest):
    """One page of pods."""

    pods: list[Pod]
    next: int | None = None


class LogQuery(Rest):
    """Which log of a workload: of one pod, else the first; of the present run, or the one before; its last `tail` lines."""

    pod: str = ""
    follow: bool = False
    tail: int | None = Field(default=None, ge=0)
    previous: bool = False


class BatchRequest(Request):
    """Body of `POST /api/v1/workloads/batch`."""

    ids: list[str]
    action: Literal["delete", "suspend", "resume"]


class BatchFailure(Rest):
    """One thing a batch could not do."""

    id: str
    code: int
    message: str


class BatchResponse(Rest):
    """What a batch did."""

    id: str
    succeeded: list[str]
    failed: list[BatchFailure]
