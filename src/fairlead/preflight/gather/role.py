"""The rights that preflight needs, as objects for a cluster admin to apply. Pure: made from the table of what is listed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fairlead.preflight.gather.objects import KINDS, WHERE_SERVED

Document = dict[str, Any]

NAME: Final = "fairlead-preflight"
_SINGLE: Final = (
    ("", "serviceaccounts", ("get",)),
    ("", "persistentvolumes", ("get",)),
    ("config.openshift.io", "clusterversions", ("get",)),
    ("config.openshift.io", "proxies", ("get",)),
)
_MADE: Final = (
    ("", "namespaces", ("create", "delete", "get")),
    ("", "pods", ("create", "delete", "get")),
    ("", "pods/exec", ("create", "get")),
    ("", "serviceaccounts", ("create",)),
    ("", "services", ("create",)),
    ("", "persistentvolumeclaims", ("create", "delete", "get")),
    ("", "persistentvolumes", ("patch",)),
    ("", "events", ("list",)),
    ("batch", "jobs", ("create",)),
    ("rbac.authorization.k8s.io", "roles", ("create",)),
    ("rbac.authorization.k8s.io", "rolebindings", ("create",)),
    ("networking.k8s.io", "servicecidrs", ("list",)),
    ("networking.k8s.io", "networkpolicies", ("create",)),
    ("networking.k8s.io", "ingresses", ("create", "get")),
)
"""What probes and trials need beside. Namespaces of a run have names of their own, so that these cannot be bound to one. A role can
give no more than whoever makes it has: the one that is made lets a pod have its own namespace deleted."""


def reading() -> Document:
    """A ClusterRole that reads what the checks read, and no Secret."""
    rules = [*_listed(), *(_rule(group, resource, verbs) for group, resource, verbs in _SINGLE)]
    return _role(NAME, rules)


def probing() -> Document:
    """A ClusterRole for probes and trials beside it: pods, claims and what belongs to them, in namespaces of their own."""
    return _role(f"{NAME}-probes", [_rule(group, resource, verbs) for group, resource, verbs in _MADE])


def binding(role: Document, user: str) -> Document:
    """Gives a role to a user."""
    name = role["metadata"]["name"]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }


def _listed() -> Iterator[Document]:
    for group_version, plural in [*KINDS.values(), *WHERE_SERVED.values()]:
        group = group_version.rpartition("/")[0]
        yield _rule(group, plural, ("get", "list"))


def _rule(group: str, resource: str, verbs: tuple[str, ...]) -> Document:
    return {"apiGroups": [group], "resources": [resource], "verbs": [*verbs]}


def _role(name: str, rules: list[Document]) -> Document:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }
