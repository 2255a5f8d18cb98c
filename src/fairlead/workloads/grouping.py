"""How pods that other controllers made belong together: which are one gang, how many must start at once, in which queue. Pure.

A pod is looked at with its *chain*: the objects that own it, nearest first. The outermost of them for which `table` has a row decides;
wrappers above it that nobody here knows only lend it their labels. Who has no row, and whose row says so, is a gang of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from fairlead.objects import fields
from fairlead.objects.json import JsonObject
from fairlead.objects.kai import PodGroup, PodGroupSpec, SubGroup, TopologyConstraint
from fairlead.objects.meta import ObjectMeta, OwnerReference
from fairlead.objects.pod import Pod

T = TypeVar("T")

DEFAULT_QUEUE: Final = "default-queue"
"""Where work goes whose namespace and labels name none, as with KAI Scheduler."""
_INHERITED: Final = (
    fields.QUEUE,
    fields.QUEUE_OLD,
    fields.NODE_POOL,
    fields.PRIORITY_CLASS,
    fields.PREEMPTIBILITY,
    fields.PROJECT_OLD,
    fields.USER_OLD,
)


class Malformed(Exception):
    """An owner's object holds a field that cannot be read; says which."""


class Gang(Struct, frozen=True, kw_only=True):
    """What a row of the table says of a pod. `name` is told apart within its owner; `subgroup` is the part this pod is in."""

    min_member: int
    name: str = ""
    sub_groups: tuple[SubGroup, ...] = ()
    subgroup: str = ""


class Chain(Struct, frozen=True, kw_only=True):
    """A pod, its owners from the nearest to the outermost, and all pods that the deciding owner has."""

    pod: Pod
    owners: tuple[JsonObject, ...] = ()
    siblings: tuple[Pod, ...] = ()


class Grouped(Struct, frozen=True, kw_only=True):
    """What to write: the pod group, None for a pod of its own; labels and annotations that the pod lacks."""

    group: PodGroup | None
    labels: dict[str, str]
    annotations: dict[str, str]


def read(owner: JsonObject, type_: type[T], part: object = None) -> T:
    """An owner's object, or that part of it, as the few fields a row needs.

    Raises: Malformed with the path of what cannot be read.
    """
    try:
        return msgspec.convert(owner if part is None else part, type_)
    except msgspec.ValidationError as error:
        raise Malformed(f"{owner.get('kind')} {meta_of(owner).name}: {error}") from error


def meta_of(owner: JsonObject) -> ObjectMeta:
    """Name, labels and owners of an object of any kind."""
    return msgspec.convert(owner.get("metadata") or {}, ObjectMeta)


def grouped(chain: Chain, decider: JsonObject | None, gang: Gang | None, default_class: str, place: str) -> Grouped:
    """What follows for a pod from its row. `decider`: the owner that has the row; `place`: the queue of the pod's namespace, or empty."""
    said = inherited(chain)
    labels = {**said, fields.PRIORITY_CLASS: _class_of(chain, said, default_class)}
    labels[fields.QUEUE] = place or _queue_of(labels)
    if gang is None or decider is None:
        return Grouped(group=None, labels=_lacking(chain.pod, labels), annotations={fields.GROUPED: "alone"})
    group = _group(chain, decider, gang, labels)
    if gang.subgroup:
        labels[fields.SUBGROUP] = gang.subgroup
    return Grouped(
        group=group,
        labels=_lacking(chain.pod, labels),
        annotations={fields.POD_GROUP: group.metadata.name},
    )


def inherited(chain: Chain) -> dict[str, str]:
    """The labels that say queue, class and the like: the outermost owner's first, else the next one's, else the pod's own."""
    found: dict[str, str] = {}
    for labels in (chain.pod.metadata.labels, *(meta_of(owner).labels for owner in chain.owners)):
        found |= {key: value for key, value in labels.items() if key in _INHERITED and value}
    return found


def _class_of(chain: Chain, said: Mapping[str, str], default: str) -> str:
    return said.get(fields.PRIORITY_CLASS) or chain.pod.spec.priority_class_name or default


def _queue_of(labels: Mapping[str, str]) -> str:
    named = labels.get(fields.QUEUE) or labels.get(fields.QUEUE_OLD)
    if named:
        return named
    project, pool = labels.get(fields.PROJECT_OLD, ""), labels.get(fields.NODE_POOL, "")
    return "-".join(filter(None, (project, pool))) if project else DEFAULT_QUEUE


def _lacking(pod: Pod, labels: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if pod.metadata.labels.get(key) != value}


def _group(chain: Chain, decider: JsonObject, gang: Gang, labels: Mapping[str, str]) -> PodGroup:
    meta = meta_of(decider)
    name = f"pg-{meta.name}-{meta.uid}" + (f"-{gang.name}" if gang.name else "")
    owner = OwnerReference(
        api_version=str(decider.get("apiVersion", "")), kind=str(decider.get("kind", "")), name=meta.name, uid=meta.uid
    )
    return PodGroup(
        metadata=ObjectMeta(
            name=name,
            namespace=chain.pod.metadata.namespace,
            labels={k: v for k, v in labels.items() if k in (fields.QUEUE, fields.NODE_POOL, fields.USER_OLD)},
            annotations={fields.TOP_OWNER: _top_owner(decider, meta)},
            owner_references=(owner,),
        ),
        spec=PodGroupSpec(
            min_member=gang.min_member,
            queue=labels[fields.QUEUE],
            priority_class_name=labels[fields.PRIORITY_CLASS],
            preemptibility=_preemptibility(labels.get(fields.PREEMPTIBILITY, "")),
            topology_constraint=_topology(chain.owners),
            sub_groups=gang.sub_groups,
        ),
    )


def _preemptibility(said: str) -> Any:
    return said if said in ("preemptible", "non-preemptible") else ""


def _topology(owners: Sequence[JsonObject]) -> TopologyConstraint | None:
    """What the outermost owner that speaks of nearness says."""
    for owner in reversed(owners):
        said = meta_of(owner).annotations
        if said.get(fields.TOPOLOGY):
            return TopologyConstraint(
                topology=said[fields.TOPOLOGY],
                required_topology_level=said.get(fields.TOPOLOGY_REQUIRED, ""),
                preferred_topology_level=said.get(fields.TOPOLOGY_PREFERRED, ""),
            )
    return None


def _top_owner(owner: JsonObject, meta: ObjectMeta) -> str:
    """The user's object as YAML, for people and for programs that read KAI Scheduler's groups."""
    group, _, version = str(owner.get("apiVersion", "")).rpartition("/")
    lines = {"name": meta.name, "uid": meta.uid, "group": group, "version": version, "kind": owner.get("kind", "")}
    return "".join(f"{key}: {value}\n" for key, value in lines.items() if value)
