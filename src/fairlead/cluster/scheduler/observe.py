"""Objects as the values of the core. Each object is read once a change; equal pods share one task class."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

from fairlead.cluster.scheduler import company
from fairlead.cluster.scheduler.claims import Wanted, with_claims
from fairlead.model import (
    UNLIMITED,
    GpuGroup,
    Hold,
    Node,
    NodeName,
    NodeRule,
    Pod,
    PodGroup,
    PodStatus,
    QueueName,
    QueueSpec,
    Scalars,
    SubGroup,
    TaskClass,
    Uid,
)
from fairlead.objects import builtin, fields, kai, kinds
from fairlead.objects import pod as objects
from fairlead.objects.meta import ObjectMeta, condition_of, controller_of
from fairlead.objects.quantity import amount
from fairlead.objects.times import duration_of, seconds_of
from fairlead.workloads.gpus import amounts, asked_of, count_of, gpu_of, groups_of, is_gpu, is_mig
from fairlead.workloads.priority import is_preemptible, priority_of

DEFAULT_POOL = "default"
QUEUE_KEYS = (fields.QUEUE, fields.QUEUE_OLD)
OURS = f"{kinds.FAIRLEAD_GROUP}/"


def queue_of(meta: ObjectMeta) -> str:
    """The queue a pod or group is labelled for; empty for none."""
    return next((meta.labels[k] for k in QUEUE_KEYS if k in meta.labels), "")


def awaits_grouping(pod: objects.Pod) -> bool:
    """Whether another controller's pod has not been looked at yet: it may be one of a gang."""
    maker = controller_of(pod.metadata)
    if maker is None or maker.api_version.startswith(OURS) or pod.spec.node_name:
        return False
    return not {fields.POD_GROUP, fields.GROUPED} & pod.metadata.annotations.keys()


def pool_of(meta: ObjectMeta) -> str:
    """The node pool a pod, group or queue is labelled for."""
    return meta.labels.get(fields.NODE_POOL, DEFAULT_POOL)


def created_of(meta: ObjectMeta) -> float:
    """When the API server made the object, in seconds since the epoch."""
    return seconds_of(meta.creation_timestamp) or 0.0


class Classes:
    """Task classes seen so far: equal requests and rules give the same object."""

    def __init__(self) -> None:
        self._known: dict[TaskClass, TaskClass] = {}

    def of(self, pod: objects.Pod, keys: frozenset[str], wanted: Wanted, *, with_company: bool) -> TaskClass:
        """The class of a pod. `keys`: labels that some pod's affinity looks at; `wanted`: by its claims; `with_company`: its own counts."""
        klass = TaskClass(
            request=_request(pod),
            gpu=gpu_of(pod),
            rule=_rule(pod.spec),
            terms=company.terms_of(pod.spec) if with_company else (),
            preferred=(*_preferred(pod.spec), *(company.liked_by(pod.spec) if with_company else ())),
            labels=tuple(sorted((k, v) for k, v in pod.metadata.labels.items() if k in keys)),
        )
        klass = with_claims(klass, wanted)
        return self._known.setdefault(klass, klass)


def status_of(pod: objects.Pod) -> PodStatus | None:
    """Where a pod stands; None for one that holds and wants nothing."""
    if objects.has_ended(pod):
        return None
    if pod.metadata.deletion_timestamp:
        return PodStatus.RELEASING if pod.spec.node_name else None
    if pod.spec.node_name:
        return PodStatus.RUNNING if pod.status.phase == "Running" else PodStatus.BOUND
    return PodStatus.GATED if pod.spec.scheduling_gates else PodStatus.PENDING


def node_of(node: builtin.Node, foreign: Mapping[str, int]) -> Node:
    """A node, and what pods of other schedulers take from it."""
    labels = node.metadata.labels
    ready = condition_of(node.status.conditions, "Ready")
    gpus = amount(node.status.allocatable, fields.GPU_RESOURCE)
    return Node(
        name=NodeName(node.metadata.name),
        allocatable=_scalars(amounts(node.status.allocatable)),
        foreign=_scalars(foreign),
        ready=ready is not None and ready.status == "True",
        unschedulable=node.spec.unschedulable,
        gpus=gpus,
        gpu_memory_mib=count_of(labels.get(fields.GPU_MEMORY_LABEL), 0),
        gpu_model=labels.get(fields.GPU_PRODUCT_LABEL, ""),
        gpu_source="device-plugin" if gpus else "none",
        mig=_mig(node),
        labels=tuple(
            sorted(
                {**labels, "kubernetes.io/hostname": labels.get("kubernetes.io/hostname", node.metadata.name)}.items()
            )
        ),
        taints=tuple((t.key, t.value, t.effect) for t in node.spec.taints),
    )


def _mig(node: builtin.Node) -> Literal["none", "single", "mixed"]:
    """How the node's devices are split: by its label, and mixed wherever it offers instances by their profile."""
    if any(is_mig(name) and amount(node.status.allocatable, name) for name in node.status.allocatable):
        return "mixed"
    return "single" if node.metadata.labels.get(fields.MIG_STRATEGY_LABEL) == "single" else "none"


def queue_spec(queue: kai.Queue) -> QueueSpec:
    """A queue. In a Queue object a missing number is 0, and -1 is unlimited."""
    resources = queue.spec.resources or kai.QueueResources()
    parts = ((resources.gpu, 1000), (resources.cpu, 1), (resources.memory, 1_000_000))
    deserved = tuple(_bounded(r.quota, unit) for r, unit in parts)
    limit = tuple(_bounded(r.limit, unit) for r, unit in parts)
    return QueueSpec(
        name=QueueName(queue.metadata.name),
        parent=QueueName(queue.spec.parent_queue),
        priority=100 if queue.spec.priority is None else queue.spec.priority,
        created=created_of(queue.metadata),
        deserved=(deserved[0], deserved[1], deserved[2]),
        limit=(limit[0], limit[1], limit[2]),
        weight=(resources.gpu.over_quota_weight, resources.cpu.over_quota_weight, resources.memory.over_quota_weight),
        preempt_min_runtime=_least(queue.spec.preempt_min_runtime),
        reclaim_min_runtime=_least(queue.spec.reclaim_min_runtime),
    )


def group_of(group: kai.PodGroup) -> PodGroup:
    """A gang from its object."""
    priority = priority_of(group.spec.priority_class_name or "train")
    said = {"preemptible": True, "non-preemptible": False}.get(group.spec.preemptibility)
    near = group.spec.topology_constraint or kai.TopologyConstraint()
    return PodGroup(
        uid=Uid(group.metadata.uid),
        namespace=group.metadata.namespace,
        name=group.metadata.name,
        queue=QueueName(group.spec.queue or queue_of(group.metadata)),
        priority=priority,
        preemptible=is_preemptible(priority, said),
        subgroups=_subgroups(group) or (SubGroup(name="", min_member=group.spec.min_member),),
        topology=near.topology,
        required_level=near.required_topology_level,
        preferred_level=near.preferred_topology_level,
        created=created_of(group.metadata),
        started=_time(group.metadata.annotations.get(fields.LAST_START)),
        stale_since=_time(group.metadata.annotations.get(fields.STALE_SINCE)),
        hold=hold_of(group.metadata),
    )


def levels_of(topologies: Iterable[kai.Topology]) -> tuple[tuple[str, str], ...]:
    """(topology, node label) of every level, coarse to fine, topologies by name."""
    ordered = sorted(topologies, key=lambda each: each.metadata.name)
    return tuple((each.metadata.name, level.node_label) for each in ordered for level in each.spec.levels)


def lone_group(pod: objects.Pod) -> PodGroup:
    """A single pod as its own gang."""
    meta = pod.metadata
    priority = priority_of(meta.labels.get(fields.PRIORITY_CLASS) or pod.spec.priority_class_name or "train")
    said = {"preemptible": True, "non-preemptible": False}.get(meta.labels.get(fields.PREEMPTIBILITY, ""))
    return PodGroup(
        uid=Uid(meta.uid),
        namespace=meta.namespace,
        name=meta.name,
        queue=QueueName(queue_of(meta)),
        priority=priority,
        preemptible=is_preemptible(priority, said),
        created=created_of(meta),
        started=started_of(pod),
        hold=hold_of(meta),
    )


def pod_value(pod: objects.Pod, group: Uid, klass: TaskClass, status: PodStatus) -> Pod:
    """A pod of a group."""
    label = pod.metadata.labels.get(fields.TASK_PRIORITY, "")
    rank = pod.metadata.labels.get(fields.RANK, "")
    order = int(label) if label.lstrip("-").isdigit() else -int(rank) if rank.isdigit() else None
    return Pod(
        uid=Uid(pod.metadata.uid),
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        group=group,
        klass=klass,
        status=status,
        subgroup=pod.metadata.labels.get(fields.SUBGROUP, ""),
        node=NodeName(pod.spec.node_name),
        shared=tuple(GpuGroup(g) for g in groups_of(pod)) if pod.spec.node_name else (),
        created=created_of(pod.metadata),
        task_priority=order,
        nominated=NodeName(pod.status.nominated_node_name),
    )


def started_of(pod: objects.Pod) -> float | None:
    """When its node began with the pod, in seconds since the epoch."""
    return _time(pod.status.start_time) if pod.spec.node_name else None


def hold_of(meta: ObjectMeta) -> Hold | None:
    """The promise written on an object; one that cannot be read is none."""
    text = meta.annotations.get(fields.HOLD)
    if not text:
        return None
    try:
        return msgspec.convert(json.loads(text), Hold)
    except (ValueError, msgspec.ValidationError):
        return None


def foreign_use(
    pods: Iterable[objects.Pod], holds: Callable[[objects.Pod], bool] = lambda _: False
) -> dict[str, dict[str, int]]:
    """Node -> what pods of other schedulers take there. The GPU of one that `holds` it for pods of ours is charged to those."""
    found: dict[str, dict[str, int]] = {}
    for pod in pods:
        use = found.setdefault(pod.spec.node_name, {})
        counted = {n: v for n, v in asked_of(pod).items() if n != fields.GPU_RESOURCE or not holds(pod)}
        for name, value in (*counted.items(), ("pods", 1)):
            key, amount = ("gpu", value * 1000) if name == fields.GPU_RESOURCE else (name, value)
            use[key] = use.get(key, 0) + amount
    return found


def _subgroups(group: kai.PodGroup) -> tuple[SubGroup, ...]:
    """Parents first, then by name; those whose parent is missing, or which are above themselves, hold no pods."""
    waiting = sorted(group.spec.sub_groups, key=lambda each: each.name)
    known = {""}
    found: list[SubGroup] = []
    while ready := [each for each in waiting if (each.parent or "") in known and each.name not in known]:
        found += [_subgroup(each, each.topology_constraint or kai.TopologyConstraint()) for each in ready]
        known |= {each.name for each in ready}
        waiting = [each for each in waiting if each.name not in known]
    return tuple(found)


def _subgroup(group: kai.SubGroup, near: kai.TopologyConstraint) -> SubGroup:
    return SubGroup(
        name=group.name,
        parent=group.parent or "",
        min_member=group.min_member,
        topology=near.topology,
        required_level=near.required_topology_level,
        preferred_level=near.preferred_topology_level,
    )


def _least(text: str | None) -> float | None:
    """A minimal run time in seconds; one that nobody can read is none."""
    try:
        return duration_of(text)
    except ValueError:
        return None


def _bounded(value: float, unit: int) -> int:
    return UNLIMITED if value < 0 else round(value * unit)


def _request(pod: objects.Pod) -> Scalars:
    asked = {name: value for name, value in asked_of(pod).items() if not is_gpu(name)}
    return _scalars({**asked, "pods": 1})


def _scalars(counted: Mapping[str, int]) -> Scalars:
    renamed = {
        ("gpu" if n == fields.GPU_RESOURCE else n): (v * 1000 if n == fields.GPU_RESOURCE else v)
        for n, v in counted.items()
    }
    return tuple(sorted((n, v) for n, v in renamed.items() if v))


def _rule(spec: objects.PodSpec) -> NodeRule:
    required = spec.affinity.node_affinity.required if spec.affinity and spec.affinity.node_affinity else None
    return NodeRule(
        selector=tuple(sorted(spec.node_selector.items())),
        affinity=tuple(_term(t) for t in required.node_selector_terms) if required else (),
        tolerations=tuple((t.key, t.operator or "Equal", t.value, t.effect) for t in spec.tolerations),
    )


def _preferred(spec: objects.PodSpec) -> tuple[tuple[NodeRule, int], ...]:
    affinity = spec.affinity.node_affinity if spec.affinity else None
    return tuple(
        (NodeRule(affinity=(_term(p.preference),)), p.weight) for p in (affinity.preferred if affinity else ())
    )


def _term(term: objects.NodeSelectorTerm) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    expressions = [(e.key, e.operator, e.values) for e in term.match_expressions]
    names = [("kubernetes.io/hostname", f.operator, f.values) for f in term.match_fields]
    return tuple((*expressions, *names))


def _time(text: str | None) -> float | None:
    """The time a text names; None where it names none."""
    try:
        return seconds_of(text)
    except ValueError:
        return None
