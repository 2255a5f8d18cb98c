"""What the API server fills in: names, UIDs, times, and the defaults of pods, namespaces and secrets."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from random import Random
from typing import Any, Final
from uuid import UUID

from fairlead.embedded.store.routes import Route
from fairlead.embedded.store.status import Doc, forbidden
from fairlead.objects.quantity import whole

_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"

SYSTEM_CLASSES: Final = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
"""Priority classes that every cluster has."""


def metadata_of(route: Route, metadata: Doc, now: str, rng: Random) -> Doc:
    """Give the metadata of a new object."""
    kept = {
        key: value for key, value in metadata.items() if key not in ("managedFields", "selfLink", "resourceVersion")
    }
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "generation"):
        kept.pop(key, None)
    if not kept.get("name") and kept.get("generateName"):
        kept["name"] = kept["generateName"][:58] + "".join(rng.choice(_LETTERS) for _ in range(5))
    if route.namespace:
        kept["namespace"] = route.namespace
    kept["uid"] = str(UUID(int=rng.getrandbits(128), version=4))
    kept["creationTimestamp"] = now
    if has_generation(route):
        kept["generation"] = 1
    return kept


def has_generation(route: Route) -> bool:
    """Say whether objects of this resource count the changes of their specification."""
    return route.is_custom or route.kind.group in ("apps", "batch", "policy") or route.kind.resource == "pods"


def fill(route: Route, doc: Doc, priorities: dict[str, Doc]) -> Doc:
    """Give a new object with the server's defaults. `priorities`: priority class documents by name."""
    resource = route.kind.resource
    if resource == "pods":
        return {**doc, "spec": _pod_spec(route, doc, priorities), "status": _pod_status(doc["spec"])}
    if resource == "namespaces":
        labels = {**(doc["metadata"].get("labels") or {}), "kubernetes.io/metadata.name": doc["metadata"]["name"]}
        metadata = {**doc["metadata"], "labels": labels}
        return {**doc, "metadata": metadata, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    if resource == "secrets":
        return secret(doc)
    if resource == "services":
        return {**doc, "spec": {"type": "ClusterIP", "sessionAffinity": "None", **(doc.get("spec") or {})}}
    if resource == "nodes" and "capacity" in (doc.get("status") or {}):
        return {**doc, "status": {"allocatable": doc["status"]["capacity"], **doc["status"]}}
    return doc


def secret(doc: Doc) -> Doc:
    """Give a secret whose plain `stringData` has moved into `data`."""
    plain = {key: base64.b64encode(text.encode()).decode() for key, text in (doc.get("stringData") or {}).items()}
    kept = {key: value for key, value in doc.items() if key != "stringData"}
    data = {**(doc.get("data") or {}), **plain}
    return {"type": "Opaque", **kept} | ({"data": data} if data else {})


def _pod_spec(route: Route, doc: Doc, priorities: dict[str, Doc]) -> Doc:
    spec = doc["spec"]
    defaults = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
    }
    filled = {**defaults, **{key: value for key, value in spec.items() if value is not None}}
    for key in ("containers", "initContainers"):
        if key in spec:
            filled[key] = [_container(container) for container in spec[key]]
    filled["tolerations"] = [*(spec.get("tolerations") or ()), *_tolerations(spec.get("tolerations") or ())]
    return filled | _priority(route, doc, priorities)


def _tolerations(present: Sequence[Doc]) -> list[Doc]:
    """Give the tolerations every pod has of a node that is lost, unless it says otherwise: for five minutes."""
    keys = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    borne = [item.get("key", "") for item in present if item.get("effect", "") in ("", "NoExecute")]
    return [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for key in keys
        if key not in borne and "" not in borne
    ]


def _priority(route: Route, doc: Doc, priorities: dict[str, Doc]) -> Doc:
    name = doc["spec"].get("priorityClassName") or ""
    chosen = priorities.get(name)
    if name and chosen is None:
        raise forbidden(route.kind, doc["metadata"]["name"], f"no PriorityClass with name {name} was found")
    if chosen is None:
        chosen = next((doc for doc in priorities.values() if doc.get("globalDefault")), None)
    if chosen is None:
        return {"priority": 0, "preemptionPolicy": "PreemptLowerPriority"}
    return {
        "priorityClassName": chosen["metadata"]["name"],
        "priority": chosen.get("value", 0),
        "preemptionPolicy": chosen.get("preemptionPolicy", "PreemptLowerPriority"),
    }


def _container(container: Doc) -> Doc:
    image = container.get("image", "")
    tagged = ":" in image.rsplit("/", 1)[-1] and not image.endswith(":latest")
    defaults = {
        "imagePullPolicy": "IfNotPresent" if tagged or "@" in image else "Always",
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    filled = {**defaults, **container, "resources": _resources(container.get("resources") or {})}
    if "ports" in container:
        filled["ports"] = [{"protocol": "TCP", **port} for port in container["ports"]]
    return filled


def _resources(resources: Doc) -> Doc:
    limits = resources.get("limits") or {}
    requests = {**limits, **(resources.get("requests") or {})}
    texts = {
        key: {name: str(amount) for name, amount in amounts.items()}
        for key, amounts in (("limits", limits), ("requests", requests))
        if amounts
    }
    return {**resources, **texts}


def _pod_status(spec: Doc) -> Doc:
    status: Doc = {"phase": "Pending", "qosClass": _quality(spec)}
    if spec.get("schedulingGates"):
        message = "Scheduling is blocked due to non-empty scheduling gates"
        gated = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": message}
        status["conditions"] = [{**gated, "lastProbeTime": None, "lastTransitionTime": None}]
    return status


def _quality(spec: Doc) -> str:
    """Give the class of service: Guaranteed, Burstable or BestEffort."""
    asked = [container.get("resources") or {} for container in (*spec["containers"], *spec.get("initContainers", ()))]
    plain = ("cpu", "memory")
    if not any(_amount(part, name) for resources in asked for part in _parts(resources) for name in plain):
        return "BestEffort"
    for resources in asked:
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        for name in plain:
            if name not in limits or requests.get(name, limits[name]) != limits[name]:
                return "Burstable"
    return "Guaranteed"


def _parts(resources: Doc) -> tuple[Doc, Doc]:
    return resources.get("limits") or {}, resources.get("requests") or {}


def _amount(part: Doc, name: str) -> int:
    value: Any = part.get(name, 0)
    return whole(value)
