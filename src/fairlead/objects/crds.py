"""Custom resource definitions, made from the kind table and the types it names."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from fairlead.objects.json import Json, JsonObject
from fairlead.objects.kinds import CUSTOM_KINDS, Kind
from fairlead.objects.schema import schema_of

AGE: Final[JsonObject] = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}

OURS: Final = ("app.kubernetes.io/part-of", "fairlead")
"""Label of the definitions that we put there; those of others are never changed."""


def _column(name: str, path: str, type_: str = "string") -> JsonObject:
    return {"name": name, "type": type_, "jsonPath": path}


_WORKLOAD: Final[tuple[JsonObject, ...]] = (
    _column("Phase", ".status.phase"),
    _column("Priority", ".spec.priority"),
    _column("GPUs", ".spec.gpuDevices", "integer"),
    _column("Pods", ".status.runningPods", "integer"),
)

COLUMNS: Final[dict[str, tuple[JsonObject, ...]]] = {
    "Queue": (
        _column("Priority", ".spec.priority", "integer"),
        _column("Parent", ".spec.parentQueue"),
        _column("Children", ".status.childQueues"),
        _column("DisplayName", ".spec.displayName"),
    ),
    "PodGroup": (
        _column("Queue", ".spec.queue"),
        _column("Min", ".spec.minMember", "integer"),
        _column("Running", ".status.running", "integer"),
        _column("Pending", ".status.pending", "integer"),
    ),
    "BindRequest": (
        _column("Pod", ".spec.podName"),
        _column("Node", ".spec.selectedNode"),
        _column("Phase", ".status.phase"),
    ),
    "Topology": (_column("Levels", ".spec.levels[*].nodeLabel"),),
    "Project": (
        _column("Department", ".spec.department"),
        _column("Namespace", ".status.namespace"),
        _column("Phase", ".status.phase"),
    ),
    "Department": (_column("Phase", ".status.phase"),),
    "NodePool": (
        _column("Label", ".spec.labelKey"),
        _column("Value", ".spec.labelValue"),
        _column("GPUs", ".status.gpus", "integer"),
    ),
    "NodeReport": (
        _column("Driver", ".status.driverVersion"),
        _column("Simulated", ".status.simulated", "boolean"),
    ),
    "ClusterConfig": (
        _column("Prerequisites", ".status.prerequisites.verdict"),
        _column("Services", '.status.conditions[?(@.type=="ServicesReady")].reason'),
        _column("Checked", ".status.prerequisites.at", "date"),
    ),
    "Workspace": _WORKLOAD,
    "Training": _WORKLOAD,
    "DistributedTraining": (*_WORKLOAD, _column("Workers", ".spec.workers", "integer")),
    "Inference": _WORKLOAD,
}
"""What `kubectl get` shows besides the name and the age."""


def definition_of(kind: Kind[Any]) -> JsonObject:
    """Give the CustomResourceDefinition of a kind."""
    names: JsonObject = {
        "kind": kind.kind,
        "listKind": f"{kind.kind}List",
        "plural": kind.plural,
        "singular": kind.kind.lower(),
    }
    if kind.short_names:
        names["shortNames"] = list(kind.short_names)
    columns: list[Json] = [*COLUMNS[kind.kind], AGE]
    version: JsonObject = {
        "name": kind.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema_of(kind)},
        "additionalPrinterColumns": columns,
    }
    if kind.has_status:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.resource, "labels": {OURS[0]: OURS[1]}},
        "spec": {
            "group": kind.group,
            "names": names,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [version],
        },
    }


@cache
def definitions() -> tuple[JsonObject, ...]:
    """Give the definitions of all custom kinds, in the order of the table. They are made once, so nobody changes them."""
    return tuple(definition_of(kind) for kind in CUSTOM_KINDS)
