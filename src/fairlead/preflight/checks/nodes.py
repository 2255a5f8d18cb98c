"""The machines: their state, their kind, and which are the product's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from fairlead.preflight.check import (
    ByApi,
    Check,
    Finding,
    Roster,
    Verdict,
    Who,
    by_node,
    failed,
    listed,
    not_needed,
    passed,
    unknown,
    warned,
)
from fairlead.preflight.config import Config
from fairlead.preflight.facts import Facts
from fairlead.preflight.roster import (
    CONTROL_PLANE,
    is_control_plane,
    is_foreign,
    node_of,
    nodes_by_name,
    roster,
    why_left_out,
)


def node_health(facts: Facts, config: Config) -> Finding:
    """Nodes that are not Ready or cordoned are named here and left out of every other check. Windows nodes and virtual ones (Fargate,
    virtual-kubelet) are out of scope.

    - no-nodes: the cluster has none, or only such as take no work of ours.
    - not-ready, cordoned: `kubectl describe node` says why.
    - pressure: the node is short of disk, memory or processes.
    """
    nodes = nodes_by_name(facts)
    if not nodes:
        return failed("the cluster has no node", "no-nodes", "Add a Linux worker to the cluster")
    ours = {name: node for name, node in nodes.items() if not is_foreign(node)}
    usable = [name for name, node in ours.items() if _is_usable(node)]
    if not usable and all(node.known("ready") for node in ours.values()):
        seen = f"of {len(nodes)} nodes none is a Linux worker that is ready"
        return failed(seen, "no-nodes", "Add a Linux worker, or uncordon one: kubectl uncordon NODE")
    return by_node(Roster(tuple(sorted(ours))), lambda name: _health(ours[name]))


def _is_usable(node: Facts) -> bool:
    kept_free = any(taint.maybe_text("key") in CONTROL_PLANE for taint in node.maybe_items("taints"))
    return node.maybe_flag("ready") is True and not kept_free and not why_left_out(node)


def _health(node: Facts) -> Finding:
    node.flag("ready")
    node.or_else(False, "unschedulable")
    for taint in node.items_or_none("taints"):
        taint.text("key")
    if why := why_left_out(node):
        cause = "cordoned" if "cordoned" in why else "not-ready"
        remedy = f"kubectl {'uncordon' if cause == 'cordoned' else 'describe node'} {node.text('name')}"
        return warned(f"{why}: its other checks were not made", cause, remedy)
    if pressure := node.or_else([], "pressure"):
        return warned(f"{listed(map(str, pressure))}", "pressure", f"kubectl describe node {node.text('name')}")
    return passed("Ready")


def node_architecture(facts: Facts, config: Config) -> Finding:
    """An image that was made for another architecture is pulled without a word and ends at its start. The registry's index is read for
    each of our images, and the probe, which is one of them, has to have run.

    - arch-missing: the registry has no such image; mirrors often copy one architecture only.
    - exec-format: the index names the architecture, and what is behind it is made for another.
    """
    ended = (facts.get("probe_exit", node) for node in facts.maybe_keys("probe_exit"))
    is_told = not facts.known("registry", "image_platforms") and any(isinstance(each, str) for each in ended)
    if config.registry.local_images or is_told:
        ran = roster(facts, facts.maybe_keys("probe_exit"))
        return by_node(ran, lambda name: _architecture(name, {}, facts))
    images = facts.keys("registry", "image_platforms")
    if not images:
        return unknown("the registry's index was read for none of our images")
    read = {image: facts.texts("registry", "image_platforms", image) for image in images if _is_read(image, facts)}
    looked_at = roster(facts, facts.maybe_keys("probe_exit"))
    found = by_node(looked_at, lambda name: _architecture(name, read, facts))
    if found.verdict is Verdict.PASS:
        for image in images:
            facts.texts("registry", "image_platforms", image)
    return found


def _is_read(image: str, facts: Facts) -> bool:
    known = facts.known("registry", "image_platforms", image)
    return known and len(facts.maybe_texts("registry", "image_platforms", image)) == len(
        facts.need("registry", "image_platforms", image)
    )


def _architecture(name: str, platforms: dict[str, tuple[str, ...]], facts: Facts) -> Finding:
    node = node_of(facts, name)
    ended = facts.get("probe_exit", name)
    arch = node.maybe_text("arch")
    missing = [image for image, has in platforms.items() if arch and not any(_is_for(arch, each) for each in has)]
    if missing:
        seen = f"{arch}: the index of {listed(missing)} has only {listed(platforms[missing[0]])}"
        return failed(seen, "arch-missing", f"Copy all architectures to the registry, linux/{arch} too", Who.YOU)
    if isinstance(ended, int | float) and ended:
        return unknown(f"the probe ended with exit code {ended:g}, which tells nothing of the architecture")
    if isinstance(ended, str):
        index = (
            f"{arch or 'its architecture'} is in the index, and the probe"
            if platforms
            else f"{arch or name}: the probe"
        )
        seen = f"{index} did not start: {ended}"
        return failed(seen, "exec-format", "Copy the images again, each with all its architectures", Who.YOU)
    node.text("arch")
    facts.need("probe_exit", name)
    return passed(f"{arch}: in the index, and the probe ran" if platforms else f"{arch}: the probe ran")


def _is_for(arch: str, platform: str) -> bool:
    """Whether a platform such as linux/arm64/v8 is that architecture's, whatever variant of it."""
    return arch in platform.removeprefix("linux/").split("/")[:1]


def control_plane_nodes(facts: Facts, config: Config) -> Finding:
    """Control-plane nodes are known by label; what keeps work off them is a taint, which is a fact of its own. Managed clusters show no
    such nodes, and that is well.

    - untainted: work may run beside etcd and the API server.
    """
    if not config.production:
        return not_needed("production is off; control-plane nodes may be workers")
    nodes = nodes_by_name(facts)
    if not nodes:
        return unknown("the cluster has no node")
    ours = {name: node for name, node in nodes.items() if is_control_plane(node) or _is_kept(node, CONTROL_PLANE)}
    if not ours:
        for node in nodes.values():
            node.need("labels")
        return _managed(nodes, facts)
    return by_node(Roster(tuple(sorted(ours))), lambda name: _kept_free(ours[name]))


_OF_PROVIDERS: Final = ("-eks-", "-gke.")
"""In the versions of API servers that a provider runs."""


def _managed(nodes: Mapping[str, Facts], facts: Facts) -> Finding:
    version = facts.maybe_text("server", "git_version") or ""
    if any(each in version for each in _OF_PROVIDERS) or all(node.text("provider_id") for node in nodes.values()):
        return passed("no node has a control-plane role: the provider runs it, apart from the workers")
    return unknown(
        "no node has a control-plane role, and no provider is named that runs it",
        remedy=f"If nodes of the cluster run it: kubectl label node NAME {CONTROL_PLANE[0]}=. If machines without a kubelet do, "
        "accept it: accept: {control-plane-nodes: it runs apart}",
        who=Who.CLUSTER_ADMIN,
    )


def _is_kept(node: Facts, keys: Sequence[str]) -> bool:
    """Whether a taint with one of these keys keeps work off it."""
    return any(
        taint.maybe_text("key") in keys and taint.maybe_text("effect") in ("NoSchedule", "NoExecute")
        for taint in node.maybe_items("taints")
    )


_KEEPING: Final = (*CONTROL_PLANE, "CriticalAddonsOnly")
"""Keys of taints that keep work off: the last is what RKE2 and k3s are told to set."""


def _kept_free(node: Facts) -> Finding:
    node.or_else([], "taints")
    if _is_kept(node, _KEEPING):
        return passed("a control-plane node, kept free by its taint")
    name, role = node.text("name"), next(each for each in CONTROL_PLANE if each in node.keys("labels"))
    return warned(
        "a control-plane node on which any pod may run",
        "untainted",
        f"kubectl taint nodes {name} {role}:NoSchedule",
    )


_SKEW_PASS: Final = 2.0
_SKEW_WARN: Final = 60.0


def clock_skew(facts: Facts, config: Config) -> Finding:
    """The node's own time against ours, less half of the time the question took. How long ago a node last reported says nothing about its
    clock: every five minutes is usual.

    - skew: certificates, tokens and metrics of the node are wrong by that much; run a time service on it.
    """
    return by_node(roster(facts, facts.maybe_keys("clock")), lambda name: _skew(name, facts))


def _skew(name: str, facts: Facts) -> Finding:
    took = facts.maybe_number("clock", name, "round_trip_seconds") or 0.0
    skew = max(0.0, abs(facts.number("clock", name, "offset_seconds")) - took / 2)
    if skew < _SKEW_PASS:
        return passed(f"within {_SKEW_PASS:g} s")
    told, remedy = f"its clock is {skew:g} s off", f"Enable chrony or systemd-timesyncd on {name}"
    return warned(told, "skew", remedy) if skew < _SKEW_WARN else failed(told, "skew", remedy)


CHECKS: Final = (
    Check(
        code="node-health",
        title="State of the nodes",
        row="Kubernetes",
        severity=Verdict.FAIL,
        needs=("nodes",),
        expected="Linux workers that are Ready and not cordoned",
        rules="pass: all Ready; warn: some are cordoned, not Ready, or under pressure; fail: no usable Linux worker",
        disables=("submit",),
        causes=("no-nodes", "not-ready", "cordoned", "pressure"),
        judge=node_health,
        by_api=ByApi.WHOLE,
    ),
    Check(
        code="node-architecture",
        title="Our images fit the nodes",
        row="images",
        severity=Verdict.FAIL,
        needs=("nodes[].arch", "registry.image_platforms", "probe_exit"),
        expected="every image has the architecture of every node",
        rules="pass: in the index and the probe ran; fail: a node's architecture is missing, or the image is of another",
        disables=("install",),
        causes=("arch-missing", "exec-format"),
        judge=node_architecture,
    ),
    Check(
        code="control-plane-nodes",
        title="Control-plane nodes are kept apart",
        row="masters",
        severity=Verdict.WARN,
        needs=("server.git_version", "nodes[].labels", "nodes[].taints", "nodes[].provider_id"),
        expected="control-plane nodes that take no work, or a provider that runs them",
        rules="pass: separate, managed, or not production; warn: production, and work may run there",
        disables=("high-availability",),
        causes=("untainted",),
        judge=control_plane_nodes,
        by_api=ByApi.WHOLE,
    ),
    Check(
        code="clock-skew",
        title="Clocks of the nodes",
        row="Kubernetes",
        severity=Verdict.FAIL,
        needs=("clock",),
        expected="clocks within 2 s of ours",
        rules="pass: less than 2 s; warn: less than 60 s; fail: more",
        disables=("metrics", "sign-in", "accounts"),
        causes=("skew",),
        judge=clock_skew,
    ),
)
