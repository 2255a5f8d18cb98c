"""Objects and calls that are not what they should be: every field of small objects replaced by values of every wrong kind."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from fairlead.kube.transport import MERGE_PATCH, STRATEGIC_PATCH, Request

NAMESPACED = "/api/v1/namespaces/default"
COLLECTIONS = {
    "Pod": f"{NAMESPACED}/pods",
    "ConfigMap": f"{NAMESPACED}/configmaps",
    "Secret": f"{NAMESPACED}/secrets",
    "Service": f"{NAMESPACED}/services",
    "Event": f"{NAMESPACED}/events",
    "Namespace": "/api/v1/namespaces",
    "Node": "/api/v1/nodes",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
    "PriorityClass": "/apis/scheduling.k8s.io/v1/priorityclasses",
    "Lease": "/apis/coordination.k8s.io/v1/namespaces/default/leases",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
    "Training": "/apis/fairlead.dev/v1alpha1/namespaces/default/trainings",
    "Project": "/apis/fairlead.dev/v1alpha1/projects",
    "PodGroup": "/apis/scheduling.run.ai/v2alpha2/namespaces/default/podgroups",
}
VALUES: tuple[Any, ...] = (
    *(None, True, 7, -1, 1.5, 10**18, 10**30, "", "text", "\x00", "-", "ü" * 300),
    *([], [None], [7], ["a"], [[]], [{}], {}, {"a": 1}, {"a": {}}, {"": ""}, {"a": None}),
)


def objects(owner: str = "u") -> dict[str, dict[str, Any]]:
    """Give one good object a kind. `owner`: UID of what it goes with."""
    container = {
        "name": "main",
        "image": "x:1",
        "command": ["sh"],
        "env": [{"name": "A", "value": "b"}],
        "ports": [{"containerPort": 80, "name": "http"}],
        "resources": {"limits": {"cpu": "1", "nvidia.com/gpu": "1"}, "requests": {"cpu": "500m"}},
    }
    pod = {
        "containers": [container],
        "initContainers": [{**container, "name": "first"}],
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "nodeSelector": {"a": "b"},
        "schedulingGates": [{"name": "a/b"}],
        "terminationGracePeriodSeconds": 5,
        "priorityClassName": "system-node-critical",
        "volumes": [{"name": "v", "emptyDir": {}}],
    }
    budget = {
        "minAvailable": 1,
        "selector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "Exists"}]},
    }
    bodies: dict[str, dict[str, Any]] = {
        "Pod": {"apiVersion": "v1", "spec": pod},
        "ConfigMap": {"apiVersion": "v1", "data": {"a": "b"}, "immutable": False},
        "Secret": {"apiVersion": "v1", "data": {"a": "Yg=="}, "stringData": {"c": "d"}, "type": "Opaque"},
        "Service": {"apiVersion": "v1", "spec": {"ports": [{"port": 80, "name": "http"}], "selector": {"a": "b"}}},
        "Event": {
            "apiVersion": "v1",
            "involvedObject": {"name": "x", "namespace": "default"},
            "reason": "R",
            "source": {"component": "c"},
        },
        "Namespace": {"apiVersion": "v1"},
        "Node": {
            "apiVersion": "v1",
            "spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]},
            "status": {"capacity": {"cpu": "1"}},
        },
        "PodDisruptionBudget": {"apiVersion": "policy/v1", "spec": budget},
        "PriorityClass": {"apiVersion": "scheduling.k8s.io/v1", "value": 5, "globalDefault": False},
        "Lease": {"apiVersion": "coordination.k8s.io/v1", "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}},
        "RoleBinding": {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
            "subjects": [{"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}],
        },
        "Training": {"apiVersion": "fairlead.dev/v1alpha1", "spec": {"image": "x", "command": ["a"]}},
        "Project": {"apiVersion": "fairlead.dev/v1alpha1", "spec": {}},
        "PodGroup": {"apiVersion": "scheduling.run.ai/v2alpha2", "spec": {"minMember": 1, "queue": "q"}},
    }
    metadata = {
        "name": "one",
        "labels": {"a": "b"},
        "annotations": {"c": "d"},
        "finalizers": ["x.io/y"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": owner}],
    }
    return {kind: {"kind": kind, "metadata": metadata, **body} for kind, body in bodies.items()}


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Give the path of every value inside, itself first."""
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from places(inner, (*path, key))


def with_value(doc: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """Give the document with another value at that path."""
    if not path:
        return value
    changed = copy.copy(doc)
    changed[path[0]] = with_value(doc[path[0]], path[1:], value)
    return changed


def a_call(method: str, path: str, body: Any = b"", media: str = "application/json") -> Request:
    """Give a request; a body that is not bytes is sent as JSON, and `path` may carry a query."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    path, _, query = path.partition("?")
    pairs = tuple((key, value) for key, _, value in (part.partition("=") for part in query.split("&") if part))
    return Request(method=method, path=path, query=pairs, headers={"content-type": media} if data else {}, body=data)


def calls_of(kind: str, owner: str) -> Iterator[tuple[Any, Request]]:
    """Give (what is wrong, call): creations, replacements and patches of object `one`, each with one wrong value."""
    collection, doc = COLLECTIONS[kind], objects(owner)[kind]
    for path in places(doc):
        for value in VALUES:
            body = with_value(doc, path, value)
            yield (kind, "POST", path, value), a_call("POST", collection, body)
            yield (kind, "PUT", path, value), a_call("PUT", f"{collection}/one", body)
            for media in (MERGE_PATCH, STRATEGIC_PATCH):
                yield (kind, media, path, value), a_call("PATCH", f"{collection}/one", body, media)
