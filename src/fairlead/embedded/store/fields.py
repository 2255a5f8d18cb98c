"""Selecting objects: by labels, and by the few fields each resource allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fairlead.embedded.store.status import Doc, bad_request
from fairlead.objects import selectors
from fairlead.objects.kinds import Kind

Filter = Callable[[Doc], bool]

_ALWAYS: Final = ("metadata.name", "metadata.namespace")
_ALLOWED: Final[dict[str, tuple[str, ...]]] = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "nodes": ("spec.unschedulable",),
    "namespaces": ("status.phase",),
    "secrets": ("type",),
}


def filter_of(kind: Kind[Any], labels: str, fields: str) -> Filter | None:
    """Give the test the selectors stand for, None when they choose everything. Raises: StatusError 400."""
    try:
        wanted_labels = selectors.parse(labels)
        wanted_fields = selectors.parse_fields(fields)
    except ValueError as error:
        raise bad_request(str(error)) from error
    for path, _, _ in wanted_fields:
        if path not in (*_ALWAYS, *_ALLOWED.get(kind.resource, ())):
            raise bad_request(f"field label not supported: {path}")
    if not wanted_labels and not wanted_fields:
        return None
    parts = [(path.split("."), wanted, value) for path, wanted, value in wanted_fields]

    def chosen(doc: Doc) -> bool:
        return selectors.matches(wanted_labels, doc["metadata"].get("labels") or {}) and all(
            (_text(doc, path) == value) == wanted for path, wanted, value in parts
        )

    return chosen


def _text(doc: Doc, path: list[str]) -> str:
    value: Any = doc
    if path == ["source"]:
        path = ["source", "component"]
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    if path in (["spec", "unschedulable"], ["spec", "hostNetwork"]):
        return "true" if value else "false"
    return "" if value is None else str(value)
