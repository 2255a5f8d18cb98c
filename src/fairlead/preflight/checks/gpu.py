"""GPUs, node by node: the operator, or driver and container stack by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil
from typing import Final

from fairlead.objects.fields import GPU_RESOURCE, MIG_PREFIX
from fairlead.preflight.check import (
    ByApi,
    Check,
    Finding,
    Verdict,
    Who,
    failed,
    listed,
    passed,
    told,
    unknown,
    warned,
    worst,
)
from fairlead.preflight.checks.gpu_links import (
    Link,
    by_gpu_node,
    gpu_roster,
    has_cards,
    is_labelled,
    of_links,
    offered,
    registered,
)
from fairlead.preflight.config import Config
from fairlead.preflight.facts import Facts
from fairlead.preflight.roster import node_of, roster
from fairlead.preflight.versions import version_of

_TYPE_LABELS: Final = ("nvidia.com/gpu.product", "nvidia.com/gpu.memory")
_BAD_OPERATORS: Final = ((1, 10), (1, 11))
"""Versions of the GPU operator that take GPUs away from pods that run."""


def gpu_nodes(facts: Facts, config: Config) -> Finding:
    """What makes a GPU node is the card on the PCI bus and what the node offers to pods. Labels are a convenience on top: without those of
    feature discovery work runs, but cannot ask for a kind of GPU or for an amount of its memory.

    - none: no node has a GPU; where an autoscaler starts with zero they may come later.
    - not-offered: a card that pods cannot have. Where the kubelet knows it, it is unhealthy, or its device plug-in is gone; else
      gpu-driver, gpu-container-stack and gpu-operator say at which step it ends.
    - labels: labels of GPU feature discovery are missing; restart its pods, or install it.
    - no-card: labels speak of a GPU that is not on the bus.
    - counts: more cards than are offered, or the reverse.
    """
    found = _with_gpus(facts, config)
    for name in roster(facts).names if found.verdict is Verdict.PASS else ():
        node_of(facts, name).need("labels")
    return found


def _with_gpus(facts: Facts, config: Config) -> Finding:
    nodes = roster(facts)
    lying = {name: _lies(node) for name in nodes.names if _is_labelled_only(node := node_of(facts, name))}
    has_none = not gpu_roster(facts).names and not nodes.doubt
    if has_none and (not lying or (config.production and not any(registered(node_of(facts, name)) for name in lying))):
        seen = "no node has a GPU" + (f"; {told(lying, len(lying) + 1)}" if lying else "")
        return failed(seen, "none", _ADD) if config.production else warned(f"{seen}; they may come later", "none", _ADD)
    found = by_gpu_node(facts, _gpu_node)
    return _with(found, lying) if lying else found


def _with(found: Finding, lying: Mapping[str, Finding]) -> Finding:
    """Together with what is told of nodes that have labels and no GPU: the gravest first."""
    gravest, whole = worst(lying.values()), {**found.nodes, **lying}
    seen = told(lying, len(whole) + 1)
    if worst((found, gravest)) is gravest or found.verdict is Verdict.PASS:
        return replace(gravest, seen=seen, nodes=whole)
    return replace(found, seen=f"{found.seen}; {seen}", nodes=whole)


_NEXT: Final = "See gpu-driver, gpu-container-stack and gpu-operator: one of them says at which step it ends"
_ADD: Final = "Add a node with an NVIDIA GPU to the cluster"


def _is_labelled_only(node: Facts) -> bool:
    return has_cards(node) is False and is_labelled(node)


def _lies(node: Facts) -> Finding:
    if had := registered(node):
        return _to_be_had_no_more(node, had)
    return warned(
        "labelled as a GPU node, and no GPU is on its bus", "no-card", "Restart the pods of node feature discovery"
    )


def _gpu_node(node: Facts) -> Finding:
    node.need("allocatable")
    if (have := offered(node)) is None:
        return unknown("what it offers is not known")
    if not have:
        if sick := registered(node):
            return _to_be_had_no_more(node, sick)
        return _none_offered(node)
    missing = [label for label in _TYPE_LABELS if label not in node.keys("labels")]
    for label in set(_TYPE_LABELS) - set(missing):
        node.need("labels", label)
    cards, whole = _cards(node), float(node.or_else(0, "allocatable", GPU_RESOURCE))
    split = _is_split(node)
    if missing:
        ran = " and a test pod ran" if node.maybe_flag("gpu_pod", "ran") else ""
        seen = f"offers {have:g} GPUs{ran}, but has no label {' and '.join(missing)}: work cannot ask for a kind of GPU or its memory"
        return warned(seen, "labels", "Install GPU feature discovery, or restart its pods")
    if cards is not None and cards != whole and not split:
        counted = "GPUs on the bus" if node.known("pci_nvidia") else "GPUs by the driver"
        seen = f"{cards:g} {counted}, {whole:g} offered"
        return warned(seen, "counts", f"kubectl describe node {node.text('name')}")
    return passed(f"{have:g} offered")


def _cards(node: Facts) -> float | None:
    """How many cards it has. None: nobody counted them, and a pod used one. Raises: Missing."""
    for key in ("pci_nvidia", "nvml_devices"):
        if (told := node.maybe_number(key)) is not None:
            return told
    return None if node.maybe_number("gpu_pod", "cuda_init") == 0 else node.number("pci_nvidia")


def _none_offered(node: Facts) -> Finding:
    """A card that nobody can have is a fault; labels are only a hint that there is one."""
    cards = node.maybe_number("pci_nvidia") or node.maybe_number("nvml_devices")
    if cards is None and not node.maybe_flag("gpu_pod", "ran"):
        return unknown(
            f"labelled as a GPU node, and none is offered; whether one is on its bus: {node.why('pci_nvidia')}"
        )
    return failed(
        f"{f'{cards:g} GPUs on the PCI bus' if cards else 'a GPU'}, none is offered to pods", "not-offered", _NEXT
    )


def _is_split(node: Facts) -> bool:
    """Whether what is offered are parts of cards: instances of MIG, under names of their own or as GPUs, or turns."""
    if any(key.startswith((MIG_PREFIX, f"{GPU_RESOURCE}.")) for key in node.keys("allocatable")):
        return True
    product = node.maybe_text("labels", "nvidia.com/gpu.product") or ""
    return "-MIG-" in product or node.maybe_text("labels", "nvidia.com/gpu.sharing-strategy") in _IN_TURNS


_IN_TURNS: Final = ("time-slicing", "mps")
"""What GPU feature discovery calls it where several pods take turns on a card."""


def _to_be_had_no_more(node: Facts, known: float) -> Finding:
    told = f"{known:g} GPUs, none of them to be had: they are unhealthy, or their device plug-in is gone"
    return failed(told, "not-offered", f"dmesg on {node.text('name')} and the log of its device plug-in say why")


_POLICIES: Final = "clusterpolicies.nvidia.com"


def gpu_operator(facts: Facts, config: Config) -> Finding:
    """The operator is one way to drivers and container stack; by hand is the other. What counts is whether its pods are on every GPU node:
    `desired = ready` also holds where a node is left out.

    - operand-missing: its pods are missing on a GPU node.
    - taint: they do not tolerate a taint of that node.
    - not-ready: it says of itself that it is not ready, though GPUs can be used.
    - bad-version, unknown-version: versions 1.10 and 1.11 take GPUs from pods that run; use another.
    - two-plugins: a second device plug-in offers the same GPUs.
    """
    state = facts.maybe_text("gpu_operator", "cluster_policy_state")
    there = facts.maybe_flag("gpu_operator", "installed")
    is_unserved = facts.known("crds") and _POLICIES not in facts.maybe_texts("crds")
    if there is False or state == "not_found" or (there is None and state is None and is_unserved):
        return _by_hand(facts, config)
    if there is None and state is None:
        facts.text("gpu_operator", "version")
    found = by_gpu_node(facts, lambda node: _operands(node, of_links(node, facts, (Link.PLUGIN,))))
    return found if found.verdict is not Verdict.PASS else _operator(facts, found)


def _operands(node: Facts, plugin: Finding) -> Finding:
    """Of a node: its plug-in, then the operator's other pods there."""
    states = {each: node.maybe_text("operands", each) for each in node.maybe_keys("operands")}
    down = [f"{each}: {state}" for each, state in states.items() if state is not None and state.lower() not in _WELL]
    if plugin.verdict is not Verdict.PASS or not down:
        return plugin
    remedy = f"kubectl get pods --all-namespaces --field-selector spec.nodeName={node.text('name')}, and look at the log of those"
    return failed(f"pods of the operator do not run: {listed(down)}", "operand-missing", remedy)


_WELL: Final = ("running", "succeeded", "completed")


def _by_hand(facts: Facts, config: Config) -> Finding:
    """Without an operator, driver and container stack decide."""
    beside = worst((gpu_driver(facts, config), gpu_container_stack(facts, config)))
    if beside.verdict in (Verdict.PASS, Verdict.WARN):
        return passed("there is no GPU operator; driver and container stack are there without it")
    return unknown("there is no GPU operator; gpu-driver and gpu-container-stack say what is missing")


def _operator(facts: Facts, found: Finding) -> Finding:
    """The operator itself, where its pods are on every GPU node."""
    text = facts.text("gpu_operator", "version")
    version, state = version_of(text), facts.text("gpu_operator", "cluster_policy_state")
    if version is None:
        return _but(
            found,
            warned(f"version {text!r} of the GPU operator is not known", "unknown-version", "See its release notes"),
        )
    if version[:2] in _BAD_OPERATORS:
        return _but(found, _bad(text, facts))
    if bool(facts.or_else(False, "gpu_operator", "second_plugin")):
        seen = "a second device plug-in runs beside the GPU operator's"
        return _but(found, warned(seen, "two-plugins", "Remove one of the two device plug-ins"))
    if state != "ready":
        seen = f"the GPU operator says {state}, though all GPU nodes offer GPUs"
        return _but(found, warned(seen, "not-ready", "kubectl get clusterpolicies.nvidia.com -o yaml"))
    return replace(found, seen=f"GPU operator {text} is on every GPU node")


def _bad(version: str, facts: Facts) -> Finding:
    remedy = "Change the GPU operator to a version older than 1.10 or newer than 1.11"
    seen = f"version {version} of the GPU operator takes GPUs from pods that run"
    proven = all(node_of(facts, name).maybe_number("gpu_pod", "cuda_init") == 0 for name in gpu_roster(facts).names)
    return warned(f"{seen}; test pods worked", "bad-version", remedy) if proven else failed(seen, "bad-version", remedy)


def _but(found: Finding, worse: Finding) -> Finding:
    return replace(worse, nodes=found.nodes)


def gpu_driver(facts: Facts, config: Config) -> Finding:
    """The kernel module, the library beside it, and the proof: cuInit gives 0 in a pod.

    - no-driver: install one, by hand or by the operator. That the operator is told not to does not mean that one is there.
    - library-mismatch: an update changed the library under the loaded module; reboot, and hold the package.
    - driver-broken, cuda: the driver answers with an error; `dmesg` has an Xid line.
    - fabric-manager: nvidia-smi is fine, but GPUs behind an NVSwitch wait for the Fabric Manager.
    - reload-hazard: pods lose their GPUs at `systemctl daemon-reload`; use CDI, or make links in /dev/char.
    """
    return by_gpu_node(facts, lambda node: _driver(node, facts))


def _driver(node: Facts, facts: Facts) -> Finding:
    found = of_links(node, facts, (Link.DRIVER, Link.LIBRARY, Link.CUDA))
    if found.verdict is Verdict.PASS and bool(node.or_else(False, "reload_hazard")):
        remedy = f"On {node.text('name')}: nvidia-ctk system create-dev-char-symlinks --create-all"
        return warned("pods lose their GPUs at `systemctl daemon-reload`", "reload-hazard", remedy)
    return found


def gpu_container_stack(facts: Facts, config: Config) -> Finding:
    """A pod that asks for one GPU has to see one. A RuntimeClass is only a name: the node's runtime has to know its handler, or a hook has
    to do the work (CRI-O).

    - no-handler: the runtime does not know NVIDIA's; configure the container toolkit and restart the runtime. k3s and RKE2 have files of
      their own.
    - no-library: the toolkit does not find the driver's library, as on hosts where it is in an unusual place.
    - not-started: the test pod did not start for another reason, which is quoted. Where it got no image, or a webhook did not answer,
      nothing is known of the GPU: see the check that is named.
    - isolation: the pod saw more than it asked for.
    - runtime-class: it works only with `runtimeClassName`; the chart sets it.
    """
    return by_gpu_node(facts, lambda node: _stack(node, facts))


def _stack(node: Facts, facts: Facts) -> Finding:
    found = of_links(node, facts, (Link.HANDLER, Link.STARTED, Link.COUNT))
    if found.verdict is not Verdict.PASS:
        return found
    if code := node.number("gpu_pod", "cuda_init"):
        return unknown(f"waits for {Link.CUDA}: cuInit gives {code:g}")
    if needed := node.or_else(None, "gpu_pod", "runtime_class"):
        return warned(
            f"works only with runtimeClassName {needed}",
            "runtime-class",
            "Nothing has to be done: the chart sets it",
            Who.US,
        )
    return found


def gpu_sharing(facts: Facts, config: Config) -> Finding:
    """Quota counts cards. What a node offers must be its cards: parts of cards are given by Fairlead, not by replicas of the device
    plug-in.

    - replicas: time slicing or MPS of the plug-in offers a card several times.
    - mig-ghosts: cards in MIG mode are offered whole beside their slices; a pod placed there gets nothing.
    - mig-single: every slice counts as one GPU.
    - fewer: fewer are offered than there are; some may be unhealthy.
    """
    return by_gpu_node(facts, _behind_driver)


def _behind_driver(node: Facts) -> Finding:
    """What is shared, where the driver counts cards."""
    found = _sharing(node)
    if found.verdict in (Verdict.FAIL, Verdict.WARN) and node.maybe_number("nvml_devices") == 0:
        return unknown("the driver counts no GPU: see gpu-driver")
    return found


def _sharing(node: Facts) -> Finding:
    node.need("allocatable")
    name, whole = node.text("name"), float(node.or_else(0, "allocatable", GPU_RESOURCE))
    shared = _sum(node, lambda key: key.startswith(f"{GPU_RESOURCE}.") or key.endswith(".shared"))
    slices = _sum(node, lambda key: key.startswith(MIG_PREFIX) and not key.endswith(".shared"))
    cards = node.maybe_number("pci_nvidia") or node.maybe_number("nvml_devices")
    if shared:
        return _replicas(name, f"{shared:g} replicas" + (f" of {cards:g} cards" if cards else ""))
    if node.maybe_text("labels", "nvidia.com/mig.strategy") == "single" and not slices:
        return _single(node, whole)
    if cards and whole > cards:
        return _replicas(name, f"{whole:g} from {cards:g} cards")
    if not cards and (times := _times_by_labels(node, whole)):
        return _replicas(name, f"{whole:g}, and labels say that each card comes {times} times")
    return _counted(node, whole, slices)


def _sum(node: Facts, is_meant: Callable[[str], bool]) -> float:
    return sum(node.number("allocatable", key) for key in node.keys("allocatable") if is_meant(key))


def _times_by_labels(node: Facts, whole: float) -> int:
    """How often a card is offered, as feature discovery says where it names the way of sharing and what is offered agrees; 0 else.

    Its label of replicas alone proves nothing: it is also found where nothing is shared.
    """
    told = {key: node.maybe_text("labels", f"nvidia.com/gpu.{key}") or "" for key in ("sharing-strategy", "product")}
    is_shared = told["sharing-strategy"] in ("time-slicing", "mps") or told["product"].endswith("-SHARED")
    replicas = node.maybe_text("labels", "nvidia.com/gpu.replicas") or ""
    times = int(replicas) if replicas.isdigit() else 0
    return times if is_shared and times > 1 and whole and not whole % times else 0


def _single(node: Facts, whole: float) -> Finding:
    """Slices that go by the name of whole GPUs, where cards are in MIG mode."""
    devices = _counted_cards(node)
    if node.or_else(devices, "mig_enabled_devices"):
        seen = f"{devices:g} cards in MIG mode offer {whole:g} slices; each counts as a GPU"
        return warned(seen, "mig-single", _KNOW, Who.US)
    return _counted(node, whole, 0)


def _counted(node: Facts, whole: float, slices: float) -> Finding:
    """What is offered against what the driver counts."""
    name, devices = node.text("name"), _counted_cards(node)
    if whole > devices or slices > devices * _MOST_SLICES:
        return _replicas(name, f"{max(whole, slices):g} from {devices:g} cards")
    told = node.maybe_number("mig_enabled_devices")
    most, parts = devices if told is None else told, _sevenths(node)
    if parts > most * _MOST_SLICES:
        least = "at most " if told is None else ""
        seen = f"{least}{most:g} of {devices:g} cards are in MIG mode, and slices of {parts:g} sevenths are offered"
        remedy = f"Restart the device plug-in on {name}, or reset its extended resources {MIG_PREFIX}*"
        return failed(seen, "mig-ghosts", remedy)
    in_mig = ceil(slices / _MOST_SLICES) if told is None else told
    if whole > devices - in_mig:
        least = "at least " if told is None else ""
        seen = f"{least}{in_mig:g} of {devices:g} cards are in MIG mode, and {whole:g} whole GPUs are offered beside {slices:g} slices"
        return failed(
            seen, "mig-ghosts", f"Restart the device plug-in on {name}, or reset its extended resource {GPU_RESOURCE}"
        )
    node.need("nvml_devices")  # what the bus has the driver may not use
    if told is None and slices:
        return passed(f"{slices:g} slices") if not whole else unknown(_NO_MODE)
    if whole < devices - in_mig:
        return warned(f"{whole:g} of {devices:g} cards are offered", "fewer", f"kubectl describe node {name}")
    return passed(f"{whole:g} whole GPUs" + (f" and {slices:g} slices" if slices else ""))


def _counted_cards(node: Facts) -> float:
    """As the driver counts them, else as many as there are on the bus. Raises: Missing."""
    if (told := node.maybe_number("nvml_devices")) is not None:
        return told
    return node.maybe_number("pci_nvidia") or node.number("nvml_devices")


def _sevenths(node: Facts) -> float:
    """How many sevenths of cards its slices take, by their names (`mig-3g.20gb` takes three)."""
    sizes = {
        key: re.match(rf"{MIG_PREFIX}(\d+)g\.", key) for key in node.keys("allocatable") if not key.endswith(".shared")
    }
    return sum(int(size[1]) * node.number("allocatable", key) for key, size in sizes.items() if size)


_MOST_SLICES: Final = 7
"""Into so many a card can be split."""
_NO_MODE: Final = "how many of its cards are in MIG mode is not known, so whole GPUs beside slices may be ghosts"
_KNOW: Final = "Nothing has to be done: know that quota counts slices there"


def _replicas(name: str, seen: str) -> Finding:
    remedy = f"Set sharing.timeSlicing replicas to 1 on {name}, or remove sharing.mps: fractions are given by Fairlead"
    return failed(f"the device plug-in offers {seen}", "replicas", remedy)


def _check(code: str, title: str, **more: object) -> Check:
    return Check(code=code, title=title, row="NVIDIA", **more)  # type: ignore[arg-type]  # all are named below


_LINKS: Final = ("nodes", "gpu_operator", "runtime_classes", "images_missing_on")

CHECKS: Final = (
    _check(
        "gpu-nodes",
        "Nodes with GPUs",
        severity=Verdict.FAIL,
        needs=("nodes[].pci_nvidia", "nodes[].labels", "nodes[].allocatable", "nodes[].gpu_pod"),
        expected="at least one node that offers its GPUs, labelled with their kind",
        rules="pass: usable and labelled; warn: labels or counts disagree; fail: a card that is not offered, or none in production",
        disables=("gpu", "fractions", "gpu-types", "gang"),
        causes=("none", "not-offered", "labels", "no-card", "counts"),
        judge=gpu_nodes,
        by_api=ByApi.FAULTS,
    ),
    _check(
        "gpu-operator",
        "GPU operator",
        severity=Verdict.FAIL,
        needs=(*_LINKS, "crds"),
        expected="the operator's pods on every GPU node, or driver and container stack by hand",
        rules="pass: on all GPU nodes, or not used and the next two pass; warn: unknown version, second plug-in; fail: missing on a node",
        disables=("gpu", "fractions"),
        causes=("operand-missing", "taint", "not-ready", "bad-version", "unknown-version", "two-plugins"),
        judge=gpu_operator,
        by_api=ByApi.FAULTS,
    ),
    _check(
        "gpu-driver",
        "NVIDIA driver",
        severity=Verdict.FAIL,
        needs=_LINKS,
        expected="a driver whose library fits, and cuInit 0 in a pod",
        rules="pass: cuInit gives 0; warn: GPUs are lost at a reload of systemd; fail: anything else",
        disables=("gpu", "fractions"),
        causes=("no-driver", "library-mismatch", "driver-broken", "cuda", "fabric-manager", "reload-hazard"),
        judge=gpu_driver,
        by_api=ByApi.FAULTS,
    ),
    _check(
        "gpu-container-stack",
        "NVIDIA container stack",
        severity=Verdict.FAIL,
        needs=_LINKS,
        expected="a pod that asks for one GPU sees one",
        rules="pass: it saw what it asked for; warn: only with runtimeClassName; fail: no runtime, no library, or it saw more",
        disables=("gpu", "fractions"),
        causes=("no-handler", "no-library", "not-started", "isolation", "runtime-class"),
        judge=gpu_container_stack,
        by_api=ByApi.FAULTS,
    ),
    _check(
        "gpu-sharing",
        "GPUs are offered once",
        severity=Verdict.FAIL,
        needs=(
            "nodes[].allocatable",
            "nodes[].nvml_devices",
            "nodes[].mig_enabled_devices",
            "nodes[].pci_nvidia",
            "nodes[].labels",
        ),
        expected="a node offers as many GPUs as it has",
        rules="pass: as many as cards; warn: MIG single, or fewer; fail: replicas of the plug-in, or ghosts beside MIG slices",
        disables=("quota-truth", "fractions"),
        causes=("replicas", "mig-ghosts", "mig-single", "fewer"),
        judge=gpu_sharing,
        by_api=ByApi.FAULTS,
    ),
)
