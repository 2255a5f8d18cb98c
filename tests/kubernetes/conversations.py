"""What is said to both APIs, and what both must answer: (status, reason) of every step.

`{ns}` is a fresh namespace of the conversation. A step marked `own_words` may differ in message and details, for the
real server's words depend on its language or its controllers; status and reason never differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
PODS = "/api/v1/namespaces/{ns}/pods"
TRAININGS = "/apis/fairlead.dev/v1alpha1/namespaces/{ns}/trainings"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"
MAPS = "/api/v1/namespaces/{ns}/configmaps"


@dataclass(frozen=True)
class Step:
    """One call and the answer both must give."""

    method: str
    path: str
    body: Any = None
    status: int = 200
    reason: str = ""
    media: str = "application/json"
    own_words: bool = False


def pod(name: str, **spec: Any) -> dict[str, Any]:
    """Give a small pod."""
    container = {"name": "main", "image": "x:1", "resources": {"limits": {"cpu": "1", "nvidia.com/gpu": "1"}}}
    return {"metadata": {"name": name, "labels": {"app": name}}, "spec": {"containers": [container], **spec}}


def training(name: str, spec: Any, **more: Any) -> dict[str, Any]:
    """Give one of our workloads."""
    head = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "Training", "metadata": {"name": name}}
    return {**head, "spec": spec, **more}


def binding(name: str, node: str, **metadata: Any) -> dict[str, Any]:
    """Give a binding of a pod."""
    return {"metadata": {"name": name, **metadata}, "target": {"kind": "Node", "name": node}}


CREATING = (
    Step("POST", PODS, pod("a"), 201),
    Step("POST", PODS, pod("a"), 409, "AlreadyExists"),
    Step("GET", PODS + "/a"),
    Step("GET", PODS + "/b", status=404, reason="NotFound"),
    Step("POST", PODS, pod("Bad_Name"), 422, "Invalid"),
    Step("POST", PODS, {"metadata": {"name": "c"}, "spec": {"containers": []}}, 422, "Invalid"),
    Step("POST", PODS, {"metadata": {}, "spec": pod("x")["spec"]}, 422, "Invalid"),
    Step("POST", PODS, {**pod("c"), "metadata": {"name": "c", "namespace": "other"}}, 400, "BadRequest"),
    Step("POST", PODS, {**pod("c"), "metadata": {"name": "c", "labels": {"a": "-bad-"}}}, 422, "Invalid"),
    Step("POST", PODS, {**pod("c"), "kind": "Node"}, 400, "BadRequest", own_words=True),
    Step("POST", PODS, "not json", 400, "BadRequest", own_words=True),
    Step("POST", "/api/v1/namespaces/nowhere/pods", pod("c"), 404, "NotFound"),
    Step("POST", PODS, pod("c", priorityClassName="unknown"), 403, "Forbidden"),
    Step("POST", PODS, pod("c", priorityClassName="system-node-critical"), 201),
    Step("GET", "/api/v1/namespaces/{ns}/nothings", status=404, reason="NotFound"),
    Step("PUT", PODS, {}, 405, "MethodNotAllowed"),
)

GPU_WITHOUT_LIMIT = (
    Step(
        "POST",
        PODS,
        pod("g", containers=[{"name": "c", "image": "x", "resources": {"requests": {"nvidia.com/gpu": "1"}}}]),
        422,
        "Invalid",
    ),
)

PATCHING = (
    Step("POST", PODS, pod("a"), 201),
    Step("PATCH", PODS + "/a", {"metadata": {"annotations": {"x": "1", "y": "2"}}}, media=MERGE),
    Step("PATCH", PODS + "/a", {"metadata": {"annotations": {"x": None}, "labels": {"z": "1"}}}, media=MERGE),
    Step("PATCH", PODS + "/a", {"metadata": {"resourceVersion": "1"}}, 409, "Conflict", MERGE),
    Step("PATCH", PODS + "/a", {"metadata": {"uid": "other"}}, 422, "Invalid", MERGE),
    Step("PATCH", PODS + "/a", {"metadata": {"name": "other"}}, 400, "BadRequest", MERGE),
    Step("PATCH", PODS + "/a", {"spec": {"nodeName": "n"}}, 422, "Invalid", MERGE, own_words=True),
    Step("PATCH", PODS + "/b", {"metadata": {"labels": {"a": "b"}}}, 404, "NotFound", MERGE),
    Step("PATCH", PODS + "/a", {"metadata": {}}, 415, "UnsupportedMediaType", "text/plain", own_words=True),
    Step("PATCH", PODS + "/a", {"status": {"phase": "Running"}}, media=MERGE),
    Step("GET", PODS + "/a"),
)

STATUS = (
    Step("POST", PODS, pod("a"), 201),
    Step(
        "PATCH",
        PODS + "/a/status",
        {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}},
        media=STRATEGIC,
    ),
    Step("PATCH", PODS + "/a/status", {"status": {"conditions": [{"type": "A", "status": "True"}]}}, media=STRATEGIC),
    Step(
        "PATCH",
        PODS + "/a/status",
        {"status": {"conditions": [{"type": "B", "status": "True"}, {"type": "Ready", "status": "False"}]}},
        media=STRATEGIC,
    ),
    Step("PATCH", PODS + "/a/status", {"status": {"conditions": [{"type": "C", "status": "True"}]}}, media=MERGE),
    Step(
        "PATCH",
        PODS + "/a/status",
        {"metadata": {"annotations": {"k": "v"}}, "spec": {"priority": 7}, "status": {"message": "m"}},
        media=MERGE,
    ),
    Step("PATCH", PODS + "/b/status", {"status": {"phase": "Running"}}, 404, "NotFound", STRATEGIC),
)

BINDING = (
    Step("POST", PODS, pod("a"), 201),
    Step("POST", PODS + "/a/binding", binding("a", "n1", uid="other"), 409, "Conflict", own_words=True),
    Step("POST", PODS + "/a/binding", binding("a", "n1", annotations={"k": "v"}), 201),
    Step("POST", PODS + "/a/binding", binding("a", "n2"), 409, "Conflict"),
    Step("POST", PODS + "/b/binding", binding("b", "n2"), 404, "NotFound"),
    Step("GET", PODS + "/a"),
    Step("POST", PODS, pod("gated", schedulingGates=[{"name": "wait"}]), 201),
    Step("POST", PODS + "/gated/binding", binding("gated", "n1"), 409, "Conflict"),
    Step("PATCH", PODS + "/gated", {"spec": {"schedulingGates": None}}, media=MERGE),
    Step("POST", PODS + "/gated/binding", binding("gated", "n1"), 201),
)

DELETING = (
    Step("POST", PODS, pod("a"), 201),
    Step("POST", PODS + "/a/binding", binding("a", "n1"), 201),
    Step("DELETE", PODS + "/a", {"preconditions": {"uid": "other"}}, 409, "Conflict"),
    Step("DELETE", PODS + "/a"),
    Step("DELETE", PODS + "/a"),
    Step("POST", PODS + "/a/binding", binding("a", "n2"), 409, "Conflict"),
    Step("DELETE", PODS + "/a", {"gracePeriodSeconds": 5}),
    Step("DELETE", PODS + "/a", {"gracePeriodSeconds": 0}),
    Step("GET", PODS + "/a", status=404, reason="NotFound"),
    Step("DELETE", PODS + "/a", status=404, reason="NotFound"),
    Step("POST", PODS, pod("b"), 201),
    Step("DELETE", PODS + "/b"),
    Step("GET", PODS + "/b", status=404, reason="NotFound"),
    Step("POST", PODS, pod("done"), 201),
    Step("POST", PODS + "/done/binding", binding("done", "n1"), 201),
    Step("PATCH", PODS + "/done/status", {"status": {"phase": "Succeeded"}}, media=STRATEGIC),
    Step("DELETE", PODS + "/done"),
    Step("GET", PODS + "/done", status=404, reason="NotFound"),
    Step("POST", MAPS, {"metadata": {"name": "m", "finalizers": ["a.b/c"]}, "data": {"a": "b"}}, 201),
    Step("DELETE", MAPS + "/m"),
    Step("GET", MAPS + "/m"),
    Step("PATCH", MAPS + "/m", {"metadata": {"finalizers": None}}, media=MERGE),
    Step("GET", MAPS + "/m", status=404, reason="NotFound"),
    Step("POST", MAPS, {"metadata": {"name": "m"}}, 201),
    Step("DELETE", MAPS + "/m"),
)

EVICTING = (
    Step("POST", PODS, pod("a"), 201),
    Step("PATCH", PODS + "/a/status", {"status": {"phase": "Running"}}, media=STRATEGIC),
    Step(
        "POST",
        "/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets",
        {"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}},
        201,
        own_words=True,
    ),
    Step(
        "POST",
        PODS + "/a/eviction",
        {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}},
        429,
        "TooManyRequests",
        own_words=True,
    ),
    Step("DELETE", "/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets/b"),
    Step("POST", PODS + "/a/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}, 201),
    Step("GET", PODS + "/a", status=404, reason="NotFound"),
    Step(
        "POST",
        PODS + "/z/eviction",
        {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "z"}},
        404,
        "NotFound",
    ),
)

OUR_KINDS = (
    Step("POST", TRAININGS, training("t", {"image": "x", "gpuMilli": -1}), 422, "Invalid"),
    Step("POST", TRAININGS, training("t", {}), 422, "Invalid"),
    Step("POST", TRAININGS, training("t", {"image": 5}), 422, "Invalid"),
    Step("POST", TRAININGS, training("t", {"image": "x", "framework": "abacus"}), 422, "Invalid"),
    Step("POST", TRAININGS, {"metadata": {"name": "t"}, "spec": {"image": "x"}}, 400, "BadRequest", own_words=True),
    Step("POST", TRAININGS + "?fieldValidation=Strict", training("t", {"image": "x", "zz": 1}), 400, "BadRequest"),
    Step("POST", TRAININGS, training("t", {"image": "x", "zz": 1}, status={"phase": "Running"}), 201),
    Step("PATCH", TRAININGS + "/t", {"spec": {"suspended": True}, "status": {"phase": "Failed"}}, media=MERGE),
    Step("PATCH", TRAININGS + "/t", {"spec": {"suspended": True}}, media=MERGE),
    Step(
        "PATCH",
        TRAININGS + "/t/status",
        {"metadata": {"labels": {"q": "r"}}, "spec": {"suspended": False}, "status": {"phase": "Running"}},
        media=MERGE,
    ),
    Step("PATCH", TRAININGS + "/t/status", {"status": {"phase": "Wrong"}}, 422, "Invalid", MERGE),
    Step("PATCH", TRAININGS + "/t", {"metadata": {"uid": "other"}}, 422, "Invalid", MERGE),
    Step("PATCH", TRAININGS + "/t", {"spec": {"image": "y"}}, 415, "UnsupportedMediaType", STRATEGIC, own_words=True),
    Step("PATCH", TRAININGS + "/t", {"metadata": {"finalizers": ["a.b/c"]}}, media=MERGE),
    Step("DELETE", TRAININGS + "/t"),
    Step("GET", TRAININGS + "/t"),
    Step("PATCH", TRAININGS + "/t", {"metadata": {"finalizers": None}}, media=MERGE),
    Step("GET", TRAININGS + "/t", status=404, reason="NotFound"),
    Step("POST", TRAININGS, training("u", {"image": "x"}), 201),
    Step("DELETE", TRAININGS + "/u"),
)

LISTING = (
    Step("POST", PODS, pod("a"), 201),
    Step("POST", PODS, pod("b"), 201),
    Step("POST", PODS, pod("c"), 201),
    Step("POST", PODS + "/b/binding", binding("b", "n1"), 201),
    Step("GET", PODS),
    Step("GET", PODS + "?labelSelector=app in (a,c)"),
    Step("GET", PODS + "?labelSelector=app!=a"),
    Step("GET", PODS + "?labelSelector=!app"),
    Step("GET", PODS + "?fieldSelector=spec.nodeName=n1"),
    Step("GET", PODS + "?fieldSelector=spec.nodeName="),
    Step("GET", PODS + "?fieldSelector=metadata.name=c"),
    Step("GET", PODS + "?fieldSelector=status.phase!=Pending"),
    Step("GET", PODS + "?fieldSelector=spec.unknown=n1", status=400, reason="BadRequest", own_words=True),
    Step("GET", PODS + "?labelSelector=a in b", status=400, reason="BadRequest", own_words=True),
    Step("GET", PODS + "?resourceVersion=99999999", status=504, reason="Timeout"),
)

OTHERS = (
    Step("POST", "/api/v1/namespaces/{ns}/secrets", {"metadata": {"name": "s"}, "stringData": {"a": "b"}}, 201),
    Step(
        "POST",
        "/api/v1/namespaces/{ns}/services",
        {"metadata": {"name": "s"}, "spec": {"clusterIP": "None", "selector": {"a": "b"}}},
        201,
        own_words=True,
    ),
    Step(
        "POST",
        "/api/v1/namespaces/{ns}/events",
        {
            "metadata": {"name": "e", "namespace": "{ns}"},
            "involvedObject": {"kind": "Pod", "name": "p", "namespace": "{ns}"},
            "reason": "X",
            "message": "m",
            "type": "Normal",
        },
        201,
        own_words=True,
    ),
    Step(
        "POST",
        LEASES,
        {"metadata": {"name": "l"}, "spec": {"holderIdentity": "a", "renewTime": "2026-01-01T00:00:00.000000Z"}},
        201,
    ),
    Step("PATCH", LEASES + "/l", {"metadata": {"resourceVersion": "1"}, "spec": {}}, 409, "Conflict", MERGE),
    Step("PATCH", LEASES + "/l", {"spec": {"holderIdentity": "b"}}, media=MERGE),
    Step("GET", PODS + "/nobody/log", status=404, reason="NotFound"),
    Step("POST", PODS, pod("quiet"), 201),
    Step("GET", PODS + "/quiet/log", status=204, own_words=True),
    Step("GET", PODS + "/quiet/log?container=zz", status=400, reason="BadRequest"),
    Step("DELETE", "/api/v1/namespaces/default", status=403, reason="Forbidden"),
)

ENDING_NAMESPACE = (
    Step("POST", MAPS, {"metadata": {"name": "m", "finalizers": ["a.b/c"]}}, 201),
    Step("DELETE", "/api/v1/namespaces/{ns}"),
    Step("POST", MAPS, {"metadata": {"name": "late"}}, 403, "Forbidden"),
)

CONVERSATIONS = {
    "creating": CREATING,
    "a device asked for without a limit": GPU_WITHOUT_LIMIT,
    "patching": PATCHING,
    "status": STATUS,
    "binding": BINDING,
    "deleting": DELETING,
    "evicting": EVICTING,
    "our kinds": OUR_KINDS,
    "listing": LISTING,
    "other kinds": OTHERS,
    "a namespace that ends": ENDING_NAMESPACE,
}
