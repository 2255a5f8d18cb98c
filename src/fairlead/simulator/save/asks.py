"""Task classes as pod keys of a scenario file: the other way round than `requests`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from fairlead.model import GpuRequest, NodeRule, TaskClass, Term
from fairlead.model.selectors import Requirement
from fairlead.objects.fields import MIG_PREFIX

Map = dict[str, Any]

_COMPANY: Final = {"need": "pod_affinity", "avoid": "pod_anti_affinity"}
_BINARY: Final = (("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10))
_SETS: Final = {"In": "in", "NotIn": "notin"}
_ORDERS: Final = {"Gt": ">", "Lt": "<"}


def keys_of(klass: TaskClass, tainted: Collection[str]) -> tuple[Map, list[str]]:
    """(pod keys, what of the class the format has no word for). `tainted`: keys of the nodes' taints; others need no toleration."""
    terms = [(term, 0) for term in klass.terms]
    terms += [(what, weight) for what, weight in klass.preferred if isinstance(what, Term)]
    wishes = [(what, weight) for what, weight in klass.preferred if isinstance(what, NodeRule)]
    return _amounts(klass) | _rules(klass, wishes, tainted) | _company(terms), _lost(klass, terms)


def _amounts(klass: TaskClass) -> Map:
    request = dict(klass.request)
    keys = _gpus(klass.gpu)
    if klass.claims:
        keys["dra"] = dict(klass.claims)
    if request.get("cpu"):
        keys["cpu"] = quantity(request["cpu"], 1000)
    if request.get("memory"):
        keys["memory"] = quantity(request["memory"], 1)
    rest = without_mig(request)
    return keys | ({"resources": rest} if rest else {})


def _rules(klass: TaskClass, wishes: Sequence[tuple[NodeRule, int]], tainted: Collection[str]) -> Map:
    """Which nodes may take it, and which it likes."""
    liked = [{"match": _text(rule.affinity[0]), "weight": weight} for rule, weight in wishes]
    keys: Map = {
        "labels": dict(klass.labels),
        "node_selector": dict(klass.rule.selector),
        "node_affinity": [*map(_text, klass.rule.affinity), *liked],
        "tolerations": [_toleration(*each) for each in klass.rule.tolerations if not each[0] or each[0] in tainted],
    }
    return {key: value for key, value in keys.items() if value}


def _company(terms: Sequence[tuple[Term, int]]) -> Map:
    """Whom it wants beside it, and whom not."""
    keys: Map = {}
    for term, weight in terms:
        if term.kind in _COMPANY:
            keys.setdefault(_COMPANY[term.kind], []).append(_term(term, weight))
    return keys


def quantity(amount: int, unit: int) -> int | str:
    """An amount as people write it. `unit`: 1000 for thousandths, 1 for bytes."""
    if unit > 1:
        return f"{amount}m" if amount % unit else amount // unit
    return next((f"{amount // size}{name}" for name, size in _BINARY if amount and not amount % size), amount)


def mebibytes(amount: int) -> str:
    """Memory of a device with its unit."""
    return f"{amount >> 10}Gi" if amount and not amount % 1024 else f"{amount}Mi"


def without_mig(amounts: Mapping[str, int], *more: str) -> Map:
    """Amounts of what has no key of its own."""
    known = ("cpu", "memory", "pods", *more)
    return {name: amount for name, amount in amounts.items() if name not in known and not name.startswith(MIG_PREFIX)}


def _gpus(gpu: GpuRequest) -> Map:
    keys: Map = {}
    if gpu.memory_mib:
        keys = {"gpu_memory": mebibytes(gpu.memory_mib), "devices": gpu.devices}
    elif gpu.portion_milli == 1000:
        keys = {"gpu": gpu.devices}
    elif gpu.devices:
        keys = {"gpu": gpu.portion_milli / 1000, "devices": gpu.devices}
    if keys.get("devices") == 1:
        del keys["devices"]
    if gpu.mig:
        keys["mig"] = {name.removeprefix(MIG_PREFIX): count for name, count in gpu.mig}
    return keys | ({"legacy_mig": True} if gpu.legacy_mig else {})


def _text(requirements: Sequence[Requirement]) -> str:
    return ", ".join(_requirement(*each) for each in requirements)


def _requirement(key: str, operator: str, values: Sequence[str]) -> str:
    if operator in _SETS:
        return f"{key} {_SETS[operator]} ({','.join(values)})"
    if operator in _ORDERS:
        return f"{key} {_ORDERS[operator]} {values[0]}"
    return key if operator == "Exists" else f"!{key}"


def _toleration(key: str, operator: str, value: str, effect: str) -> str:
    head = f"{key}={value}" if operator == "Equal" else key or "*"
    return f"{head}:{effect}" if effect else head


def _term(term: Term, weight: int) -> Map:
    found: Map = {"match": term.selector, "topology_key": term.level}
    if term.namespaces:
        found["namespaces"] = list(term.namespaces)
    return found | ({"weight": weight} if weight else {})


def _lost(klass: TaskClass, terms: Sequence[tuple[Term, int]]) -> list[str]:
    found = (
        ["a rule about how pods are spread, or about ports"] if any(t.kind not in _COMPANY for t, _ in terms) else []
    )
    if klass.rule.volumes or klass.wait_for_volume:
        found.append("where a pod's volumes are")
    return found
