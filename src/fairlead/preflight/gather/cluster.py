"""The cluster as its API tells of it: OpenShift, pod security, webhooks, quotas, what others left. Pure (`preflight.keys.cluster`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fairlead.objects.times import seconds_of
from fairlead.preflight.gather.nodes import amounts

Document = Mapping[str, Any]
Facts = dict[str, Any]

PROBE_LABEL: Final = "fairlead.dev/preflight"
"""On everything that preflight makes."""
EXPIRES: Final = "fairlead.dev/expires"
"""When what preflight made may be taken away by anyone."""
MANAGED: Final = "app.kubernetes.io/managed-by"
PART: Final = "app.kubernetes.io/part-of"
QUEUES: Final = "queues.scheduling.run.ai"
_LEVEL: Final = "pod-security.kubernetes.io/"
_SCHEDULERS: Final = {
    "kai-scheduler": "kai-scheduler",
    "kai-scheduler-default": "kai-scheduler",
    "runai-scheduler": "runai-scheduler",
}


def openshift_facts(version: Document | str, operators: Sequence[Document], nodes: Sequence[Document]) -> Facts:
    """`version`: the ClusterVersion named version, or in a word why there is none."""
    ids = {str((node["metadata"].get("labels") or {}).get("node.openshift.io/os_id") or "absent") for node in nodes}
    found: Facts = {"node_os_id_label": min(ids - {"absent"}, default="absent")}
    if isinstance(version, str):
        return found | {"cluster_version_object": version}
    status = version.get("status") or {}
    return found | {
        "cluster_version_object": "found",
        "desired": (status.get("desired") or {}).get("version") or "unknown",
        "history": [
            {"state": each.get("state", ""), "version": each.get("version", "")} for each in status.get("history") or ()
        ],
        "degraded_operators": sorted(_name(each) for each in operators if _condition(each, "Degraded") == "True"),
    }


def psp_facts(policies: Sequence[Document] | None) -> Facts:
    """None: the kind is not served."""
    if policies is None:
        return {"api_served": False}
    return {
        "api_served": True,
        "objects": len(policies),
        "any_allows_host_path": any({"hostPath", "*"} & set(p.get("spec", {}).get("volumes") or ()) for p in policies),
    }


def psa_facts(namespace: Document | None) -> Facts:
    """The labels of our namespace; none where it is not there yet."""
    labels = ((namespace or {}).get("metadata") or {}).get("labels") or {}
    return {"namespace_labels": {key.removeprefix(_LEVEL): v for key, v in labels.items() if key.startswith(_LEVEL)}}


def webhook_facts(configurations: Sequence[Document], slices: Sequence[Document]) -> list[Facts]:
    """All admission webhooks. `slices`: EndpointSlices of all namespaces."""
    ready = _ready_endpoints(slices)
    found = []
    for configuration in configurations:
        for hook in configuration.get("webhooks") or ():
            service = (hook.get("clientConfig") or {}).get("service") or {}
            name = f"{service['namespace']}/{service['name']}" if service else ""
            found.append(
                {
                    "name": str(hook.get("name", "")),
                    "failure_policy": hook.get("failurePolicy") or "Fail",
                    "service": name,
                    "matches_us": _asks_about_pods(hook),
                    **({"endpoints": ready.get(name, 0)} if name else {}),
                }
            )
    return sorted(found, key=lambda each: each["name"])


def _asks_about_pods(hook: Document) -> bool:
    """Whether it is asked about pods of a namespace that has no label but its name and ours."""
    rules = hook.get("rules") or ()
    pods = any(
        {"pods", "*", "*/*"} & set(r.get("resources") or ()) and {"", "*"} & set(r.get("apiGroups") or ())
        for r in rules
    )
    selector = hook.get("namespaceSelector") or {}
    wanted = dict(selector.get("matchLabels") or {})
    wants = [e for e in selector.get("matchExpressions") or () if e.get("operator") in ("In", "Exists")]
    return pods and not wanted and not wants


def _ready_endpoints(slices: Sequence[Document]) -> dict[str, int]:
    """NAMESPACE/NAME of a Service -> endpoints of it that are ready."""
    found: dict[str, int] = {}
    for each in slices:
        service = (each["metadata"].get("labels") or {}).get("kubernetes.io/service-name", "")
        ready = [e for e in each.get("endpoints") or () if (e.get("conditions") or {}).get("ready", True)]
        key = f"{each['metadata'].get('namespace', '')}/{service}"
        found[key] = found.get(key, 0) + sum(len(e.get("addresses") or ()) for e in ready)
    return found


def quota_facts(quotas: Sequence[Document], namespaces: set[str]) -> list[Facts]:
    """ResourceQuotas of those namespaces."""
    return [
        {
            "namespace": each["metadata"]["namespace"],
            "name": _name(each),
            "hard": amounts((each.get("status") or {}).get("hard") or each.get("spec", {}).get("hard") or {}),
            "used": amounts((each.get("status") or {}).get("used") or {}),
        }
        for each in quotas
        if each["metadata"]["namespace"] in namespaces
    ]


def range_facts(ranges: Sequence[Document], namespaces: set[str]) -> list[Facts]:
    """LimitRanges of those namespaces, and what of our smallest and largest containers they refuse."""
    found = []
    for each in ranges:
        limits = [x for x in each.get("spec", {}).get("limits") or () if x.get("type") == "Container"]
        refused = [
            f"{_name(each)}: at most {limit['max'][name]} {name} a container"
            for limit in limits
            for name, least in amounts(limit.get("max") or {}).items()
            if least < _LARGEST.get(name, 0)
        ]
        refused += [
            f"{_name(each)}: at least {limit['min'][name]} {name} a container"
            for limit in limits
            for name, most in amounts(limit.get("min") or {}).items()
            if most > _SMALLEST.get(name, most)
        ]
        if each["metadata"]["namespace"] in namespaces:
            found.append({"namespace": each["metadata"]["namespace"], "refuses": refused})
    return found


_SMALLEST: Final = {"cpu": 0.02, "memory": 64 << 20}
_LARGEST: Final = {"cpu": 0.5, "memory": 512 << 20}
"""Requests of our containers. Units: cores, bytes."""


def release_facts(secrets: Sequence[Document]) -> list[Facts]:
    """Releases of Helm, by the labels of the secrets it keeps them in; the newest of each."""
    newest: dict[tuple[str, str], tuple[int, str]] = {}
    for each in secrets:
        labels = each["metadata"].get("labels") or {}
        key = (each["metadata"]["namespace"], labels.get("name", ""))
        version = int(labels["version"]) if str(labels.get("version", "")).isdigit() else 0
        newest[key] = max(newest.get(key, (-1, "")), (version, labels.get("status", "")))
    return [
        {"namespace": ns, "name": name, "status": status} for (ns, name), (_, status) in sorted(newest.items()) if name
    ]


def service_facts(services: Sequence[Document]) -> list[Facts]:
    """Aggregated APIs: those that a Service of the cluster answers for."""
    found = []
    for each in services:
        if not each.get("spec", {}).get("service"):
            continue
        available = _condition(each, "Available")
        told: Facts = {"name": _name(each), "available": available == "True"}
        message = next((c.get("message", "") for c in _conditions(each) if c.get("type") == "Available"), "")
        found.append(told | ({"message": message} if message and available != "True" else {}))
    return found


def leftover_facts(
    namespaces: Sequence[Document],
    crds: Sequence[Document],
    configurations: Sequence[Document],
    services: set[str],
    deployments: Sequence[Document],
    now: float,
) -> Facts:
    """What earlier runs, earlier installations and others of our kind have left. `services`: NAMESPACE/NAME of all."""
    ours = [each for each in namespaces if _is_ours(each)]
    queue = next((each for each in crds if _name(each) == QUEUES), None)
    return {
        "probe_namespaces": sorted(_name(each) for each in namespaces if _has_expired(each, now)),
        "terminating_namespaces": sorted(
            _name(e) for e in ours if (e.get("status") or {}).get("phase") == "Terminating"
        ),
        "objects": sorted(f"{e['kind']} {_name(e)}" for e in configurations if _is_ours(e) and not _is_released(e)),
        "webhooks_without_service": sorted(_name(e) for e in configurations if _is_ours(e) and _is_orphan(e, services)),
        "queue_crd_owner": _owner_of(queue),
        "queue_crd_versions": [
            v["name"] for v in (queue or {}).get("spec", {}).get("versions") or () if v.get("served")
        ],
        "schedulers": sorted({_SCHEDULERS[_name(each)] for each in deployments if _name(each) in _SCHEDULERS}),
    }


def _is_ours(each: Document) -> bool:
    labels = each["metadata"].get("labels") or {}
    return labels.get(PART) == "fairlead" or PROBE_LABEL in labels or labels.get("app.kubernetes.io/name") == "fairlead"


def _is_released(each: Document) -> bool:
    """Whether a release of Helm says that it is its own."""
    return "meta.helm.sh/release-name" in (each["metadata"].get("annotations") or {})


def _has_expired(namespace: Document, now: float) -> bool:
    meta = namespace["metadata"]
    if PROBE_LABEL not in (meta.get("labels") or {}):
        return False
    end = seconds_of((meta.get("annotations") or {}).get(EXPIRES))
    return end is None or end <= now


def _is_orphan(configuration: Document, services: set[str]) -> bool:
    called = [(h.get("clientConfig") or {}).get("service") for h in configuration.get("webhooks") or ()]
    return any(s and f"{s['namespace']}/{s['name']}" not in services for s in called)


def _owner_of(crd: Document | None) -> str:
    if crd is None:
        return "none"
    meta = crd["metadata"]
    told = " ".join([*(meta.get("labels") or {}).values(), *(meta.get("annotations") or {}).values()]).lower()
    for word, owner in (("fairlead", "fairlead"), ("kai", "kai"), (r"run-?ai", "runai")):
        if re.search(rf"\b{word}", told):
            return owner
    return "other"


def _condition(each: Document, type_: str) -> str:
    return next((str(c.get("status")) for c in _conditions(each) if c.get("type") == type_), "")


def _conditions(each: Document) -> Sequence[Document]:
    return (each.get("status") or {}).get("conditions") or ()


def _name(each: Document) -> str:
    return str(each["metadata"]["name"])
