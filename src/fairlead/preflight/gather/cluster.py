"""The cluster as its API tells of it: OpenShift, pod security, webhooks, quotas, what others left. Pure (`preflight.keys.cluster`)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from cryptography import x509

from fairlead.objects.kinds import FAIRLEAD_GROUP
from fairlead.objects.times import seconds_of
from fairlead.preflight import footprint
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
_DAY: Final = 86_400
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


def proxy_facts(proxy: Document | None) -> Facts:
    """The cluster's own proxy, as OpenShift has it; None where the cluster has no such object."""
    if proxy is None or "unknown" in proxy:
        return {} if proxy is None else {"proxy": proxy}
    status = proxy.get("status") or {}
    names = {"httpProxy": "http", "httpsProxy": "https", "noProxy": "no_proxy"}
    return {"proxy": {ours: status[theirs] for theirs, ours in names.items() if status.get(theirs)}}


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


def webhook_facts(configurations: Sequence[Document], slices: Sequence[Document], ours: str) -> list[Facts]:
    """All admission webhooks. `slices`: EndpointSlices of all namespaces; `ours`: the product's namespace."""
    ready = _ready_endpoints(slices)
    found = []
    for configuration in configurations:
        for hook in configuration.get("webhooks") or ():
            service = (hook.get("clientConfig") or {}).get("service") or {}
            name = f"{service['namespace']}/{service['name']}" if service else ""
            found.append(
                {
                    "name": str(hook.get("name", "")),
                    "configuration": f"{configuration['kind']} {_name(configuration)}",
                    "failure_policy": hook.get("failurePolicy") or "Fail",
                    "service": name,
                    "matches_us": _asks_about_us(hook, ours),
                    **({"endpoints": ready.get(name, 0)} if name else {}),
                }
            )
    return sorted(found, key=lambda each: each["name"])


def authority_facts(configurations: Sequence[Document], now: float) -> Facts:
    """How long the authorities that our webhooks are known by are good; nothing where there are none. Of several in one the best counts."""
    bundles = [
        (hook.get("clientConfig") or {}).get("caBundle")
        for each in configurations
        if _is_ours(each)
        for hook in each.get("webhooks") or ()
    ]
    ends = [_end_of(bundle) for bundle in bundles if bundle]
    return {"webhook": {"days_left": round((min(ends) - now) / _DAY)}} if ends else {}


def _end_of(bundle: str) -> float:
    """Seconds since the epoch; 0 for what holds no certificate."""
    try:
        read = x509.load_pem_x509_certificates(base64.b64decode(bundle))
    except ValueError:
        return 0.0
    return max(each.not_valid_after_utc.timestamp() for each in read)


_MADE: Final = {
    "": {"pods", "namespaces", "services", "serviceaccounts", "configmaps", "secrets", "persistentvolumeclaims"},
    "apps": {"deployments", "daemonsets", "statefulsets"},
    "batch": {"jobs"},
    "networking.k8s.io": {"networkpolicies"},
    "policy": {"poddisruptionbudgets"},
    "rbac.authorization.k8s.io": {"clusterroles", "clusterrolebindings", "roles", "rolebindings"},
    "apiextensions.k8s.io": {"customresourcedefinitions"},
}
"""Group -> what installing, probing and projects make of it."""
_NAME_LABEL: Final = "kubernetes.io/metadata.name"


def _asks_about_us(hook: Document, ours: str) -> bool | Facts:
    """Whether it is asked about what we make, in our namespace or in one that has no label but its name."""
    spaces = ({_NAME_LABEL: ours}, {_NAME_LABEL: f"{ours}-project"})
    is_asked = (
        any(_is_about_made(rule) for rule in hook.get("rules") or ())
        and any(_selects(hook.get("namespaceSelector") or {}, labels) for labels in spaces)
        and _selects(hook.get("objectSelector") or {}, {})
    )
    if is_asked and hook.get("matchConditions"):
        return {"unknown": f"conditions of {hook.get('name')} decide what it is asked about"}
    return is_asked


def _is_about_made(rule: Document) -> bool:
    resources, groups = set(rule.get("resources") or ()), set(rule.get("apiGroups") or ())
    operations = set(rule.get("operations") or ("*",))
    made = set().union(*(kinds for group, kinds in _MADE.items() if group in groups or "*" in groups))
    return bool({"CREATE", "*"} & operations) and bool(made and (made | {"*", "*/*"}) & resources)


def _selects(selector: Document, labels: Mapping[str, str]) -> bool:
    wanted = (selector.get("matchLabels") or {}).items()
    return wanted <= labels.items() and all(_meets(each, labels) for each in selector.get("matchExpressions") or ())


def _meets(expression: Document, labels: Mapping[str, str]) -> bool:
    key, values = expression.get("key", ""), expression.get("values") or ()
    answers = {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }
    return answers.get(str(expression.get("operator")), True)


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
    """ResourceQuotas of those namespaces, less those that do not count pods like ours."""
    return [
        {
            "namespace": each["metadata"]["namespace"],
            "name": _name(each),
            "hard": amounts((each.get("status") or {}).get("hard") or each.get("spec", {}).get("hard") or {}),
            "used": amounts((each.get("status") or {}).get("used") or {}),
        }
        for each in quotas
        if each["metadata"]["namespace"] in namespaces and _counts_us(each.get("spec") or {})
    ]


def _counts_us(quota: Document) -> bool:
    """Pods of ours have no end and no priority class, and state requests."""
    chosen = (quota.get("scopeSelector") or {}).get("matchExpressions") or ()
    scopes = {*(quota.get("scopes") or ()), *(each.get("scopeName", "") for each in chosen)}
    return scopes <= {"NotTerminating", "NotBestEffort"}


def range_facts(ranges: Sequence[Document], namespaces: set[str]) -> list[Facts]:
    """LimitRanges of those namespaces: what of our containers they refuse, and what they state for who does not."""
    return [
        {
            "namespace": each["metadata"]["namespace"],
            "name": _name(each),
            "refuses": [f"{_name(each)}: {what}" for limit in _limits(each) for what in _refused_by(limit)],
            "gives": sorted({f"limits.{name}" for limit in _limits(each) for name in limit.get("default") or ()}),
        }
        for each in ranges
        if each["metadata"]["namespace"] in namespaces
    ]


def _limits(each: Document) -> list[Document]:
    return [limit for limit in each.get("spec", {}).get("limits") or () if limit.get("type") == "Container"]


def _refused_by(limit: Document) -> Iterator[str]:
    """Who of ours asks for too much or too little."""
    given = _known(limit.get("default"))
    for name, most in _known(limit.get("max")).items():
        asked = {unit.name: unit.limits().get(name, max(given.get(name, 0), unit.requests()[name])) for unit in _ALL}
        if over := [f"{unit} {_shown(name, amount)}" for unit, amount in asked.items() if amount > most]:
            yield f"at most {limit['max'][name]} {name} a container, and ours take up to {', '.join(over)}"
    for name, most in given.items():
        if over := [
            f"{unit.name} {_shown(name, unit.requests()[name])}"
            for unit in _ALL
            if name not in unit.limits() and unit.requests()[name] > most
        ]:
            yield f"a limit of {limit['default'][name]} {name} for who states none, and ours ask for {', '.join(over)}"
    for name, least in _known(limit.get("min")).items():
        under = [unit for unit in _ALL if unit.requests().get(name, least) < least]
        if told := [f"{unit.name} {_shown(name, unit.requests()[name])}" for unit in under]:
            yield f"at least {limit['min'][name]} {name} a container, and ours ask for {', '.join(told)}"


_ALL: Final = (footprint.CRDS, *footprint.ALWAYS)


def _known(quantities: Document | None) -> Mapping[str, float]:
    return {name: amount for name, amount in amounts(quantities or {}).items() if name in ("cpu", "memory")}


def _shown(name: str, amount: float) -> str:
    return f"{amount * 1000:g}m" if name == "cpu" else f"{amount / (1 << 20):g}Mi"


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
    queue = next((each for each in crds if _name(each) == QUEUES), None)
    return {
        "probe_namespaces": sorted(_name(each) for each in namespaces if _has_expired(each, now)),
        "namespaces_of_others": sorted(
            _name(e) for e in namespaces if _name(e) in footprint.BESIDE and not _is_released(e)
        ),
        "objects": sorted(f"{e['kind']} {_name(e)}" for e in configurations if _is_ours(e) and not _is_released(e)),
        "webhooks_without_service": sorted(_name(e) for e in configurations if _is_ours(e) and _is_orphan(e, services)),
        "queue_crd_owner": _owner_of(queue),
        "queue_crd_versions": [
            v["name"] for v in (queue or {}).get("spec", {}).get("versions") or () if v.get("served")
        ],
        "kinds_of_others": sorted(_name(each) for each in crds if _is_in_our_place(each)),
        "schedulers": sorted({_SCHEDULERS[_name(each)] for each in deployments if _name(each) in _SCHEDULERS}),
    }


def terminating(namespaces: Sequence[Document], own: str) -> list[str]:
    """Namespaces of ours that go. `own`: the product's, whoever made it."""
    ours = (each for each in namespaces if _is_ours(each) or _name(each) == own)
    return sorted(_name(each) for each in ours if (each.get("status") or {}).get("phase") == "Terminating")


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


def _is_in_our_place(crd: Document) -> bool:
    """Whether somebody else defined a kind of our group."""
    return (crd.get("spec") or {}).get("group") == FAIRLEAD_GROUP and not _is_ours(crd)


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
