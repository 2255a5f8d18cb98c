"""Prometheus and sign-in: what the API's objects and the answers of these services tell. Pure (`preflight.keys.services`)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec

from fairlead.objects import selectors
from fairlead.objects.meta import LabelSelector
from fairlead.preflight.checks.ways import place_in
from fairlead.preflight.gather.reach import Seen, failure_of

Document = Mapping[str, Any]
Facts = dict[str, Any]

_MONITORING: Final = "servicemonitors.monitoring.coreos.com"
_OPERATOR_VERSION: Final = "operator.prometheus.io/version"

QUERIES: Final = {
    "up": "up",
    "requests": "count(kube_pod_container_resource_requests)",
    "requests_1x": "count(kube_pod_container_resource_requests_cpu_cores)",
    "allocatable": "count(kube_node_status_allocatable)",
    "build": "kube_state_metrics_build_info",
    "duplicates": "max(count by (namespace, pod, container, resource) (kube_pod_container_resource_requests))",
    "age": "time() - max(timestamp(kube_node_info) or timestamp(kube_node_status_allocatable))",
    "uname": "node_uname_info",
    "gpus": "count by (Hostname, node, instance, kubernetes_node) (DCGM_FI_DEV_GPU_UTIL)",
}
"""What a Prometheus is asked."""


def prometheus_objects(
    objects: Sequence[Document], pods: Sequence[Document], crds: Sequence[Document], namespace: Document
) -> Facts:
    """What there is of the Prometheus Operator. `namespace`: that of our ServiceMonitors, as it is or will be."""
    running = [p for p in pods if _is_operator(p) and (p.get("status") or {}).get("phase") == "Running"]
    found: Facts = {"objects": len(objects), "operator_pods_running": len(running)}
    monitors = next((each for each in crds if each["metadata"]["name"] == _MONITORING), None)
    version = ((monitors or {}).get("metadata", {}).get("annotations") or {}).get(_OPERATOR_VERSION)
    if version:
        found["operator_version"] = version
    if objects:
        found["selectors"] = [_selector_or_why(each, namespace["metadata"]) for each in objects]
    return found


def _is_operator(pod: Document) -> bool:
    return any("prometheus-operator" in str(c.get("image", "")) for c in pod["spec"].get("containers") or ())


def _selector_or_why(each: Document, ours: Document) -> Facts:
    try:
        return _selector(each, ours)
    except (ValueError, msgspec.ValidationError) as error:  # the API server takes any word for an operator
        name = f"{each['metadata']['namespace']}/{each['metadata']['name']}"
        return {"prometheus": name, "match_labels": {"unknown": f"the selector of {name} cannot be read: {error}"}}


def _selector(each: Document, ours: Document) -> Facts:
    """Which monitors it takes: without a selector none, and without one of namespaces those of its own."""
    spec, meta = each.get("spec") or {}, each["metadata"]
    monitors = spec.get("serviceMonitorSelector")
    conditions = _selector_of({"matchExpressions": (monitors or {}).get("matchExpressions") or []})
    more: Facts = {"match_expressions": [selectors.render((each,)) for each in conditions]} if conditions else {}
    return more | {
        "prometheus": f"{meta['namespace']}/{meta['name']}",
        "selects_none": monitors is None,
        "match_labels": dict((monitors or {}).get("matchLabels") or {}),
        "selects_namespace": _takes(spec.get("serviceMonitorNamespaceSelector"), ours, meta["namespace"]),
    }


def _takes(selector: Document | None, ours: Document, own: str) -> bool:
    """Whether our namespace is among those that it looks into."""
    if selector is None:
        return bool(ours["name"] == own)
    labels = {"kubernetes.io/metadata.name": ours["name"], **(ours.get("labels") or {})}
    return selectors.matches(_selector_of(selector), labels)


def _selector_of(document: Document) -> selectors.Selector:
    return selectors.of_object(msgspec.convert(document, LabelSelector))


def query_url(base: str, query: str) -> str:
    """The address that answers a query."""
    return f"{base.rstrip('/')}/api/v1/query?query={quote(query)}"


def prometheus_answers(with_token: Seen, without: Seen | None) -> Facts:
    """What the answer to `up` tells."""
    result = result_of(with_token)
    found: Facts = {"query_ok": result is not None}
    if with_token.tcp:
        found["tcp"] = with_token.tcp
    if with_token.tls or with_token.reached:
        found["tls"] = with_token.tls or "not_used"
    if with_token.status is not None:
        found["get_query_with_token"] = with_token.status
    if without is not None and without.status is not None:
        found["get_query_without_token"] = without.status
    if result is not None:
        found["up_series"] = len(result)
    return found


def metrics_facts(answers: Mapping[str, Seen], nodes: Sequence[Document]) -> Facts:
    """What the exporters deliver. `answers`: by key of QUERIES; `nodes`: facts of nodes."""
    found: Facts = {}
    for key, name in (
        ("requests", "kube_pod_container_resource_requests"),
        ("requests_1x", "kube_pod_container_resource_requests_cpu_cores"),
        ("allocatable", "kube_node_status_allocatable"),
    ):
        if (count := _number(answers[key])) is not None:
            found[name] = int(count)
    builds = result_of(answers["build"])
    if builds:
        found["kube_state_metrics_build_info_version"] = str(builds[0]["metric"].get("version", ""))
    if (most := _number(answers["duplicates"])) is not None:
        found["kube_state_metrics_duplicates"] = most > 1
    if ages := result_of(answers["age"]):
        found["newest_sample_age_seconds"] = round(_value(ages[0]), 1)
    unames = result_of(answers["uname"])
    if unames is not None:
        up = {node["name"]: sum(_is_of(node, series["metric"]) for series in unames) for node in nodes}
        found["node_exporter_up"] = {name: min(count, 1) for name, count in up.items() if count}
        found["node_exporter_absent"] = sorted(name for name, count in up.items() if not count)
        found["node_exporter_duplicates"] = sorted(name for name, count in up.items() if count > 1)
    gpus = result_of(answers["gpus"])
    if gpus is not None:
        found["gpu_util"] = {node["name"]: sum(_value(s) for s in gpus if _is_of(node, s["metric"])) for node in nodes}
    return found


def oidc_facts(document: Seen, jwks: Seen | None) -> Facts:
    """What a provider's discovery document and its keys tell."""
    found: Facts = {}
    if document.status is not None:
        found["discovery_status"] = document.status
    if not document.reached:
        found["error"] = failure_of(document)
    elif is_page(document):
        found["error"] = "block_page"
    read = _json(document)
    for theirs, ours in (("issuer", "issuer_in_document"), ("id_token_signing_alg_values_supported", "signing_algs")):
        if theirs in read:
            found[ours] = read[theirs]
    if jwks_uri := read.get("jwks_uri"):
        found["jwks_host"] = place_in(str(jwks_uri))
    if jwks is not None:
        found["jwks_status"] = jwks.status or 0
    return found


def is_page(seen: Seen) -> bool:
    """Whether it is a page for people: what a proxy that says no puts in the place of an answer, be it with status 200."""
    return "html" in seen.headers.get("content-type", "") or seen.body.lstrip()[:1] == b"<"


def document_of(seen: Seen) -> Facts:
    """The JSON object that was answered; empty where it was none."""
    return _json(seen)


def result_of(seen: Seen) -> list[Any] | None:
    """The vector of an answered query; None where it was not answered."""
    read = _json(seen)
    if seen.status != 200 or read.get("status") != "success":
        return None
    data = read.get("data") or {}
    result = data.get("result") if isinstance(data, dict) else None
    return result if isinstance(result, list) else None


def _json(seen: Seen) -> Facts:
    try:
        read = json.loads(seen.body) if seen.body else {}
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _number(seen: Seen) -> float | None:
    """The only value of an answered query; 0 where it gave no series."""
    result = result_of(seen)
    if result is None:
        return None
    return _value(result[0]) if result else 0.0


def _value(series: Document) -> float:
    try:
        return float(series["value"][1])
    except (KeyError, IndexError, ValueError):
        return 0.0


def _is_of(node: Document, labels: Mapping[str, str]) -> bool:
    """Whether a series is of a node: by its name, its host name, or one of its addresses."""
    told = {labels.get(key, "") for key in ("node", "kubernetes_node", "Hostname", "nodename", "instance")}
    hosts = {re.sub(r"^\[?(.*?)\]?(:\d+)?$", r"\1", each) for each in told if each}
    return bool(hosts & {node["name"], *node.get("addresses", ())})
