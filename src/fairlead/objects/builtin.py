"""The other built-in kinds we read or write, each with only the fields we use."""

from __future__ import annotations

from typing import Any, Final

from msgspec import field

from fairlead.objects.meta import Condition, LabelSelector, Object, ObjectReference, Wire
from fairlead.objects.pod import PodTemplate
from fairlead.objects.quantity import Quantity


class Taint(Wire, frozen=True, kw_only=True):
    """A mark that keeps pods off a node."""

    key: str
    value: str = ""
    effect: str = ""


class NodeSpec(Wire, frozen=True, kw_only=True):
    """What an administrator says about a node."""

    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()
    provider_id: str = field(default="", name="providerID")


class NodeAddress(Wire, frozen=True, kw_only=True):
    """One way to reach a node."""

    type: str
    address: str


class NodeSystemInfo(Wire, frozen=True, kw_only=True):
    """Versions a node reports."""

    kubelet_version: str = ""
    kernel_version: str = ""
    os_image: str = ""
    operating_system: str = ""
    architecture: str = ""
    container_runtime_version: str = ""


class NodeStatus(Wire, frozen=True, kw_only=True):
    """What a node offers and how it is."""

    capacity: dict[str, Quantity] = field(default_factory=dict)
    allocatable: dict[str, Quantity] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()
    addresses: tuple[NodeAddress, ...] = ()
    node_info: NodeSystemInfo = NodeSystemInfo()


class Node(Object, frozen=True, kw_only=True):
    """One machine of the cluster."""

    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class NamespaceStatus(Wire, frozen=True, kw_only=True):
    """Active, or Terminating while its content goes."""

    phase: str = ""


class Namespace(Object, frozen=True, kw_only=True):
    """A room for names; a project has one."""

    status: NamespaceStatus = NamespaceStatus()


class EventSource(Wire, frozen=True, kw_only=True):
    """Who reports an event."""

    component: str = ""
    host: str = ""


class Event(Object, frozen=True, kw_only=True):
    """Something that happened to an object, for people to read (core/v1)."""

    involved_object: ObjectReference = ObjectReference()
    reason: str = ""
    message: str = ""
    type: str = ""
    count: int = 0
    source: EventSource = EventSource()
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
    reporting_component: str = ""
    reporting_instance: str = ""
    action: str = ""
    related: ObjectReference | None = None


class ServicePort(Wire, frozen=True, kw_only=True):
    """One port of a service."""

    port: int
    name: str = ""
    protocol: str = ""
    target_port: int | str = 0


class ServiceSpec(Wire, frozen=True, kw_only=True):
    """Which pods a service names; `clusterIP: None` makes it headless."""

    selector: dict[str, str] = field(default_factory=dict)
    ports: tuple[ServicePort, ...] = ()
    type: str = ""
    cluster_ip: str = field(default="", name="clusterIP")
    publish_not_ready_addresses: bool = False


class Service(Object, frozen=True, kw_only=True):
    """A name for a set of pods."""

    spec: ServiceSpec = ServiceSpec()


class Secret(Object, frozen=True, kw_only=True):
    """Values that are not shown; `data` is base64."""

    type: str = ""
    data: dict[str, str] = field(default_factory=dict)
    string_data: dict[str, str] = field(default_factory=dict)
    immutable: bool | None = None


class ConfigMap(Object, frozen=True, kw_only=True):
    """Values that may be shown."""

    data: dict[str, str] = field(default_factory=dict)
    immutable: bool | None = None


class LeaseSpec(Wire, frozen=True, kw_only=True):
    """Who leads, since when, and for how long without a sign of life."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Lease(Object, frozen=True, kw_only=True):
    """The claim of one process to lead (coordination.k8s.io/v1)."""

    spec: LeaseSpec = LeaseSpec()


class JobSpec(Wire, frozen=True, kw_only=True):
    """How many pods a job runs and how often it may fail."""

    parallelism: int | None = None
    completions: int | None = None
    backoff_limit: int | None = None
    suspend: bool = False
    template: PodTemplate = PodTemplate()


class JobStatus(Wire, frozen=True, kw_only=True):
    """What became of a job's pods."""

    active: int = 0
    succeeded: int = 0
    failed: int = 0
    conditions: tuple[Condition, ...] = ()
    start_time: str | None = None
    completion_time: str | None = None


class Job(Object, frozen=True, kw_only=True):
    """Pods that run to an end (batch/v1)."""

    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()


class ClaimResources(Wire, frozen=True, kw_only=True):
    """How much storage a claim asks for."""

    requests: dict[str, Quantity] = field(default_factory=dict)


class ClaimSpec(Wire, frozen=True, kw_only=True):
    """The volume a claim wants."""

    storage_class_name: str | None = None
    volume_name: str = ""
    access_modes: tuple[str, ...] = ()
    resources: ClaimResources = ClaimResources()


class ClaimStatus(Wire, frozen=True, kw_only=True):
    """Pending, Bound or Lost."""

    phase: str = ""


class PersistentVolumeClaim(Object, frozen=True, kw_only=True):
    """A wish for a volume."""

    spec: ClaimSpec = ClaimSpec()
    status: ClaimStatus = ClaimStatus()


class VolumeSpec(Wire, frozen=True, kw_only=True):
    """Where a volume may be used; `nodeAffinity` as written."""

    storage_class_name: str = ""
    access_modes: tuple[str, ...] = ()
    capacity: dict[str, Quantity] = field(default_factory=dict)
    claim_ref: ObjectReference | None = None
    node_affinity: dict[str, Any] | None = None
    nfs: dict[str, Any] | None = None
    host_path: dict[str, Any] | None = None
    persistent_volume_reclaim_policy: str = ""


class PersistentVolume(Object, frozen=True, kw_only=True):
    """A volume."""

    spec: VolumeSpec = VolumeSpec()


NO_PROVISIONER: Final = "kubernetes.io/no-provisioner"
"""Of storage classes whose volumes are made by hand."""


class TopologyExpression(Wire, frozen=True, kw_only=True):
    """A node label and the values it may have."""

    key: str
    values: tuple[str, ...] = ()


class TopologyTerm(Wire, frozen=True, kw_only=True):
    """All of several node labels."""

    match_label_expressions: tuple[TopologyExpression, ...] = ()


class StorageClass(Object, frozen=True, kw_only=True):
    """A way to make volumes (storage.k8s.io/v1)."""

    provisioner: str = ""
    volume_binding_mode: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    allowed_topologies: tuple[TopologyTerm, ...] = ()
    """Where it makes volumes: any of these; everywhere for none."""


class PriorityClass(Object, frozen=True, kw_only=True):
    """A named priority (scheduling.k8s.io/v1)."""

    value: int = 0
    global_default: bool = False
    preemption_policy: str = ""
    description: str = ""


class DisruptionBudgetSpec(Wire, frozen=True, kw_only=True):
    """How many of the selected pods must stay up."""

    min_available: int | str | None = None
    max_unavailable: int | str | None = None
    selector: LabelSelector | None = None


class DisruptionBudgetStatus(Wire, frozen=True, kw_only=True):
    """How many may go now."""

    disruptions_allowed: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0
    expected_pods: int = 0
    observed_generation: int = 0


class PodDisruptionBudget(Object, frozen=True, kw_only=True):
    """A limit on evictions (policy/v1)."""

    spec: DisruptionBudgetSpec = DisruptionBudgetSpec()
    status: DisruptionBudgetStatus = DisruptionBudgetStatus()


class ServiceAccount(Object, frozen=True, kw_only=True):
    """An identity of pods."""

    image_pull_secrets: tuple[dict[str, str], ...] = ()


class RoleRef(Wire, frozen=True, kw_only=True):
    """The role a binding gives."""

    api_group: str = "rbac.authorization.k8s.io"
    kind: str = field(default="", name="kind")
    name: str = ""


class Subject(Wire, frozen=True, kw_only=True):
    """A person, group or service account."""

    kind: str
    name: str
    api_group: str = ""
    namespace: str = ""


class RoleBinding(Object, frozen=True, kw_only=True):
    """Who may do what in a namespace (rbac.authorization.k8s.io/v1)."""

    role_ref: RoleRef = RoleRef()
    subjects: tuple[Subject, ...] = ()
