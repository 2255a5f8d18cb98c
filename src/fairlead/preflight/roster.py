"""Which nodes checks look at: real Linux nodes that are ready and not cordoned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from fairlead.preflight.check import Roster
from fairlead.preflight.facts import Facts

VIRTUAL: Final = {
    "type": "virtual-kubelet",
    "kubernetes.io/role": "agent-virtual",
    "eks.amazonaws.com/compute-type": "fargate",
}
"""Labels of nodes that no kubelet of a real machine stands behind."""
CONTROL_PLANE: Final = (
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/master",
    "node-role.kubernetes.io/controlplane",
)
"""Labels and taints of control-plane nodes: the first from 1.20, the second until 1.23, the third of RKE."""
CORDON: Final = "node.kubernetes.io/unschedulable"


def roster(facts: Facts, *named_by: Iterable[str]) -> Roster:
    """The nodes to look at. `named_by`: nodes that a check's own facts name, looked at where the list of nodes is not known. Where nobody
    speaks of a list at all, those are all nodes.
    """
    if not facts.known("nodes"):
        names = {name for each in named_by for name in each}
        is_told = not facts.left_out("nodes") or bool(facts.reasons.of(("nodes",))) or not names
        return Roster(tuple(sorted(names)), doubt=facts.why("nodes") if is_told else "")
    nodes = nodes_by_name(facts)
    left_out = {name: why for name, node in nodes.items() if (why := why_left_out(node))}
    names = {*nodes, *(name for each in named_by for name in each)} - set(left_out)
    return Roster(tuple(sorted(names)), left_out=left_out)


def nodes_by_name(facts: Facts) -> Mapping[str, Facts]:
    """The nodes of the list. Raises: Missing."""
    return {node.text("name"): node for node in facts.items("nodes")}


def node_of(facts: Facts, name: str) -> Facts:
    """The facts of that node; all unknown where the list of nodes has it not."""
    return facts.nodes.get(name) or Facts({}, ("nodes", name), facts.reasons)


def why_left_out(node: Facts) -> str:
    """Why no check looks at the node; empty where they do."""
    if is_virtual(node):
        return "it is no real machine"
    if (system := system_of(node)) != "linux":
        return f"it runs {system}"
    if node.maybe_flag("ready") is False:
        since = node.maybe_text("not_ready_since")
        return "it is NotReady" + (f" since {since}" if since else "")
    return "it is cordoned" if is_cordoned(node) else ""


def system_of(node: Facts) -> str:
    """Its operating system; linux where nothing tells."""
    return node.maybe_text("os") or node.maybe_text("labels", "kubernetes.io/os") or "linux"


def is_virtual(node: Facts) -> bool:
    """Whether no kubelet of a real machine stands behind it."""
    if (told := node.maybe_flag("virtual")) is not None:
        return told
    return any(node.maybe_text("labels", key) == value for key, value in VIRTUAL.items())


def is_foreign(node: Facts) -> bool:
    """Whether it is out of scope: no real machine, or not of Linux. Raises: Missing."""
    node.or_else("linux", "os")
    return is_virtual(node) or system_of(node) != "linux"


def is_control_plane(node: Facts) -> bool:
    """Whether a label says that it runs the API server."""
    return any(label in CONTROL_PLANE for label in node.maybe_keys("labels"))


def is_cordoned(node: Facts) -> bool:
    """Whether pods are kept off it by hand."""
    tainted = any(taint.maybe_text("key") == CORDON for taint in node.maybe_items("taints"))
    return node.maybe_flag("unschedulable") is True or tainted


def taints_of(node: Facts, *beside: str) -> tuple[str, ...]:
    """Its taints that keep pods off, as KEY=VALUE:EFFECT, without those named."""
    return tuple(
        f"{taint.maybe_text('key')}{'=' + value if (value := taint.maybe_text('value')) else ''}:{taint.maybe_text('effect')}"
        for taint in node.maybe_items("taints")
        if taint.maybe_text("effect") in ("NoSchedule", "NoExecute") and taint.maybe_text("key") not in beside
    )
