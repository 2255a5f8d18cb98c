"""The scheduler's input kinds, as KAI Scheduler and Run:ai publish them: Queue, PodGroup, BindRequest.

Units of Queue: gpu in devices, cpu in millicores, memory in megabytes (1,000,000 bytes); -1 is unlimited; a missing
number is 0. Source: KAI Scheduler's published API (scheduling.run.ai).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from fairlead.objects.meta import Condition, Object, Wire, is_owned_by
from fairlead.objects.quantity import Quantity

Count = Annotated[int, Meta(ge=0)]
AtLeastOne = Annotated[int, Meta(ge=1)]


class QueueResource(Wire, frozen=True, kw_only=True):
    """One resource of a queue: guaranteed, ceiling, weight of the surplus."""

    quota: Annotated[float, Meta(ge=-1)] = 0
    """-1: no bound; so it is with the limit."""
    limit: Annotated[float, Meta(ge=-1)] = 0
    over_quota_weight: Annotated[float, Meta(ge=0)] = 0


class QueueResources(Wire, frozen=True, kw_only=True):
    """The three resources a queue is measured in."""

    gpu: QueueResource = QueueResource()
    cpu: QueueResource = QueueResource()
    memory: QueueResource = QueueResource()


class QueueSpec(Wire, frozen=True, kw_only=True):
    """What a queue may use. Minimal run times are durations such as "20s"."""

    display_name: str = ""
    parent_queue: str = ""
    priority: int | None = None
    preempt_min_runtime: str | None = None
    reclaim_min_runtime: str | None = None
    resources: QueueResources | None = None


class QueueStatus(Wire, frozen=True, kw_only=True):
    """What a queue uses, its children's use included."""

    conditions: tuple[Condition, ...] = ()
    child_queues: tuple[str, ...] = ()
    allocated: dict[str, Quantity] = field(default_factory=dict)
    allocated_non_preemptible: dict[str, Quantity] = field(default_factory=dict)
    requested: dict[str, Quantity] = field(default_factory=dict)
    fair_share: dict[str, Quantity] = field(default_factory=dict)
    """Ours: what the last decision computed; a Queue definition of others drops it."""


class Queue(Object, frozen=True, kw_only=True):
    """A node of the quota tree (scheduling.run.ai/v2)."""

    spec: QueueSpec = QueueSpec()
    status: QueueStatus = QueueStatus()


class TopologyConstraint(Wire, frozen=True, kw_only=True):
    """How close the pods of a group must or should lie; a level is a node label key."""

    topology: str = ""
    required_topology_level: str = ""
    preferred_topology_level: str = ""


class TopologyLevel(Wire, frozen=True, kw_only=True):
    """One level of a topology: nodes with equal values of this label are close."""

    node_label: Annotated[str, Meta(min_length=1)]


class TopologySpec(Wire, frozen=True, kw_only=True):
    """Levels, coarsest first. A node that lacks any of their labels is outside the topology."""

    levels: Annotated[tuple[TopologyLevel, ...], Meta(min_length=1, max_length=16)]


class Topology(Object, frozen=True, kw_only=True):
    """How nodes lie to each other (kai.scheduler/v1alpha1)."""

    spec: TopologySpec


class SubGroup(Wire, frozen=True, kw_only=True):
    """A part of a gang with its own minimum."""

    name: str
    min_member: AtLeastOne = 1
    parent: str | None = None
    topology_constraint: TopologyConstraint | None = None


class PodGroupSpec(Wire, frozen=True, kw_only=True):
    """An all-or-nothing set of pods in a queue."""

    min_member: AtLeastOne = 1
    queue: str = ""
    priority_class_name: str = ""
    preemptibility: Literal["", "preemptible", "non-preemptible"] = ""
    parallelism: int | None = None
    completions: int | None = None
    backoff_limit: int | None = None
    mark_unschedulable: bool | None = None
    scheduling_backoff: int | None = None
    topology_constraint: TopologyConstraint | None = None
    sub_groups: tuple[SubGroup, ...] = ()


class QueueDetails(Wire, frozen=True, kw_only=True):
    """Amounts behind a refusal by quota or limit."""

    name: str = ""
    queue_requested_resources: dict[str, Quantity] = field(default_factory=dict)
    queue_deserved_resources: dict[str, Quantity] = field(default_factory=dict)
    queue_allocated_resources: dict[str, Quantity] = field(default_factory=dict)
    queue_allocated_non_preemptible_resources: dict[str, Quantity] = field(default_factory=dict)
    queue_resource_limits: dict[str, Quantity] = field(default_factory=dict)
    pod_group_requested_resources: dict[str, Quantity] = field(default_factory=dict)
    pod_group_requested_non_preemptible_resources: dict[str, Quantity] = field(default_factory=dict)


class ReasonDetails(Wire, frozen=True, kw_only=True):
    """Structured part of a reason."""

    queue_details: QueueDetails | None = None


class SchedulingReason(Wire, frozen=True, kw_only=True):
    """Why a group does not run."""

    reason: str = ""
    message: str = ""
    details: ReasonDetails | None = None


class SchedulingCondition(Wire, frozen=True, kw_only=True):
    """The verdict of one node pool; the newest is the last of the list. `type` is UnschedulableOnNodePool, `status` True."""

    type: str = ""
    node_pool: str = ""
    reason: str = ""
    message: str = ""
    reasons: tuple[SchedulingReason, ...] = ()
    transition_id: str = field(default="", name="transitionID")
    last_transition_time: str | None = None
    status: str = ""


class PodGroupCondition(Wire, frozen=True, kw_only=True):
    """A condition of a group, numbered in order."""

    type: str
    status: str = ""
    transition_id: str = field(default="", name="transitionID")
    last_transition_time: str | None = None
    reason: str = ""
    message: str = ""


class ResourcesStatus(Wire, frozen=True, kw_only=True):
    """What the pods of a group use and ask for."""

    allocated: dict[str, Quantity] = field(default_factory=dict)
    allocated_non_preemptible: dict[str, Quantity] = field(default_factory=dict)
    requested: dict[str, Quantity] = field(default_factory=dict)


class PodGroupStatus(Wire, frozen=True, kw_only=True):
    """How a group fares."""

    phase: str = ""
    conditions: tuple[PodGroupCondition, ...] = ()
    running: Count = 0
    succeeded: Count = 0
    failed: Count = 0
    pending: Count = 0
    resources_status: ResourcesStatus = ResourcesStatus()
    scheduling_conditions: tuple[SchedulingCondition, ...] = ()


class PodGroup(Object, frozen=True, kw_only=True):
    """A gang (scheduling.run.ai/v2alpha2)."""

    spec: PodGroupSpec = PodGroupSpec()
    status: PodGroupStatus = PodGroupStatus()


class ReceivedGpu(Wire, frozen=True, kw_only=True):
    """What a pod gets: `portion` is text with two decimals."""

    count: Count = 0
    portion: str = ""


class ClaimAllocation(Wire, frozen=True, kw_only=True):
    """The devices chosen for one claim of a pod (resource.k8s.io AllocationResult)."""

    name: str
    allocation: dict[str, Any] | None = None


class BindRequestSpec(Wire, frozen=True, kw_only=True):
    """The decision a binder carries out."""

    pod_name: str
    selected_node: str
    received_resource_type: Literal["", "Regular", "Fraction", "MigInstance"] = ""
    received_gpu: ReceivedGpu | None = field(default=None, name="receivedGPU")
    selected_gpu_groups: tuple[str, ...] = field(default=(), name="selectedGPUGroups")
    resource_claim_allocations: tuple[ClaimAllocation, ...] = ()
    backoff_limit: int | None = None


class BindRequestStatus(Wire, frozen=True, kw_only=True):
    """How far the binder got."""

    phase: Literal["", "Pending", "Succeeded", "Failed"] = ""
    reason: str = ""
    failed_attempts: Count = 0


class BindRequest(Object, frozen=True, kw_only=True):
    """A bind that needs work before the pod can start (scheduling.run.ai/v1alpha2). Named like its pod."""

    spec: BindRequestSpec = BindRequestSpec(pod_name="", selected_node="")
    status: BindRequestStatus = BindRequestStatus()


def is_for(request: BindRequest, pod: Object) -> bool:
    """Whether that very pod is meant, not an earlier one of its name."""
    return is_owned_by(request.metadata, pod.metadata.uid)
