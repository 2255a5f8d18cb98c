"""Tables for people: what `kubectl get` prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fairlead.objects.crds import COLUMNS
from fairlead.objects.kinds import WORKLOAD_KINDS, Kind
from fairlead.objects.times import seconds_of
from fairlead.wire.amounts import gpu_memory, number

Doc = dict[str, Any]
Cell = Callable[[Doc, float], Any]


def table(kind: Kind[Any], documents: list[Doc], list_metadata: Doc, now: float) -> Doc:
    """Give the `meta.k8s.io/v1` Table of objects. `now`: seconds since the epoch, for ages."""
    columns = _columns(kind)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": list_metadata,
        "columnDefinitions": [
            {
                "name": name,
                "type": type_,
                "format": "name" if name == "Name" else "",
                "description": name,
                "priority": priority,
            }
            for name, type_, priority, _ in columns
        ],
        "rows": [
            {
                "cells": [cell(doc, now) for _, _, _, cell in columns],
                "object": {
                    "kind": "PartialObjectMetadata",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": doc["metadata"],
                },
            }
            for doc in documents
        ],
    }


def age(text: str | None, now: float) -> str:
    """Give how long ago a time was, in the largest unit that says something: 5s, 12m, 3h, 4d."""
    began = seconds_of(text)
    if began is None:
        return "<unknown>"
    seconds = max(0, int(now - began))
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _at(path: str) -> Cell:
    parts = path.strip(".").split(".")

    def cell(doc: Doc, _: float) -> Any:
        value: Any = doc
        for part in parts:
            value = value.get(part) if isinstance(value, dict) else None
        return ",".join(map(str, value)) if isinstance(value, list) else value

    return cell


def _text(path: str, missing: str = "<none>") -> Cell:
    inner = _at(path)
    return lambda doc, now: inner(doc, now) or missing


def _age(doc: Doc, now: float) -> str:
    return age(doc["metadata"].get("creationTimestamp"), now)


def _ready(doc: Doc, _: float) -> str:
    statuses = doc.get("status", {}).get("containerStatuses") or ()
    return f"{sum(bool(status.get('ready')) for status in statuses)}/{len(doc['spec']['containers'])}"


def _restarts(doc: Doc, _: float) -> int:
    return sum(status.get("restartCount", 0) for status in doc.get("status", {}).get("containerStatuses") or ())


def _pod_status(doc: Doc, _: float) -> str:
    if "deletionTimestamp" in doc["metadata"]:
        return "Terminating"
    status = doc.get("status", {})
    for container in status.get("containerStatuses") or ():
        state = container.get("state") or {}
        for name in ("waiting", "terminated"):
            if reason := (state.get(name) or {}).get("reason"):
                return str(reason)
    if any(gate for gate in doc["spec"].get("schedulingGates") or ()):
        return "SchedulingGated"
    return str(status.get("reason") or status.get("phase") or "Unknown")


def _node_status(doc: Doc, _: float) -> str:
    conditions = doc.get("status", {}).get("conditions") or ()
    ready = next((item.get("status") for item in conditions if item.get("type") == "Ready"), "Unknown")
    words = ["Ready" if ready == "True" else "NotReady" if ready == "False" else "Unknown"]
    return ",".join([*words, *(["SchedulingDisabled"] if doc.get("spec", {}).get("unschedulable") else [])])


def _roles(doc: Doc, _: float) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = doc["metadata"].get("labels") or {}
    return ",".join(sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))) or "<none>"


def _last_seen(doc: Doc, now: float) -> str:
    seen = doc.get("lastTimestamp") or doc.get("eventTime") or doc["metadata"].get("creationTimestamp")
    return age(seen, now)


def _about(doc: Doc, _: float) -> str:
    about = doc.get("involvedObject") or {}
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


_NAME: Final = ("Name", "string", 0, _at("metadata.name"))
_AGE: Final = ("Age", "string", 0, _age)

_BUILTIN: Final[dict[str, tuple[tuple[str, str, int, Cell], ...]]] = {
    "pods": (
        _NAME,
        ("Ready", "string", 0, _ready),
        ("Status", "string", 0, _pod_status),
        ("Restarts", "integer", 0, _restarts),
        _AGE,
        ("IP", "string", 1, _text("status.podIP")),
        ("Node", "string", 1, _text("spec.nodeName")),
    ),
    "nodes": (
        _NAME,
        ("Status", "string", 0, _node_status),
        ("Roles", "string", 0, _roles),
        _AGE,
        ("Version", "string", 0, _text("status.nodeInfo.kubeletVersion", "")),
    ),
    "namespaces": (_NAME, ("Status", "string", 0, _at("status.phase")), _AGE),
    "events": (
        ("Last Seen", "string", 0, _last_seen),
        ("Type", "string", 0, _at("type")),
        ("Reason", "string", 0, _at("reason")),
        ("Object", "string", 0, _about),
        ("Message", "string", 0, _at("message")),
    ),
}


def _columns(kind: Kind[Any]) -> tuple[tuple[str, str, int, Cell], ...]:
    if kind.resource in _BUILTIN:
        return _BUILTIN[kind.resource]
    ours = tuple((str(c["name"]), str(c["type"]), 0, _at(str(c["jsonPath"]))) for c in COLUMNS.get(kind.kind, ()))
    if kind in WORKLOAD_KINDS:
        ours = tuple((name, "string", 0, _gpus) if name == "GPUs" else (name, t, p, c) for name, t, p, c in ours)
    return (_NAME, *ours, _AGE)


def _gpus(doc: Doc, _: float) -> str:
    """GPUs of a pod of a workload: whole ones, a part of one, or memory of it."""
    spec = doc.get("spec") or {}
    devices, memory = spec.get("gpuDevices") or 0, spec.get("gpuMemoryMib") or 0
    return gpu_memory(devices * memory) if memory else number(devices * (spec.get("gpuMilli") or 1000) / 1000)
