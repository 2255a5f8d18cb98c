"""Values: one frozen object per Kubernetes object the scheduler reads, rebuilt only when that object changes.

Left out on purpose: which physical device a whole-GPU pod gets (the kubelet's device plugin chooses; only shared and DRA devices are ours),
links between devices, images, environment, commands, user-facing text, node-pool fallback and CEL (the shell's work).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

from fairlead.model.units import UNLIMITED, GpuGroup, NodeName, Pairs, QueueName, Quota, Scalars, Uid, Value


class PodStatus(IntEnum):
    """Where a pod is in its life. HELD = promised a place that is still being freed (KAI "pipelined", kept between cycles)."""

    GATED, PENDING, HELD, BINDING, BOUND, RUNNING, RELEASING, SUCCEEDED, FAILED = range(9)


class GpuRequest(Value, frozen=True, kw_only=True):
    """GPUs of one pod. Whole: devices=n, portion_milli=1000. Fraction: portion<1000. By memory: memory_mib>0, portion 0."""

    devices: int = 0
    portion_milli: int = 0
    memory_mib: int = 0
    """Per device."""
    limit_milli: int = 0
    """Burst ceiling of dynamic fractions; carried to the node, never counted."""
    mig: Scalars = ()
    """Profile resource (`nvidia.com/mig-1g.10gb`) to instances; the leading number is its charge in GPUs."""
    legacy_mig: bool = False
    """Asked by the old annotation: never placed, but counted where it runs."""


class Claim(Value, frozen=True, kw_only=True):
    """A DRA claim of one pod. Pods that name the same claim share its devices; a claim from a template has a name of its own."""

    name: str
    device_class: str = "gpu.nvidia.com"
    count: int = 1
    kind: int = 0
    """Row of `claim_fits`: which devices satisfy it (CEL already evaluated)."""
    shared: bool = False
    """Named by the user rather than made from a template."""
    queue: QueueName = QueueName("")
    """Queue label of a shared GPU claim; such a claim serves only that queue."""
    shared_with: int = 0
    """Pods outside this snapshot already reserved on it (256 in all is the most)."""
    node: NodeName = NodeName("")
    devices: tuple[int, ...] = ()
    """Devices of that node once allocated."""


class NodeRule(Value, frozen=True, kw_only=True, tag=True):
    """Where a pod may run whatever is free. Two claims whose volumes have equal topology give equal `volumes`."""

    selector: Pairs = ()
    affinity: tuple[tuple[tuple[str, str, tuple[str, ...]], ...], ...] = ()
    """Any of (all of (key, operator, values)); operators In, NotIn, Exists, DoesNotExist, Gt, Lt."""
    tolerations: tuple[tuple[str, str, str, str], ...] = ()
    """(key, operator Exists|Equal, value, effect); empty key tolerates all, empty effect every effect."""
    volumes: tuple[str, ...] = ()


class Term(Value, frozen=True, kw_only=True, tag=True):
    """A rule about the company a pod keeps: counted per domain of `level` (a node label; hostname is the finest)."""

    kind: Literal["need", "avoid", "spread", "at-most"]
    level: str
    selector: str
    """Label selector text; for at-most: the port or driver."""
    namespaces: tuple[str, ...] = ()
    """Empty = the pod's own."""
    bound: int = 0


class TaskClass(Value, frozen=True, kw_only=True):
    """Everything that decides where a pod may go; equal pods share one (and should share the object). Not in it: names, owners,
    claim names, and labels no live selector mentions, which would make every pod its own class."""

    request: Scalars
    """max(sum of containers, each init) + overhead, with ("pods", 1); never "gpu", which is `gpu`."""
    gpu: GpuRequest = GpuRequest()
    claims: tuple[tuple[str, int], ...] = ()
    """(device class, count) of claims made from templates."""
    rule: NodeRule = NodeRule()
    terms: tuple[Term, ...] = ()
    preferred: tuple[tuple[NodeRule | Term, int], ...] = ()
    """(what, weight)."""
    labels: Pairs = ()
    """Only those some Term of this snapshot selects on."""
    wait_for_volume: bool = False
    """An unbound WaitForFirstConsumer claim: the bind goes through a BindRequest."""


class Node(Value, frozen=True, kw_only=True):
    """One node. `allocatable` and `foreign` (used by pods of other schedulers) name whole devices "gpu", in milli."""

    name: NodeName
    allocatable: Scalars
    foreign: Scalars = ()
    ready: bool = True
    """False also takes the node out of the cluster's total."""
    unschedulable: bool = False
    """Cordoned: takes nothing new, stays in the total."""
    gpus: int = 0
    """Physical devices, from labels."""
    gpu_memory_mib: int = 0
    """Per device; 0 = unknown: gpu-memory requests do not fit."""
    gpu_model: str = ""
    gpu_source: Literal["none", "device-plugin", "dra"] = "none"
    mig: Literal["none", "single", "mixed"] = "none"
    dra: Scalars = ()
    """(device class, devices) from resource slices; a class with "gpu" in its name counts as GPUs."""
    labels: Pairs = ()
    taints: tuple[tuple[str, str, str], ...] = ()
    """(key, value, effect)."""


class SharedGpu(Value, frozen=True, kw_only=True):
    """One physical GPU held by a reservation pod."""

    id: GpuGroup
    node: NodeName
    uuid: str = ""
    """Known once the node agent reports it; empty = the reservation pod is starting."""


class Pod(Value, frozen=True, kw_only=True):
    """One pod of a group."""

    uid: Uid
    namespace: str
    name: str
    group: Uid
    klass: TaskClass
    status: PodStatus
    subgroup: str = ""
    node: NodeName = NodeName("")
    shared: tuple[GpuGroup, ...] = ()
    """Devices of a fraction pod, one per device asked."""
    claims: tuple[Claim, ...] = ()
    created: float = 0.0
    task_priority: int | None = None
    """Higher first; labelled before unlabelled, leaders before workers (set by `workloads`)."""
    nominated: NodeName = NodeName("")
    """`status.nominatedNodeName`: a wish."""


class SubGroup(Value, frozen=True, kw_only=True):
    """Node of a group's tree; leaves hold pods. No explicit subgroups = one leaf "" with the group's minimum."""

    name: str
    parent: str = ""
    min_member: int = 1
    topology: str = ""
    required_level: str = ""
    preferred_level: str = ""


class Hold(Value, frozen=True, kw_only=True):
    """Capacity promised to a group, written on its PodGroup before the first eviction. At most one per group. Ends when the group is
    bound or gone, a node in it is lost, or at `deadline`."""

    places: tuple[tuple[Uid, NodeName, tuple[GpuGroup, ...]], ...]
    victims: tuple[Uid, ...]
    deadline: float


class PodGroup(Value, frozen=True, kw_only=True):
    """The gang. A single pod without a PodGroup object is an implicit group with the uid of the pod: no object is written to place it."""

    uid: Uid
    namespace: str
    name: str
    queue: QueueName
    priority: int = 50
    preemptible: bool = True
    movable: bool = True
    """May consolidation move it (opt-out annotation, PodDisruptionBudget with nothing left)."""
    subgroups: tuple[SubGroup, ...] = (SubGroup(name=""),)
    """Parents first, then by name."""
    topology: str = ""
    required_level: str = ""
    preferred_level: str = ""
    """Topology constraint of the whole group."""
    created: float = 0.0
    started: float | None = None
    """Last start, for min runtime."""
    stale_since: float | None = None
    failed_binds: int = 0
    bind_failure: str = ""
    """Why the last of them failed, in the words of who refused it."""
    retry_at: float = 0.0
    """Not tried before this time after failed binds."""
    set_aside: bool = False
    """A bug was met with this group: it is skipped (Reason INTERNAL) until the shell lets it in again."""
    unsupported: str = ""
    """What a pod of it asks that cannot be decided on: it is skipped (Reason UNSUPPORTED); empty for nothing."""
    lacks: str = ""
    """Why the volumes of a pod of it are not ready: it is skipped (Reason VOLUME); empty where they are."""
    untold: bool = False
    """A pod of it would not see its part of a GPU, for admission did not see it: it is skipped (Reason NOT_ADMITTED)."""

    @property
    def is_undecidable(self) -> bool:
        """Whether something about its pods keeps it from being decided on."""
        return bool(self.unsupported or self.lacks or self.untold)

    hold: Hold | None = None


class QueueSpec(Value, frozen=True, kw_only=True):
    """Department or project: any depth, only leaves take pods."""

    name: QueueName
    deserved: Quota
    parent: QueueName = QueueName("")
    priority: int = 100
    created: float = 0.0
    limit: Quota = (UNLIMITED, UNLIMITED, UNLIMITED)
    weight: tuple[float, float, float] = (1.0, 1.0, 1.0)
    preempt_min_runtime: float | None = None
    reclaim_min_runtime: float | None = None
    usage: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Share of capacity used over the policy's window, 0..1 per K."""
