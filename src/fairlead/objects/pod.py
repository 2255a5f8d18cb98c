"""Pod: the fields the scheduler, the controllers and the nodes read."""

from __future__ import annotations

from typing import Any, Final

from msgspec import field

from fairlead.objects.meta import Condition, LabelSelector, Object, ObjectMeta, Wire
from fairlead.objects.quantity import Quantity


class EnvVar(Wire, frozen=True, kw_only=True):
    """One environment variable; `valueFrom` is kept as written."""

    name: str
    value: str = ""
    value_from: dict[str, Any] | None = None


class ResourceRequirements(Wire, frozen=True, kw_only=True):
    """Amounts as quantities; `fairlead.objects.quantity` reads them."""

    requests: dict[str, Quantity] = field(default_factory=dict)
    limits: dict[str, Quantity] = field(default_factory=dict)
    claims: tuple[dict[str, str], ...] = ()


class ContainerPort(Wire, frozen=True, kw_only=True):
    """A port a container listens on."""

    container_port: int
    host_port: int = 0
    name: str = ""
    protocol: str = ""


class VolumeMount(Wire, frozen=True, kw_only=True):
    """Where a volume appears inside a container."""

    name: str
    mount_path: str
    sub_path: str = ""
    read_only: bool = False


class Container(Wire, frozen=True, kw_only=True):
    """One container of a pod."""

    name: str
    image: str = ""
    image_pull_policy: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[EnvVar, ...] = ()
    env_from: tuple[dict[str, Any], ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    resources: ResourceRequirements = ResourceRequirements()
    volume_mounts: tuple[VolumeMount, ...] = ()
    restart_policy: str = ""
    security_context: dict[str, Any] | None = None
    lifecycle: dict[str, Any] | None = None
    readiness_probe: dict[str, Any] | None = None
    stdin: bool = False
    tty: bool = False


class Toleration(Wire, frozen=True, kw_only=True):
    """A taint this pod bears."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class NodeSelectorRequirement(Wire, frozen=True, kw_only=True):
    """One condition on a node's label or field: In, NotIn, Exists, DoesNotExist, Gt, Lt."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class NodeSelectorTerm(Wire, frozen=True, kw_only=True):
    """All of several conditions on a node."""

    match_expressions: tuple[NodeSelectorRequirement, ...] = ()
    match_fields: tuple[NodeSelectorRequirement, ...] = ()


class NodeSelector(Wire, frozen=True, kw_only=True):
    """Any of several terms."""

    node_selector_terms: tuple[NodeSelectorTerm, ...] = ()


class PreferredNodeTerm(Wire, frozen=True, kw_only=True):
    """A term that is worth `weight` where it holds."""

    weight: int = 1
    preference: NodeSelectorTerm = NodeSelectorTerm()


class NodeAffinity(Wire, frozen=True, kw_only=True):
    """Which nodes a pod must or would rather run on."""

    required: NodeSelector | None = field(default=None, name="requiredDuringSchedulingIgnoredDuringExecution")
    preferred: tuple[PreferredNodeTerm, ...] = field(default=(), name="preferredDuringSchedulingIgnoredDuringExecution")


class PodAffinityTerm(Wire, frozen=True, kw_only=True):
    """Pods whose company counts, and the node label whose values are the places."""

    topology_key: str
    label_selector: LabelSelector | None = None
    namespaces: tuple[str, ...] = ()
    namespace_selector: LabelSelector | None = None


class WeightedPodAffinityTerm(Wire, frozen=True, kw_only=True):
    """A company that is worth `weight`."""

    weight: int
    pod_affinity_term: PodAffinityTerm


class PodAffinity(Wire, frozen=True, kw_only=True):
    """Company a pod must or would rather have (or avoid)."""

    required: tuple[PodAffinityTerm, ...] = field(default=(), name="requiredDuringSchedulingIgnoredDuringExecution")
    preferred: tuple[WeightedPodAffinityTerm, ...] = field(
        default=(), name="preferredDuringSchedulingIgnoredDuringExecution"
    )


class Affinity(Wire, frozen=True, kw_only=True):
    """All placement wishes of a pod."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class TopologySpreadConstraint(Wire, frozen=True, kw_only=True):
    """How evenly matching pods must lie over the values of a node label."""

    max_skew: int
    topology_key: str
    when_unsatisfiable: str = "DoNotSchedule"
    label_selector: LabelSelector | None = None
    min_domains: int | None = None


class Volume(Wire, frozen=True, kw_only=True):
    """A volume of a pod: the sources the scheduler reads are typed, others kept as written."""

    name: str
    persistent_volume_claim: dict[str, Any] | None = None
    ephemeral: dict[str, Any] | None = None
    config_map: dict[str, Any] | None = None
    secret: dict[str, Any] | None = None
    empty_dir: dict[str, Any] | None = None
    host_path: dict[str, Any] | None = None
    nfs: dict[str, Any] | None = None
    csi: dict[str, Any] | None = None
    projected: dict[str, Any] | None = None


class SchedulingGate(Wire, frozen=True, kw_only=True):
    """A name that keeps a pod from being scheduled until it is removed."""

    name: str


class LocalReference(Wire, frozen=True, kw_only=True):
    """A name in the same namespace."""

    name: str = ""


class PodResourceClaim(Wire, frozen=True, kw_only=True):
    """A device claim of a pod (DRA): made from a template, or shared by name."""

    name: str
    resource_claim_name: str = ""
    resource_claim_template_name: str = ""


class PodSpec(Wire, frozen=True, kw_only=True):
    """What a pod asks for."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    ephemeral_containers: tuple[Container, ...] = ()
    node_name: str = ""
    node_selector: dict[str, str] = field(default_factory=dict)
    affinity: Affinity | None = None
    tolerations: tuple[Toleration, ...] = ()
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] = ()
    scheduler_name: str = ""
    scheduling_gates: tuple[SchedulingGate, ...] = ()
    priority: int | None = None
    priority_class_name: str = ""
    preemption_policy: str = ""
    restart_policy: str = ""
    termination_grace_period_seconds: int | None = None
    active_deadline_seconds: int | None = None
    volumes: tuple[Volume, ...] = ()
    overhead: dict[str, Quantity] = field(default_factory=dict)
    runtime_class_name: str = ""
    service_account_name: str = ""
    automount_service_account_token: bool | None = None
    image_pull_secrets: tuple[LocalReference, ...] = ()
    host_network: bool = False
    host_ipc: bool = field(default=False, name="hostIPC")
    host_pid: bool = field(default=False, name="hostPID")
    hostname: str = ""
    subdomain: str = ""
    resource_claims: tuple[PodResourceClaim, ...] = ()
    security_context: dict[str, Any] | None = None


class ContainerState(Wire, frozen=True, kw_only=True):
    """Exactly one of waiting, running, terminated, as the node wrote it."""

    waiting: dict[str, Any] | None = None
    running: dict[str, Any] | None = None
    terminated: dict[str, Any] | None = None


class ContainerStatus(Wire, frozen=True, kw_only=True):
    """What a container does on its node."""

    name: str
    ready: bool = False
    restart_count: int = 0
    image: str = ""
    image_id: str = field(default="", name="imageID")
    container_id: str = field(default="", name="containerID")
    started: bool | None = None
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodStatus(Wire, frozen=True, kw_only=True):
    """What became of a pod."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: tuple[Condition, ...] = ()
    nominated_node_name: str = ""
    start_time: str | None = None
    host_ip: str = field(default="", name="hostIP")
    pod_ip: str = field(default="", name="podIP")
    qos_class: str = ""
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    resource_claim_statuses: tuple[dict[str, Any], ...] = ()


class Pod(Object, frozen=True, kw_only=True):
    """One pod."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


NO_IMAGE: Final = frozenset(
    (
        "InvalidImageName",
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
    )
)
NO_START: Final = frozenset(("CreateContainerConfigError", "CreateContainerError", "RunContainerError"))
"""Reasons for which a container waits while its kubelet tries again and again: for its image, and for its start."""


def has_ended(pod: Pod) -> bool:
    """Whether its containers have run to their end: it holds nothing any more."""
    return pod.status.phase in ("Succeeded", "Failed")


class PodTemplate(Wire, frozen=True, kw_only=True):
    """The pod a workload makes copies of."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()
