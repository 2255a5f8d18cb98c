"""How the API is reached and what we may do there (`preflight.keys.cluster`: access, server, api_*)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from fairlead.preflight.gather.api import Api, known, path_of, word_of
from fairlead.runtime.errors import FairleadError

Facts = dict[str, Any]

_RIGHTS: Final = (
    ("create", "", "namespaces", ""),
    ("patch", "", "namespaces", ""),
    ("create", "", "pods", "ours"),
    ("create", "", "pods/exec", "ours"),
    ("create", "", "persistentvolumeclaims", "ours"),
    ("create", "", "secrets", "ours"),
    ("create", "rbac.authorization.k8s.io", "clusterroles", ""),
    ("patch", "rbac.authorization.k8s.io", "clusterroles", ""),
    ("delete", "rbac.authorization.k8s.io", "clusterroles", ""),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings", ""),
    ("patch", "rbac.authorization.k8s.io", "clusterrolebindings", ""),
    ("delete", "rbac.authorization.k8s.io", "clusterrolebindings", ""),
    ("create", "apiextensions.k8s.io", "customresourcedefinitions", ""),
    ("create", "admissionregistration.k8s.io", "validatingwebhookconfigurations", ""),
    ("patch", "admissionregistration.k8s.io", "validatingwebhookconfigurations", ""),
    ("create", "apps", "daemonsets", "ours"),
    ("delete", "batch", "jobs", "ours"),
    ("create", "fairlead.dev", "projects", ""),
    ("delete", "fairlead.dev", "projects", ""),
    ("create", "fairlead.dev", "departments", ""),
    ("delete", "fairlead.dev", "departments", ""),
)
"""(verb, group, resource, in our namespace): what installing, changing what is installed, proving it and probing need beyond reading."""
_OF_CONTROLLERS: Final = (
    ("list", "", "nodes", ""),
    ("watch", "", "pods", ""),
    ("create", "", "pods", ""),
    ("patch", "", "pods", ""),
    ("delete", "", "pods", ""),
    ("patch", "", "pods/status", ""),
    ("list", "", "namespaces", ""),
    ("list", "fairlead.dev", "projects", ""),
    ("patch", "fairlead.dev", "trainings/status", ""),
    ("create", "scheduling.run.ai", "queues", ""),
    ("patch", "scheduling.run.ai", "queues", ""),
    ("create", "scheduling.run.ai", "podgroups", ""),
    ("get", "coordination.k8s.io", "leases/fairlead-controllers", "ours"),
    ("patch", "coordination.k8s.io", "leases/fairlead-controllers", "ours"),
)
"""The same of what the controllers need every day, whatever is configured; of a lease its name."""


async def access_facts(api: Api, namespace: str, *, reviews: bool = True) -> Facts:
    """Whether the API answers, how fast, in which version, and what it serves. `namespace`: ours.

    `reviews`: also what we may do of what installing takes.
    """
    found: Facts = {}
    access: Facts = {}
    try:
        found["server"] = _server(await api.first("/version"))
        access["api_version_endpoint"] = "ok"
    except (FairleadError, OSError) as error:
        return {"access": {"api_version_endpoint": word_of(error), **failed(error)}}
    began = api.clock.monotonic()
    try:
        await api.first(path_of("v1", "nodes"), [("limit", "1")])
        access |= {"list_nodes": "ok", "seconds": round(api.clock.monotonic() - began, 2)}
    except (FairleadError, OSError) as error:
        access |= {"list_nodes": word_of(error), **failed(error)}
    try:
        groups = (await api.get("/apis")).get("groups") or []
        access["api_group_list"] = "ok"
        found["api_groups"] = sorted(each["name"] for each in groups)
        versions = [each["groupVersion"] for group in groups for each in group.get("versions") or ()]
        found["api_versions"] = sorted(["v1", *versions])
    except (FairleadError, OSError) as error:
        access["api_group_list"] = word_of(error)
    if not reviews:
        return found | {"access": access}
    found["access_reviews"] = await _reviews(api, _RIGHTS, namespace)
    labels = [r for r in found["access_reviews"] if (r["verb"], r["resource"]) == ("patch", "namespaces")]
    if labels:
        access["may_label_namespaces"] = labels[0]["allowed"]
    return found | {"access": access}


def failed(error: BaseException) -> Facts:
    """The class of the first failure, and its own words."""
    return {"error": word_of(error), "message": str(error)}


async def own_rights(api: Api, namespace: str) -> list[Facts]:
    """What the controllers, asking for themselves, may do of what they need. None where nobody answers that."""
    return await _reviews(api, _OF_CONTROLLERS, namespace)


async def _reviews(api: Api, rights: Sequence[Sequence[str]], ours: str) -> list[Facts]:
    answers = await asyncio.gather(*(_review(api, right, ours) for right in rights))
    return [each for each in answers if each is not None]


async def _review(api: Api, right: Sequence[str], ours: str) -> Facts | None:
    verb, group, resource, where = right
    plain, _, part = resource.partition("/")
    wanted: Facts = {"verb": verb, "group": group, "resource": plain, "namespace": ours if where else ""}
    if part:
        wanted["name" if plain == "leases" else "subresource"] = part
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": wanted},
    }
    answer = await known(api.call("POST", path_of("authorization.k8s.io/v1", "selfsubjectaccessreviews"), body))
    if "unknown" in answer:
        return None
    told = {key: value for key, value in wanted.items() if key not in ("subresource", "name")} | {"resource": resource}
    return told | {"allowed": bool((answer.get("status") or {}).get("allowed"))}


def _server(version: Facts) -> Facts:
    names = {"gitVersion": "git_version", "major": "major", "minor": "minor"}
    return {ours: str(version[theirs]) for theirs, ours in names.items() if version.get(theirs) is not None}
