"""Our own kinds about the organisation and the machines (fairlead.dev/v1alpha1).

Units: GPU in 1/1000 device, CPU in 1/1000 core, memory in bytes, device memory in MiB. A limit of -1 is unlimited.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from fairlead.objects.meta import Condition, Object, Wire

Amount = Annotated[int, Meta(ge=0)]
Limit = Annotated[int, Meta(ge=-1)]
Weight = Annotated[float, Meta(ge=0)]


class Share(Wire, frozen=True, kw_only=True):
    """One resource: guaranteed amount (-1 unlimited), ceiling (-1 none), weight of the surplus."""

    deserved: Limit = 0
    limit: Limit = -1
    over_quota_weight: Weight = 2.0


class PoolResources(Wire, frozen=True, kw_only=True):
    """What a project or department may use of one node pool."""

    node_pool: str = "default"
    gpu: Share = Share()
    cpu: Share = Share(deserved=-1)
    memory: Share = Share(deserved=-1)


class ProjectSpec(Wire, frozen=True, kw_only=True):
    """A project: its department, its namespace and its quota in each node pool, in order of preference."""

    department: str = ""
    display_name: str = ""
    namespace: str = ""
    priority: int | None = None
    resources: tuple[PoolResources, ...] = ()
    default_node_pools: tuple[str, ...] = ()
    preempt_min_runtime: str = ""
    reclaim_min_runtime: str = ""
    image_pull_secrets: tuple[str, ...] = ()
    max_runtime_seconds: Amount = 0
    max_idle_gpu_seconds: Amount = 0
    project_id: str = ""


class ProjectStatus(Wire, frozen=True, kw_only=True):
    """What a project has and uses. GPU in 1/1000."""

    phase: Literal["", "Ready", "Creating", "Deleting", "Failed"] = ""
    message: str = ""
    namespace: str = ""
    conditions: tuple[Condition, ...] = ()
    allocated_gpu_milli: Amount = 0
    requested_gpu_milli: Amount = 0


class Project(Object, frozen=True, kw_only=True):
    """A team's room in the cluster: a namespace with quota. Cluster-scoped."""

    spec: ProjectSpec = ProjectSpec()
    status: ProjectStatus = ProjectStatus()


class DepartmentSpec(Wire, frozen=True, kw_only=True):
    """A department: quota over its projects, in each node pool."""

    display_name: str = ""
    priority: int | None = None
    resources: tuple[PoolResources, ...] = ()
    department_id: str = ""


class DepartmentStatus(Wire, frozen=True, kw_only=True):
    """What a department's projects use together."""

    phase: Literal["", "Ready", "Creating", "Deleting", "Failed"] = ""
    message: str = ""
    conditions: tuple[Condition, ...] = ()
    projects: tuple[str, ...] = ()
    allocated_gpu_milli: Amount = 0


class Department(Object, frozen=True, kw_only=True):
    """A set of projects. Cluster-scoped."""

    spec: DepartmentSpec = DepartmentSpec()
    status: DepartmentStatus = DepartmentStatus()


class NodePoolSpec(Wire, frozen=True, kw_only=True):
    """Which nodes belong to a pool (label equals value) and how they are filled."""

    label_key: str = ""
    label_value: str = ""
    placement: Literal["binpack", "spread", "fit"] = "binpack"
    cpu_placement: Literal["binpack", "spread"] = "binpack"


class NodePoolStatus(Wire, frozen=True, kw_only=True):
    """What a pool holds."""

    phase: Literal["", "Ready", "Empty", "Deleting", "Failed"] = ""
    message: str = ""
    conditions: tuple[Condition, ...] = ()
    nodes: tuple[str, ...] = ()
    gpus: Amount = 0


class NodePool(Object, frozen=True, kw_only=True):
    """A set of nodes that is scheduled by itself. Cluster-scoped."""

    spec: NodePoolSpec = NodePoolSpec()
    status: NodePoolStatus = NodePoolStatus()


class DeviceProcess(Wire, frozen=True, kw_only=True):
    """A process that uses a device."""

    pid: Amount
    memory_mib: Amount = 0
    name: str = ""
    pod: str = ""
    """`namespace/name` of the pod it belongs to, empty where unknown."""


class DeviceReport(Wire, frozen=True, kw_only=True):
    """One physical GPU as its node sees it."""

    uuid: str
    index: Amount = 0
    model: str = ""
    memory_mib: Amount = 0
    memory_used_mib: Amount = 0
    utilisation_percent: Annotated[int, Meta(ge=0, le=100)] = 0
    mig: bool = False
    """Split by MIG."""
    healthy: bool = True
    health_message: str = ""
    idle_since: str | None = None
    processes: tuple[DeviceProcess, ...] = ()
    gpu_groups: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    """`namespace/name` of pods that the kubelet gave the whole device to, or an instance of it."""


class NodeReportStatus(Wire, frozen=True, kw_only=True):
    """What a node agent reads from the driver and the kubelet."""

    observed_at: str | None = None
    simulated: bool = False
    """No physical device stands behind the report."""
    driver_version: str = ""
    cuda_version: str = ""
    enforcement: Literal["", "none", "mps", "mig"] = ""
    """How shared devices are kept apart on this node."""
    devices: tuple[DeviceReport, ...] = ()
    findings: tuple[str, ...] = ()


class NodeReport(Object, frozen=True, kw_only=True):
    """The devices of one node; named like the node, written only by its agent. Cluster-scoped, no subresource."""

    status: NodeReportStatus = NodeReportStatus()


CheckVerdict = Literal["pass", "warn", "fail", "unknown", ""]
"""Empty: nothing was said yet, as no check says it."""


class CheckedPrerequisite(Wire, frozen=True, kw_only=True):
    """What one check of the prerequisites said last."""

    code: str
    verdict: CheckVerdict = ""
    counts: CheckVerdict = ""
    """What it is for the whole: a risk that was accepted is a warning, and what only a pod could tell is no fault."""
    since: str | None = None
    """Since when it says so, as far back as runs followed each other."""
    cause: str = ""
    seen: str = ""
    remedy: str = ""
    accepted: str = ""
    """The reason why what it finds is taken as it is."""
    nodes: dict[str, CheckVerdict] = field(default_factory=dict)
    """Nodes that do not pass, the first few."""
    more_nodes: Amount = 0
    """How many more there are."""


class PrerequisitesReport(Wire, frozen=True, kw_only=True):
    """The last run of the checks that need no pods."""

    at: str | None = None
    version: str = ""
    """Of the program that judged."""
    verdict: CheckVerdict = ""
    checks: tuple[CheckedPrerequisite, ...] = ()
    nodes: tuple[str, ...] = ()
    """Nodes there were: another one is new, not worse."""
    news: tuple[str, ...] = ()
    """What is other than in the run before."""
    news_since: str | None = None
    """When that was."""
    judged_by: str = ""
    """Digest of the configuration that it was judged by."""
    answered: str = ""
    """The value of the annotation `fairlead.dev/check-now` that was heeded last."""


class ClusterConfigStatus(Wire, frozen=True, kw_only=True):
    """Whether what the cluster needs is there, and the product's own parts are well."""

    conditions: tuple[Condition, ...] = ()
    prerequisites: PrerequisitesReport = PrerequisitesReport()
    version: str = field(default="")


class ClusterConfig(Object, frozen=True, kw_only=True):
    """How a cluster stands as a whole: one object, named `fairlead`. Cluster-scoped."""

    status: ClusterConfigStatus = ClusterConfigStatus()
