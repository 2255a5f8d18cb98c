"""What the API server refuses: bad names and labels, missing fields, changes of what may not change."""

from __future__ import annotations

import re
from typing import Final

from fairlead.embedded.store import affinity, amounts
from fairlead.embedded.store.names import (
    KEY_HINT,
    LABEL,
    LABEL_HINT,
    SERVICE,
    SUBDOMAIN,
    SUBDOMAIN_HINT,
    VALUE_HINT,
    is_key,
    is_value,
)
from fairlead.embedded.store.routes import Route
from fairlead.embedded.store.schemas import faults as schema_faults
from fairlead.embedded.store.schemas import schema_for
from fairlead.embedded.store.status import Doc, Fault, forbidden_field, invalid, required, wrong

_PERCENT: Final = re.compile(r"[0-9]+%", re.ASCII)
_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")
_STANDARD_FINALIZERS: Final = ("kubernetes", "orphan", "foregroundDeletion")
_PATH: Final = re.compile(r"[^/%]+")

_POD_HINT: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
IMMUTABLE: Final = ("namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def check_new(route: Route, doc: Doc) -> None:
    """Pass a new object. Raises: StatusError 422 naming every fault."""
    found = [*_name(route, doc["metadata"]), *_labels(doc["metadata"]), *_held(doc["metadata"]), *_body(route, doc)]
    if found:
        raise invalid(route.kind, doc["metadata"].get("name", ""), found)


def check_change(route: Route, before: Doc, after: Doc) -> None:
    """Pass a changed object. Raises: StatusError 422 naming every fault."""
    found = [*_immutable(before["metadata"], after["metadata"]), *_labels(after["metadata"]), *_held(after["metadata"])]
    if route.kind.resource == "pods":
        found += _pod_change(before["spec"], after.get("spec") or {})
    elif after.get("spec") is not before.get("spec") or after.get("status") is not before.get("status"):
        found += _body(route, after)
    if before.get("immutable") and after.get("data") != before.get("data"):
        found.append(forbidden_field("data", "field is immutable when `immutable` is set"))
    if found:
        raise invalid(route.kind, after["metadata"].get("name", ""), found)


def _name(route: Route, metadata: Doc) -> list[Fault]:
    name = metadata.get("name", "")
    if not name:
        return [required("metadata.name", "name or generateName is required")]
    form, hint, longest = SUBDOMAIN, SUBDOMAIN_HINT, 253
    if route.kind.resource == "namespaces":
        form, hint, longest = LABEL, LABEL_HINT, 63
    elif route.kind.resource == "services":
        form, hint, longest = SERVICE, "a DNS-1035 label must start with a letter", 63
    elif route.kind.group == "rbac.authorization.k8s.io":
        form, hint = _PATH, "may not contain '/' or '%'"
    if len(name) > longest:
        return [wrong("metadata.name", name, f"must be no more than {longest} characters")]
    return [] if form.fullmatch(name) else [wrong("metadata.name", name, hint)]


def _labels(metadata: Doc) -> list[Fault]:
    found = []
    for key, value in (metadata.get("labels") or {}).items():
        if not is_key(key):
            found.append(wrong("metadata.labels", key, KEY_HINT))
        if not is_value(value):
            found.append(wrong("metadata.labels", value, VALUE_HINT))
    for key in metadata.get("annotations") or {}:
        if not is_key(key):
            found.append(wrong("metadata.annotations", key, KEY_HINT))
    return found


def _held(metadata: Doc) -> list[Fault]:
    """Give what is wrong with the names of what holds an object, and of what it goes with."""
    found = []
    for at, name in enumerate(metadata.get("finalizers") or ()):
        if not name or not is_key(name):
            found.append(wrong("metadata.finalizers", name, KEY_HINT))
        elif "/" not in name and name not in _STANDARD_FINALIZERS:
            hint = "name is neither a standard finalizer name nor is it fully qualified"
            found.append(wrong(f"metadata.finalizers[{at}]", name, hint))
    for owner in metadata.get("ownerReferences") or ():
        for key, what in (("apiVersion", "version "), ("kind", ""), ("name", ""), ("uid", "")):
            if not owner.get(key):
                found.append(wrong(f"metadata.ownerReferences.{key}", "", f"{what}must not be empty"))
    return found


def _body(route: Route, doc: Doc) -> list[Fault]:
    if route.is_custom:
        return schema_faults(schema_for(route.kind), doc, "")
    if route.kind.resource == "pods":
        return _pod(doc.get("spec") or {})
    if route.kind.resource == "nodes":
        return amounts.node_faults(doc.get("status") or {})
    if route.kind.resource == "poddisruptionbudgets.policy":
        return _budget(doc.get("spec") or {})
    if route.kind.resource == "events" and not (doc.get("involvedObject") or {}).get("name"):
        return [] if doc.get("involvedObject") else [required("involvedObject")]
    if route.kind.resource == "services" and not (doc.get("spec") or {}).get("ports"):
        headless = (doc.get("spec") or {}).get("clusterIP") == "None"
        return [] if headless else [required("spec.ports")]
    return []


def _budget(spec: Doc) -> list[Fault]:
    found = []
    for key in ("minAvailable", "maxUnavailable"):
        amount = spec.get(key)
        if isinstance(amount, str) and not _PERCENT.fullmatch(amount):
            hint = "a valid percent string must be a numeric string followed by an ending '%'"
            found.append(wrong(f"spec.{key}", amount, hint))
        elif isinstance(amount, int) and amount < 0:
            found.append(wrong(f"spec.{key}", amount, "must be greater than or equal to 0"))
    for at, item in enumerate((spec.get("selector") or {}).get("matchExpressions") or ()):
        if item.get("operator") not in _OPERATORS:
            field = f"spec.selector.matchExpressions[{at}].operator"
            found.append(wrong(field, item.get("operator", ""), "not a valid selector operator"))
    return found


def _pod(spec: Doc) -> list[Fault]:
    containers = spec.get("containers") or []
    if not containers:
        return [required("spec.containers")]
    found: list[Fault] = []
    seen: set[str] = set()
    for where, container in _containers(spec):
        name = container.get("name", "")
        if not name:
            found.append(required(f"{where}.name"))
        elif not LABEL.fullmatch(name) or len(name) > 63:
            found.append(wrong(f"{where}.name", name, LABEL_HINT))
        elif name in seen:
            found.append(Fault(f"{where}.name", "FieldValueDuplicate", f'Duplicate value: "{name}"'))
        seen.add(name)
        if not container.get("image"):
            found.append(required(f"{where}.image"))
        found += amounts.container_faults(where, container.get("resources") or {})
    return [*found, *affinity.faults(spec.get("affinity") or {})]


def _containers(spec: Doc) -> list[tuple[str, Doc]]:
    return [
        (f"spec.{key}[{index}]", container)
        for key in ("initContainers", "containers")
        for index, container in enumerate(spec.get(key) or ())
    ]


def _immutable(before: Doc, after: Doc) -> list[Fault]:
    return [
        wrong(f"metadata.{key}", after.get(key), "field is immutable")
        for key in IMMUTABLE
        if before.get(key) != after.get(key)
    ]


def _pod_change(before: Doc, after: Doc) -> list[Fault]:
    if before is after:
        return []
    if _frozen_part(before) == _frozen_part(after):
        if lost := _lost_tolerations(before, after):
            return [forbidden_field(f"spec.tolerations[{lost[0]}]", "existing toleration can not be modified")]
        gates = [
            gate for gate in after.get("schedulingGates") or () if gate not in (before.get("schedulingGates") or ())
        ]
        return [forbidden_field("spec.schedulingGates", "only deletion is allowed")] if gates else []
    return [forbidden_field("spec", _POD_HINT)]


def _lost_tolerations(before: Doc, after: Doc) -> list[int]:
    """Give the places of tolerations that are no longer there; how long they last may change."""
    kept = [_timeless(item) for item in after.get("tolerations") or ()]
    return [at for at, item in enumerate(before.get("tolerations") or ()) if _timeless(item) not in kept]


def _timeless(toleration: Doc) -> Doc:
    return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}


def _frozen_part(spec: Doc) -> Doc:
    free = ("activeDeadlineSeconds", "tolerations", "schedulingGates")
    frozen = {key: value for key, value in spec.items() if key not in free}
    for key in ("containers", "initContainers"):
        if key in frozen:
            frozen[key] = [{**container, "image": ""} for container in frozen[key]]
    return frozen
