"""What every Kubernetes object carries: metadata, owners, conditions, and the server's Status answers.

Unknown fields are ignored when decoding; fields that hold their default are left out when encoding. Times stay the
RFC 3339 text the server wrote (`fairlead.objects.times` reads it); None where the server writes null.
"""

from __future__ import annotations

from msgspec import Struct, field


class Wire(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of all values that cross the Kubernetes API: camelCase on the wire, defaults left out."""


class OwnerReference(Wire, frozen=True, kw_only=True):
    """The object this one is deleted with."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Wire, frozen=True, kw_only=True):
    """Identity, labels and life of an object. `managedFields` are never kept."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()


def is_owned_by(metadata: ObjectMeta, uid: str) -> bool:
    """Whether the object with that UID is among its owners."""
    return any(owner.uid == uid for owner in metadata.owner_references)


def controller_of(meta: ObjectMeta) -> OwnerReference | None:
    """Who made the object and keeps it."""
    return next((owner for owner in meta.owner_references if owner.controller), None)


class Condition(Wire, frozen=True, kw_only=True):
    """One line of an object's condition list, of built-in kinds and ours alike."""

    type: str
    status: str = ""
    """True, False or Unknown; empty where whoever wrote it left it out. It is always written: programs wait for it."""
    reason: str = ""
    message: str = ""
    observed_generation: int = 0
    last_probe_time: str | None = None
    last_heartbeat_time: str | None = None
    last_transition_time: str | None = None


class LabelExpression(Wire, frozen=True, kw_only=True):
    """One set-based condition of a LabelSelector."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(Wire, frozen=True, kw_only=True):
    """Labels as objects write them; `fairlead.objects.selectors.of_object` makes it matchable."""

    match_labels: dict[str, str] = field(default_factory=dict)
    match_expressions: tuple[LabelExpression, ...] = ()


class ObjectReference(Wire, frozen=True, kw_only=True):
    """A pointer to another object, as events and bindings carry it."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    field_path: str = ""


class ListMeta(Wire, frozen=True, kw_only=True):
    """What a list says about itself: its revision, and where the next page starts."""

    resource_version: str = ""
    continue_: str = field(default="", name="continue")
    remaining_item_count: int | None = None


class StatusCause(Wire, frozen=True, kw_only=True):
    """One detail of a refusal: a field and what is wrong with it."""

    reason: str = ""
    message: str = ""
    field_: str = field(default="", name="field")


class StatusDetails(Wire, frozen=True, kw_only=True):
    """What a refusal is about."""

    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""
    causes: tuple[StatusCause, ...] = ()
    retry_after_seconds: int = 0


class Status(Wire, frozen=True, kw_only=True):
    """The server's answer where it has no object to give: refusals, and some deletions."""

    kind: str = ""
    api_version: str = ""
    status: str = ""
    message: str = ""
    reason: str = ""
    details: StatusDetails = StatusDetails()
    code: int = 0


class Object(Wire, frozen=True, kw_only=True):
    """Base of every kind. `apiVersion` and `kind` are filled from the kind table when encoding."""

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = ObjectMeta()


def condition_of(conditions: tuple[Condition, ...], type_: str) -> Condition | None:
    """Give the condition of that type, None where the list has none."""
    return next((condition for condition in conditions if condition.type == type_), None)
