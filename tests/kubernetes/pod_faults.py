"""Pods that say what no scheduler could follow, and what both APIs answer: word for word the same."""

from __future__ import annotations

from typing import Any

from tests.kubernetes.conversations import PODS, Step, pod

GPU = "nvidia.com/gpu"


def wishing(*expressions: dict[str, Any], key: str = "matchExpressions") -> dict[str, Any]:
    """Give a pod that may only run on nodes of these expressions."""
    return _affine({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{key: [*expressions]}]}})


def preferring(*expressions: dict[str, Any], weight: int = 5) -> dict[str, Any]:
    """Give a pod that would rather run on nodes of these expressions."""
    preferred = {"weight": weight, "preference": {"matchExpressions": [*expressions]}}
    return _affine({"preferredDuringSchedulingIgnoredDuringExecution": [preferred]})


def wanting(limits: dict[str, Any], requests: dict[str, Any] | None = None) -> dict[str, Any]:
    """Give a pod whose container asks for these amounts."""
    resources = {"limits": limits, **({"requests": requests} if requests else {})}
    return pod("a", containers=[{"name": "c", "image": "x", "resources": resources}])


def _affine(node_affinity: dict[str, Any]) -> dict[str, Any]:
    return pod("a", affinity={"nodeAffinity": node_affinity})


def _refused(body: dict[str, Any]) -> Step:
    return Step("POST", PODS, body, 422, "Invalid")


_EXPRESSIONS = (
    {"key": "a", "operator": "Wat"},
    {"key": "a", "operator": "Wat", "values": ["b"]},
    {"key": "a"},
    {"key": "a", "operator": "In"},
    {"key": "a", "operator": "NotIn", "values": []},
    {"key": "a", "operator": "Exists", "values": ["b"]},
    {"key": "a", "operator": "DoesNotExist", "values": ["b"]},
    {"key": "a", "operator": "Gt"},
    {"key": "a", "operator": "Lt", "values": ["1", "2"]},
    {"key": "-a-", "operator": "Exists"},
    {"key": "", "operator": "Exists"},
)
NODE_AFFINITY = (
    *(_refused(form(expression)) for expression in _EXPRESSIONS for form in (wishing, preferring)),
    _refused(wishing({"key": "a", "operator": "In", "values": ["b", "-b-"]})),
    _refused(wishing({"key": "a", "operator": "Gt", "values": ["-3"]})),
    _refused(wishing({"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Wat"})),
    _refused(wishing({"key": "metadata.name", "operator": "Wat", "values": ["n"]}, key="matchFields")),
    _refused(wishing({"key": "metadata.name", "operator": "In", "values": ["n", "m"]}, key="matchFields")),
    _refused(wishing({"key": "spec.x", "operator": "In", "values": ["n"]}, key="matchFields")),
    _refused(_affine({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}})),
    _refused(preferring({"key": "a", "operator": "Exists"}, weight=0)),
    _refused(preferring({"key": "a", "operator": "Exists"}, weight=101)),
)

AMOUNTS = (
    _refused(wanting({GPU: "1.5"})),
    _refused(wanting({GPU: "500m"})),
    _refused(wanting({GPU: "1500m"}, {GPU: "1500m"})),
    _refused(wanting({GPU: "2"}, {GPU: "1.5"})),
    _refused(wanting({"example.com/thing": "1.5"})),
    _refused(wanting({GPU: "1"}, {"example.com/thing": "0.5"})),
    _refused(wanting({GPU: "-1"})),
    _refused(wanting({GPU: "-1.5"})),
    _refused(wanting({"cpu": "-1"})),
    _refused(wanting({"cpu": "1"}, {"cpu": "1.5"})),
    _refused(wanting({GPU: "1"}, {GPU: "2"})),
)
TAKEN = (
    Step("POST", PODS, wanting({GPU: "2000m"}), 201, own_words=True),
    Step("DELETE", PODS + "/a", own_words=True),
    Step("POST", PODS, wanting({GPU: "1e0", "cpu": "1.5"}), 201, own_words=True),
    Step("DELETE", PODS + "/a", own_words=True),
    Step("POST", PODS, wishing({"key": "a", "operator": "Gt", "values": ["3"]}), 201, own_words=True),
    Step("DELETE", PODS + "/a", own_words=True),
    Step("POST", PODS, wishing({"key": "a.b/c", "operator": "In", "values": ["b", ""]}), 201, own_words=True),
    Step("DELETE", PODS + "/a", own_words=True),
    Step("POST", PODS, preferring({"key": "a", "operator": "DoesNotExist"}), 201, own_words=True),
)
POD_FAULTS = {
    "node affinity nobody can follow": NODE_AFFINITY,
    "amounts of devices that are not whole": AMOUNTS,
    "amounts and affinity that are taken": TAKEN,
}
