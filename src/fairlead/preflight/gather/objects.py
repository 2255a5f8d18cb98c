"""All that the API's objects tell: each kind is listed once, side by side; what may not be read is unknown, with the right that lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, Final, NamedTuple

from fairlead.preflight.config import Config
from fairlead.preflight.gather import cluster, ingress, nodes, services, storage
from fairlead.preflight.gather.api import Api, known, known_or_none, path_of, unknown, word_of
from fairlead.preflight.gather.ranges import refused_range, told_range
from fairlead.preflight.gather.releases import release_facts
from fairlead.runtime.errors import FairleadError

Facts = dict[str, Any]
Document = Mapping[str, Any]

_WEBHOOKS: Final = "admissionregistration.k8s.io/v1"
KINDS: Final = {
    "nodes": ("v1", "nodes"),
    "pods": ("v1", "pods"),
    "namespaces": ("v1", "namespaces"),
    "services": ("v1", "services"),
    "leases": ("coordination.k8s.io/v1", "leases"),
    "daemonsets": ("apps/v1", "daemonsets"),
    "deployments": ("apps/v1", "deployments"),
    "crds": ("apiextensions.k8s.io/v1", "customresourcedefinitions"),
    "runtime_classes": ("node.k8s.io/v1", "runtimeclasses"),
    "storage_classes": ("storage.k8s.io/v1", "storageclasses"),
    "csi_nodes": ("storage.k8s.io/v1", "csinodes"),
    "csi_drivers": ("storage.k8s.io/v1", "csidrivers"),
    "api_services": ("apiregistration.k8s.io/v1", "apiservices"),
    "mutating": (_WEBHOOKS, "mutatingwebhookconfigurations"),
    "validating": (_WEBHOOKS, "validatingwebhookconfigurations"),
    "slices": ("discovery.k8s.io/v1", "endpointslices"),
    "quotas": ("v1", "resourcequotas"),
    "limits": ("v1", "limitranges"),
    "ingress_classes": ("networking.k8s.io/v1", "ingressclasses"),
}
"""What is listed everywhere: by name (GROUP/VERSION, plural)."""
WHERE_SERVED: Final = {
    "psp": ("policy/v1beta1", "podsecuritypolicies"),
    "policies": ("nvidia.com/v1", "clusterpolicies"),
    "prometheuses": ("monitoring.coreos.com/v1", "prometheuses"),
    "operators": ("config.openshift.io/v1", "clusteroperators"),
    "networks": ("config.openshift.io/v1", "networks"),
    "service_ranges": ("networking.k8s.io/v1", "servicecidrs"),
}
"""Kinds that are missing on most clusters: none of them is an answer."""
_USUAL: Final = Config()
_HOOK_KINDS: Final = {"mutating": "MutatingWebhookConfiguration", "validating": "ValidatingWebhookConfiguration"}
_NAMESPACE_OF: Final = {"leases": "kube-node-lease"}


class Lists:
    """What was listed. A list that could not be had is the reason why."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self._found = found

    def __call__(self, name: str) -> list[Document]:
        """The objects; none where they could not be listed."""
        found = self._found[name]
        return found if isinstance(found, list) else []

    def why(self, *names: str) -> Facts | None:
        """Why one of them is not known; None where all are."""
        return next((each for name in names if isinstance(each := self._found[name], dict)), None)

    def is_served(self, name: str) -> bool:
        """Whether the kind is there at all."""
        return self._found[name] is not None


class Singles(NamedTuple):
    """What is asked for by name. A thing that could not be had is the reason why."""

    kubernetes: Any
    namespace: Any
    monitored: Document
    """The namespace of our ServiceMonitors, as it is or will be."""
    version: Document | str
    releases: Any
    service_range: Any
    proxy: Any


async def objects_facts(api: Api, namespace: str, now: float, *, whole: bool = True, config: Config = _USUAL) -> Facts:
    """`namespace`: the product's; `now`: seconds since the epoch. `whole`: also what takes reading secrets, where Helm keeps its
    releases, and asking for a Service that is refused. `config`: which of several classes are meant.
    """
    lists = await _listed(api)
    of_helm = await known(release_facts(api, namespace)) if whole else unknown("secrets were not read")
    range_ = told_range(lists("service_ranges"), lists("networks")) or (await refused_range(api) if whole else "")
    ours = await known_or_none(api.get(path_of("v1", "namespaces", namespace)))
    theirs = config.prometheus.namespace or namespace
    there = ours if theirs == namespace else await known_or_none(api.get(path_of("v1", "namespaces", theirs)))
    singles = Singles(
        kubernetes=await known(api.get(path_of("v1", "services", "kubernetes", "default"))),
        namespace=ours,
        monitored=there if "metadata" in (there or {}) else {"metadata": {"name": theirs}},
        version=await _cluster_version(api),
        releases=of_helm,
        service_range=range_ or unknown("no object tells the range of Services"),
        proxy=await known_or_none(api.get(path_of("config.openshift.io/v1", "proxies", "cluster"))),
    )
    return await asyncio.to_thread(_facts, lists, singles, namespace, now, config)


def _facts(lists: Lists, singles: Singles, namespace: str, now: float, config: Config) -> Facts:
    kubernetes, ours, monitored, version, releases, service_range, proxy = singles
    operator, on_nodes = nodes.operator_facts(lists("policies"), lists("daemonsets"), lists("pods"))
    hooks = [{"kind": kind, **each} for name, kind in _HOOK_KINDS.items() for each in lists(name)]
    found: Facts = {
        "nodes": nodes.nodes_facts(
            lists("nodes"),
            None if lists.why("pods") else lists("pods"),
            None if lists.why("leases") else lists("leases"),
            now,
        ),
        "cluster": nodes.cluster_addresses(
            lists("nodes"), None if "unknown" in kubernetes else kubernetes, lists("slices")
        )
        | {"service_cidr": service_range}
        | cluster.proxy_facts(proxy),
        "gpu_operator": lists.why("policies", "daemonsets") or operator,
        "openshift": cluster.openshift_facts(version, lists("operators"), lists("nodes")),
        "psp": lists.why("psp") or cluster.psp_facts(lists("psp") if lists.is_served("psp") else None),
        "psa": unknown_or(ours, lambda: cluster.psa_facts(ours)),
        "webhooks": lists.why("mutating", "validating", "slices")
        or cluster.webhook_facts(hooks, lists("slices"), namespace),
        "certificates": lists.why("mutating", "validating") or cluster.authority_facts(hooks, now),
        "quotas": lists.why("quotas") or cluster.quota_facts(lists("quotas"), {namespace}),
        "limit_ranges": lists.why("limits") or cluster.range_facts(lists("limits"), {namespace}),
        "helm_releases": releases,
        "api_services": lists.why("api_services") or cluster.service_facts(lists("api_services")),
        "crds": lists.why("crds") or sorted(each["metadata"]["name"] for each in lists("crds")),
        "runtime_classes": lists.why("runtime_classes")
        or [{"name": e["metadata"]["name"], "handler": e["handler"]} for e in lists("runtime_classes")],
        "leftovers": lists.why("namespaces", "crds", "mutating", "validating", "services", "deployments")
        or {
            **cluster.leftover_facts(
                lists("namespaces"),
                lists("crds"),
                hooks,
                {f"{e['metadata']['namespace']}/{e['metadata']['name']}" for e in lists("services")},
                lists("deployments"),
                now,
            ),
            "terminating_namespaces": cluster.terminating(lists("namespaces"), namespace),
        },
        "storage_classes": lists.why("storage_classes")
        or storage.class_facts(lists("storage_classes"), lists("csi_drivers"), lists("pods")),
        "csi_plugin_pods": lists.why("storage_classes", "nodes", "pods", "daemonsets")
        or storage.plugin_facts(
            config.storage.shared_class,
            lists("storage_classes"),
            lists("daemonsets"),
            lists("pods"),
            [each["metadata"]["name"] for each in lists("nodes")],
        ),
        "csi_nodes": lists.why("csi_nodes") or storage.csi_facts(lists("csi_nodes")),
        "ingress": ingress_facts(lists, config.ingress.class_),
        "prometheus": lists.why("prometheuses")
        or services.prometheus_objects(
            lists("prometheuses"),
            lists("pods"),
            lists("crds"),
            monitored,
        ),
    }
    if why := lists.why("nodes"):
        found["nodes"] = why
    elif not isinstance(found["nodes"], dict):
        for each in found["nodes"]:
            each |= on_nodes.get(each["name"], {} if lists.why("pods", "daemonsets") else {"plugin_pod": "none"})
    return found


def ingress_facts(lists: Lists, chosen: str) -> Facts:
    """Who serves browsers; what stands behind a class is unknown where it could not be listed."""
    classes, workloads = lists("ingress_classes"), [*lists("deployments"), *lists("daemonsets")]
    why = lists.why("deployments", "daemonsets")
    found = {
        "classes": lists.why("ingress_classes") or ingress.class_facts(classes, None if why else workloads),
        "load_balancer": why or lists.why("services"),
    }
    if found["load_balancer"] is None:
        del found["load_balancer"]
        found |= ingress.balancer_facts(chosen, classes, workloads, lists("services"))
    return found


def unknown_or(fact: Any, make: Any) -> Any:
    """The fact itself where it is unknown, else what is made of it."""
    return fact if isinstance(fact, dict) and "unknown" in fact else make()


async def _listed(api: Api) -> Lists:
    names = [*KINDS, *WHERE_SERVED]
    asked: list[Awaitable[Any]] = [known(api.list(*KINDS[n], _NAMESPACE_OF.get(n, ""))) for n in KINDS]
    asked += [known_or_none(api.list(*WHERE_SERVED[name])) for name in WHERE_SERVED]
    return Lists(dict(zip(names, await asyncio.gather(*asked), strict=True)))


async def _cluster_version(api: Api) -> Document | str:
    try:
        return await api.get(path_of("config.openshift.io/v1", "clusterversions", "version"))
    except FairleadError as error:
        return word_of(error)
