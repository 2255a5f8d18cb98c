"""Objects like those of the installation, sent only to be judged (`dryRun=All`). Pure.

One of each kind that is refused most often, with the chart's farthest-reaching rights. They are not the chart's own objects: those
are rendered by Helm, which whoever only looks need not have. Their names are of the run alone: a name that is taken proves nothing.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct, field

from fairlead.preflight.footprint import NODE_NAMESPACE, RESERVATION_NAMESPACE
from fairlead.preflight.gather import pods
from fairlead.preflight.gather.api import path_of
from fairlead.preflight.gather.pods import Place

Document = dict[str, Any]

_RBAC: Final = "rbac.authorization.k8s.io/v1"
_POD_RESOURCES: Final = "/var/lib/kubelet/pod-resources"
_RULES: Final = (
    ("", ["pods"], ["get", "list", "watch", "create", "patch", "delete"]),
    ("", ["pods/binding", "pods/eviction", "pods/exec", "pods/portforward"], ["create"]),
    ("", ["nodes", "services", "persistentvolumeclaims", "persistentvolumes"], ["get", "list", "watch"]),
    ("", ["namespaces", "secrets"], ["get", "list", "watch", "create", "patch"]),
    ("fairlead.dev", ["nodereports", "projects", "trainings"], ["get", "list", "watch", "create", "patch", "delete"]),
    ("scheduling.run.ai", ["queues", "podgroups"], ["get", "list", "watch", "create", "patch", "delete"]),
    ("rbac.authorization.k8s.io", ["rolebindings"], ["get", "list", "watch", "create", "patch"]),
)


class Sample(Struct, frozen=True, kw_only=True):
    """One object. `stands_for`: the namespace that the installation makes one like it in; `namespace_labels`: those that we gave the
    namespace it goes into.
    """

    name: str
    path: str
    body: Document
    stands_for: str = ""
    namespace_labels: dict[str, str] = field(default_factory=dict)


def samples(place: Place, product: str, agents: str) -> list[Sample]:
    """What is sent. `product`: its namespace; `agents`: a namespace labelled for the node agent, or the agents' own as it is: then
    administrators make namespaces, and an object goes into the other one too that they have to have made.
    """
    beside = [_of_reservations(place)] if agents == NODE_NAMESPACE else []
    confined = _labels(pods.namespace(place))
    open_ = {} if agents == NODE_NAMESPACE else _labels(pods.namespace(place, "privileged"))
    project = pods.probe(place, "", 0)
    del project["spec"]["nodeName"]
    agent = _agent(place, agents)
    return [
        *beside,
        _sample("project pod", "v1", "pods", project, product, confined),
        _sample("node-agent pod", "v1", "pods", agent, NODE_NAMESPACE, open_),
        _sample("ClusterRole fairlead", _RBAC, "clusterroles", _role(place)),
        _sample("CustomResourceDefinition", "apiextensions.k8s.io/v1", "customresourcedefinitions", _definition(place)),
        _sample(
            "ValidatingWebhookConfiguration",
            "admissionregistration.k8s.io/v1",
            "validatingwebhookconfigurations",
            {"metadata": {"name": _name(place)}, "webhooks": []},
        ),
    ]


def _sample(
    name: str,
    group_version: str,
    plural: str,
    body: Document,
    stands_for: str = "",
    labels: dict[str, str] | None = None,
) -> Sample:
    path = path_of(group_version, plural, namespace=body["metadata"].get("namespace", ""))
    kind = name.split()[0] if plural != "pods" else "Pod"
    whole = {"apiVersion": group_version, "kind": kind, **body}
    return Sample(name=name, path=path, body=whole, stands_for=stands_for, namespace_labels=labels or {})


def _agent(place: Place, namespace: str) -> Document:
    """The pod of ours that asks for most: it reads the kubelet's socket."""
    pod = pods.probe(place, "", 0)
    spec = pod["spec"]
    del spec["nodeName"]
    spec["volumes"].append({"name": "kubelet", "hostPath": {"path": _POD_RESOURCES, "type": "Directory"}})
    spec["securityContext"] = {"seccompProfile": {"type": "RuntimeDefault"}}
    for container in spec["containers"]:
        container["securityContext"] |= {"runAsUser": 0}
        container["volumeMounts"] = [*container["volumeMounts"], {"name": "kubelet", "mountPath": _POD_RESOURCES}]
    return {"metadata": {"name": pod["metadata"]["name"], "namespace": namespace}, "spec": spec}


def _name(place: Place) -> str:
    return f"fairlead-preflight-sample-{place.run}"


def _role(place: Place) -> Document:
    rules = [{"apiGroups": [group], "resources": resources, "verbs": verbs} for group, resources, verbs in _RULES]
    return {"metadata": {"name": _name(place)}, "rules": rules}


def _of_reservations(place: Place) -> Sample:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch", "patch"]}]
    body = {"metadata": {"name": _name(place), "namespace": RESERVATION_NAMESPACE}, "rules": rules}
    return _sample("Role fairlead-node", _RBAC, "roles", body, RESERVATION_NAMESPACE)


def _definition(place: Place) -> Document:
    group = f"preflight-{place.run}.fairlead.dev"
    schema = {"openAPIV3Schema": {"type": "object"}}
    names = {"plural": "probes", "singular": "probe", "kind": "Probe", "listKind": "ProbeList"}
    return {
        "metadata": {"name": f"probes.{group}"},
        "spec": {
            "group": group,
            "names": names,
            "scope": "Cluster",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def _labels(namespace: Document) -> dict[str, str]:
    found = namespace["metadata"]["labels"].items()
    return {key: value for key, value in found if key.startswith("pod-security.kubernetes.io/")}
