"""Nodes that are the product's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from fairlead.preflight.check import ByApi, Check, Finding, Verdict, failed, listed, not_needed, passed, unknown, warned
from fairlead.preflight.checks.gpu_links import has_cards
from fairlead.preflight.config import Config
from fairlead.preflight.facts import Facts, Missing
from fairlead.preflight.roster import is_control_plane, nodes_by_name, taints_of, why_left_out

_ENOUGH: Final = 0.95
"""A machine sold with 8 GB shows a little less."""
_OWNERS: Final = ("fairlead", "runai")
REQUESTED_CPU: Final = 0.5
REQUESTED_MEMORY_BYTES: Final = 1536 * 2**20
"""Sums of the chart's requests of everything that runs on system nodes."""
_GB: Final = 1e9


def system_nodes(facts: Facts, config: Config) -> Finding:
    """In production the product has nodes of its own, by label, and a taint that keeps others off. Another node's room does not help, so
    each is looked at by itself.

    - none: no worker has the label; a control-plane node is none.
    - too-small: none of those that have it is large enough.
    - one: when it fails, the product is gone until another takes over.
    - no-taint: anything may run there.
    - full: less is free than the product asks for.
    - tainted: every node that could take the product's pods has a taint that they do not tolerate, as on a cluster of one node that
      is its own control plane. They tolerate the label's key alone.
    """
    if not config.production:
        return _shared(facts, config)
    everywhere = {name: node for name, node in nodes_by_name(facts).items() if not why_left_out(node)}
    nodes = {name: node for name, node in everywhere.items() if not is_control_plane(node)}
    ours = {name: node for name, node in nodes.items() if _is_ours(node, config)}
    if not ours:
        for node in nodes.values():
            node.need("labels")
    beside = sorted(name for name, node in everywhere.items() if name not in nodes and _is_ours(node, config))
    fit = [name for name, node in nodes.items() if name not in ours and _could_be(node, config)]
    name, key = min(fit, default="NAME"), config.system_nodes.label
    bare = key.partition("=")[0]
    label = (
        f"kubectl label node {name} {key if '=' in key else f'{key}='} && kubectl taint node {name} {bare}:NoSchedule"
    )
    found = _judged(config, ours, beside, label if fit else f"{_LARGER} {_wanted(config)}{_OR_LESS}, and: {label}")
    return replace(found, expected=f"in production at least one node with the label, {_wanted(config)}")


def _shared(facts: Facts, config: Config) -> Finding:
    """Outside production any node will do, but one at least has to."""
    off = "production is off; the product shares nodes with others"
    if facts.left_out("nodes"):
        return not_needed(off)
    nodes = {name: node for name, node in nodes_by_name(facts).items() if not why_left_out(node)}
    free = sorted(name for name, node in nodes.items() if _takes_us(node, config))
    if free or not nodes:
        return not_needed(f"{off}: {listed(free)}" if free else off)
    for node in nodes.values():
        node.need("labels")  # of nodes of which so little is known, taints say nothing of the cluster
    return replace(_tainted(nodes, config), expected="a node whose taints the product's pods tolerate")


def _takes_us(node: Facts, config: Config) -> bool:
    """Whether it is known to have no taint that keeps the product's pods off."""
    try:
        return not _keeps_off(node, config)
    except Missing:
        return False


def _keeps_off(node: Facts, config: Config) -> tuple[str, ...]:
    """Taints that the product's pods do not tolerate. Raises: Missing where a taint is not known."""
    for taint in node.items_or_none("taints"):
        for part in ("key", "effect"):
            taint.need(part)
    return taints_of(node, config.system_nodes.label.partition("=")[0])


def _tainted(nodes: Mapping[str, Facts], config: Config) -> Finding:
    taints = {name: _keeps_off(node, config) for name, node in sorted(nodes.items())}
    seen = listed([f"{name} has {listed(each)}" for name, each in taints.items()])
    first = min(taints)
    remedy = f"kubectl taint node {first} {taints[first][0]}-, or add a node without taints"
    return failed(f"no node takes the product's pods: {seen}", "tainted", remedy)


_LARGER: Final = "No other node without GPUs is large enough. Add one of"
_OR_LESS: Final = " (or ask for less: system_nodes.cpu, .memory_bytes, .disk_bytes)"


def _could_be(node: Facts, config: Config) -> bool:
    """Whether it is large enough, and nobody would miss its GPUs."""
    try:
        return has_cards(node) is not True and not _short(node, config)
    except Missing:
        return False


def _judged(config: Config, ours: Mapping[str, Facts], beside: Sequence[str], label: str) -> Finding:
    """`beside`: control-plane nodes with the label; `label`: what to do for one more."""
    if not ours:
        seen = f"no worker has the label {config.system_nodes.label}"
        seen += f"; {listed(beside)} has it and is a control-plane node" if beside else ""
        return failed(seen, "none", label)
    small = {name: short for name, node in ours.items() if (short := _short(node, config))}
    large = [name for name in ours if name not in small]
    if not large:
        seen = "; ".join(f"{name} has {short}" for name, short in small.items())
        return failed(f"too small: {seen}", "too-small", label)
    if all(_keeps_off(ours[name], config) for name in large):
        return _tainted({name: ours[name] for name in large}, config)
    return _of_large({name: ours[name] for name in large}, label, config.system_nodes.label)


def _of_large(large: Mapping[str, Facts], label: str, key: str) -> Finding:
    if any(not node.known("allocatable") and not node.known("capacity") for node in large.values()):
        return unknown("what the nodes have is not known")
    names = listed(sorted(large))
    full = [name for name, node in large.items() if _is_full(node)]
    if len(full) == len(large):
        return warned(f"too little is free on {names}", "full", "Move other pods away from there, or add a node")
    if len(large) == 1:
        return warned(f"only {names}: nothing takes over when it fails", "one", label)
    open_ = [name for name, node in large.items() if not node.left_out("taints") and not _keeps_others_off(node)]
    if open_:
        remedy = f"kubectl taint node {' '.join(sorted(open_))} {key}:NoSchedule"
        return warned(f"no taint keeps others off {listed(sorted(open_))}", "no-taint", remedy)
    return passed(f"system nodes: {names}")


def _keeps_others_off(node: Facts) -> bool:
    """Whether pods that do not tolerate a taint of it are kept off; a wish is not enough. Raises: Missing."""
    return any(taint.text("effect") in ("NoSchedule", "NoExecute") for taint in node.items_or_none("taints"))


def _is_ours(node: Facts, config: Config) -> bool:
    """By the configured label, or one of ours or Run:ai's that says so in other words."""
    key, _, value = config.system_nodes.label.partition("=")
    for each in node.maybe_keys("labels"):
        has = str(node.need("labels", each) or "") if each == key or _is_of_ours(each) else ""
        if (each == key and value in ("", has)) or _says_so(each, has):
            return True
    return False


def _is_of_ours(key: str) -> bool:
    return any(owner in key for owner in _OWNERS)


def _says_so(key: str, value: str) -> bool:
    if not _is_of_ours(key) or value == "false":
        return False
    return key.rpartition("/")[2].endswith("system") or value == "system"


def _short(node: Facts, config: Config) -> str:
    """What it has too little of; empty where it is large enough."""
    wanted = config.system_nodes
    cpu, memory = _has(node, "cpu"), _has(node, "memory")
    said = []
    if cpu < wanted.cpu * _ENOUGH:
        said.append(f"{cpu:g} CPUs")
    if memory < wanted.memory_bytes * _ENOUGH:
        said.append(f"{memory / _GB:.1f} GB of memory")
    if said and not node.known("free_disk_bytes") and not _is_known(node, "ephemeral-storage"):
        return " and ".join(said)
    free = node.maybe_number("free_disk_bytes")
    disk = free if free is not None else _has(node, "ephemeral-storage")
    if disk < wanted.disk_bytes * _ENOUGH:
        said.append(f"{disk / _GB:.0f} GB of {'free ' if free is not None else ''}disk")
    return " and ".join(said)


def _has(node: Facts, resource: str) -> float:
    """What the machine has; where that is not known, what pods may have of it. Raises: Missing."""
    capacity = node.maybe_number("capacity", resource)
    return capacity if capacity is not None else node.number("allocatable", resource)


def _is_known(node: Facts, resource: str) -> bool:
    return node.known("capacity", resource) or node.known("allocatable", resource)


def _wanted(config: Config) -> str:
    wanted = config.system_nodes
    return f"{wanted.cpu:g} CPUs, {wanted.memory_bytes / _GB:g} GB of memory and {wanted.disk_bytes / _GB:g} GB of disk"


def _is_full(node: Facts) -> bool:
    """Whether less is free than the product asks for; where requests were not summed up, that is not judged."""
    requested = node.or_else({}, "requested")
    if not requested:
        return False
    for resource, wanted in (("cpu", REQUESTED_CPU), ("memory", REQUESTED_MEMORY_BYTES)):
        if node.number("allocatable", resource) - float(node.or_else(0, "requested", resource)) < wanted:
            return True
    return False


CHECKS: Final = (
    Check(
        code="system-nodes",
        title="Nodes of the product's own",
        row="system nodes",
        severity=Verdict.FAIL,
        needs=("nodes",),
        expected="in production at least one node with the label, 4 CPUs, 8 GB of memory and 50 GB of disk",
        rules="pass: two or more, or not production; warn: one, without a taint, or full; fail: none large enough, or none takes our pods",
        disables=("install", "high-availability"),
        causes=("none", "too-small", "one", "no-taint", "full", "tainted"),
        judge=system_nodes,
        by_api=ByApi.WHOLE,
    ),
)
