"""Nodes and queues as a scenario file has them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from fairlead.model import UNLIMITED, NodeRule, QueueSpec, Snapshot
from fairlead.model.values import Node
from fairlead.objects.fields import MIG_PREFIX
from fairlead.simulator.save.asks import mebibytes, quantity, without_mig
from fairlead.simulator.scenario.cluster import HOSTNAME

Map = dict[str, Any]

_PER_WORKER: Final = "node-role.kubernetes.io/"
_UNITS: Final = (("gpu", 1000), ("cpu", 1000), ("memory", 1))


def node_map(node: Node, selected: frozenset[str]) -> Map:
    """A node, with those of its labels that are selected."""
    have, others = dict(node.allocatable), dict(node.foreign)
    mig = {name.removeprefix(MIG_PREFIX): n for name, n in have.items() if name.startswith(MIG_PREFIX)}
    whole = have.get("gpu", 0) // 1000
    found: Map = {"gpu": node.gpus if node.mig == "mixed" else whole}
    if node.gpu_memory_mib:
        found["gpu_memory"] = mebibytes(node.gpu_memory_mib)
    found |= {"cpu": quantity(have.get("cpu", 0), 1000), "memory": quantity(have.get("memory", 0), 1)}
    found["pods"] = have.get("pods", 0)
    if node.mig != "none":
        found["mig"] = {"strategy": node.mig, "instances": mig}
    if node.dra:
        found["dra"] = dict(node.dra)
    found |= _resources(have)
    labels = {key: value for key, value in node.labels if key in selected and (key, value) != (HOSTNAME, node.name)}
    if labels:
        found["labels"] = labels
    if node.taints:
        found["taints"] = [
            f"{key}={value}:{effect}" if value else f"{key}:{effect}" for key, value, effect in node.taints
        ]
    found |= {} if node.ready else {"ready": False}
    found |= {"unschedulable": True} if node.unschedulable else {}
    if taken := _taken(others):
        found["others"] = taken
    return found


def lost_of(node: Node) -> Iterator[str]:
    """What of a node the format has no word for."""
    if node.mig == "mixed" and dict(node.allocatable).get("gpu", 0):
        yield f"{node.name} offers whole GPUs beside MIG slices"


def labels_that_matter(snapshot: Snapshot) -> frozenset[str]:
    """Labels of nodes that a rule, a wish or a topology mentions: the others decide nothing."""
    found = {label for _, label in snapshot.levels}
    found |= {key for node in snapshot.nodes for key, _ in node.labels if key.startswith(_PER_WORKER)}
    for klass in snapshot.classes:
        rules = [klass.rule, *(what for what, _ in klass.preferred if isinstance(what, NodeRule))]
        for rule in rules:
            found |= {key for key, _ in rule.selector}
            found |= {key for term in rule.affinity for key, _, _ in term}
        terms = [*klass.terms, *(what for what, _ in klass.preferred if not isinstance(what, NodeRule))]
        found |= {term.level for term in terms}
    return frozenset(found)


def paths_of(queues: Iterable[QueueSpec]) -> dict[str, str]:
    """Each queue's whole path by its name."""
    by_name = {queue.name: queue for queue in queues}

    def path(name: str) -> str:
        parent = by_name[name].parent  # type: ignore[index]  # the key is a QueueName
        if not parent or parent not in by_name:
            return name
        above = path(parent)
        return name if name.startswith(f"{above}/") else f"{above}/{name}"

    return {str(name): path(name) for name in by_name}


def queue_map(queue: QueueSpec) -> Map:
    """A queue with every number."""
    columns = zip(_UNITS, queue.deserved, queue.limit, queue.weight, strict=True)
    found: Map = {
        name: {"deserved": _bounded(deserved, unit), "limit": _bounded(limit, unit), "weight": _plain(weight)}
        for (name, unit), deserved, limit, weight in columns
    }
    found["priority"] = queue.priority
    for key in ("preempt_min_runtime", "reclaim_min_runtime"):
        if (seconds := getattr(queue, key)) is not None:
            found[key] = duration(round(seconds * 1000))
    if any(queue.usage):
        found["usage"] = dict(zip(("gpu", "cpu", "memory"), queue.usage, strict=True))
    return found


def _plain(number: float) -> int | float:
    return int(number) if number == int(number) else number


def _bounded(amount: int, unit: int) -> int | float | str:
    if amount >= UNLIMITED:
        return "unlimited"
    return amount / unit if amount % unit else amount // unit


def _resources(amounts: Mapping[str, int]) -> Map:
    rest = without_mig(amounts, "gpu")
    return {"resources": rest} if rest else {}


def _taken(others: Mapping[str, int]) -> Map:
    found: Map = {"gpu": others.get("gpu", 0) // 1000, "cpu": quantity(others.get("cpu", 0), 1000)}
    found |= {"memory": quantity(others.get("memory", 0), 1), "pods": others.get("pods", 0)}
    rest = {name: amount for name, amount in others.items() if name not in ("gpu", "cpu", "memory", "pods")}
    return {key: value for key, value in found.items() if value} | ({"resources": rest} if rest else {})


def duration(milli: int) -> str:
    """A length of time as the format has it."""
    seconds, rest = divmod(milli, 1000)
    return "".join((f"{seconds}s" if seconds or not rest else "", f"{rest}ms" if rest else ""))
