"""The chain from a card to a pod that uses it. The first link that does not hold is the cause; those after it say nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fairlead.objects.fields import GPU_RESOURCE, MIG_PREFIX
from fairlead.preflight.check import Finding, Roster, Verdict, by_node, failed, not_needed, passed, unknown
from fairlead.preflight.facts import Facts, Missing
from fairlead.preflight.roster import node_of, roster, taints_of

_CARD_LABELS: Final = ("pci-10de.present", "pci-0300_10de.present", "pci-0302_10de.present")
_OTHER_LABELS: Final = (
    "nvidia.com/gpu.present",
    "nvidia.com/gpu.product",
    "nvidia.com/gpu.count",
    "cloud.google.com/gke-accelerator",
    "k8s.amazonaws.com/accelerator",
    "accelerator",
)
_NO_HANDLER: Final = ("no runtime for", "runtimehandler", "unknown runtime handler", "could not select device driver")
_NOT_LOADED: Final = "driver not loaded"
_NO_LIBRARY: Final = ("libnvidia-ml", "nvml", "libcuda", "nvidia-container-cli")
_SMI_MISMATCH: Final = 18
"""nvidia-smi gives the code of NVML: library and kernel module are of different versions."""
_CUDA_NO_DEVICE: Final = 100
CUDA_FABRIC: Final = 802
_CUDA_MISMATCH: Final = 803


class Link(StrEnum):
    """One link, in order."""

    CARD = "the card"
    DRIVER = "the driver"
    LIBRARY = "the driver's library"
    HANDLER = "the container stack"
    PLUGIN = "the device plug-in"
    OFFERED = "the node's offer"
    STARTED = "the test pod"
    CUDA = "CUDA"
    COUNT = "the number of devices"


@dataclass(frozen=True)
class State:
    """How a link stands. `finding`: a pass where it holds, a failure where it does not, unknown else."""

    link: Link
    finding: Finding


def has_cards(node: Facts) -> bool | None:
    """Whether it has GPUs; None where nothing tells."""
    cards = node.maybe_number("pci_nvidia")
    if (
        cards
        or offered(node)
        or node.maybe_number("nvml_devices")
        or node.maybe_flag("gpu_pod", "ran")
        or node.maybe_number("gpu_pod", "cuda_init") is not None
        or node.maybe_text("driver")
        or node.maybe_number("nvidia_smi_exit") is not None
        or node.maybe_text("gpu_pod_event")
        or is_labelled(node)
    ):
        return cards != 0 or bool(offered(node))
    return False if cards == 0 else None


def is_labelled(node: Facts) -> bool:
    """Whether labels say that there is a GPU."""
    return any(
        key.endswith(_CARD_LABELS)
        or (key in _OTHER_LABELS and "nvidia" in (key + (node.maybe_text("labels", key) or "")).lower())
        for key in node.maybe_keys("labels")
    )


def offered(node: Facts) -> float | None:
    """GPUs and MIG slices that pods may have there; None where it is not known."""
    if not node.known("allocatable"):
        return None
    names = [key for key in node.maybe_keys("allocatable") if key.startswith((GPU_RESOURCE, MIG_PREFIX))]
    if not all(node.known("allocatable", key) for key in names):
        return None
    return sum(node.number("allocatable", key) for key in names)


def registered(node: Facts) -> float:
    """GPUs and MIG slices that a device plug-in told the kubelet of, healthy or not; 0 where it is not known."""
    names = [key for key in node.maybe_keys("capacity") if key.startswith((GPU_RESOURCE, MIG_PREFIX))]
    return sum(node.maybe_number("capacity", key) or 0.0 for key in names)


def gpu_roster(facts: Facts) -> Roster:
    """Nodes with GPUs, and those of which it is not known."""
    everybody = roster(facts)
    names = tuple(name for name in everybody.names if has_cards(node_of(facts, name)) is not False)
    return Roster(names, everybody.doubt, everybody.left_out)


def by_gpu_node(facts: Facts, judge: Callable[[Facts], Finding]) -> Finding:
    """One finding out of one per node with GPUs."""
    nodes = gpu_roster(facts)
    if not roster(facts).names and not nodes.doubt:
        return unknown("there is no node to look at")
    if not nodes.names and not nodes.doubt:
        return not_needed("no node has a GPU")

    def of(name: str) -> Finding:
        node = node_of(facts, name)
        if has_cards(node) is None:
            raise Missing(f"whether it has GPUs is not known: {node.why('pci_nvidia')}")
        return judge(node)

    return by_node(nodes, of)


def of_links(node: Facts, facts: Facts, own: tuple[Link, ...]) -> Finding:
    """What these links of a node say together, after those before them."""
    states = chain(node, facts)
    order = [state.link for state in states]
    broken = next((state for state in states if state.finding.verdict is Verdict.FAIL), None)
    if broken is not None and broken.link in own:
        return broken.finding
    if broken is not None and any(order.index(link) > order.index(broken.link) for link in own):
        return unknown(f"waits for {broken.link}: {broken.finding.seen}")
    mine = [state for state in states if state.link in own]
    open_ = next((state for state in mine if state.finding.verdict is Verdict.UNKNOWN), None)
    return open_.finding if open_ else mine[-1].finding


def chain(node: Facts, facts: Facts) -> tuple[State, ...]:
    """All links of a node, in order."""
    judges: tuple[tuple[Link, Callable[[], Finding]], ...] = (
        (Link.CARD, lambda: passed("it has GPUs") if has_cards(node) else unknown("no GPU was seen")),
        (Link.DRIVER, lambda: _driver(node, facts)),
        (Link.LIBRARY, lambda: _library(node)),
        (Link.HANDLER, lambda: _handler(node, facts)),
        (Link.PLUGIN, lambda: _plugin(node, facts)),
        (Link.OFFERED, lambda: _offered(node)),
        (Link.STARTED, lambda: _started(node, facts)),
        (Link.CUDA, lambda: _cuda(node)),
        (Link.COUNT, lambda: _count(node)),
    )
    return tuple(State(link, _tried(judge)) for link, judge in judges)


def _tried(judge: Callable[[], Finding]) -> Finding:
    try:
        return judge()
    except Missing as missing:
        return unknown(missing.why)


def _used(node: Facts) -> bool:
    """Whether a pod has used a GPU there: the proof of all links below CUDA."""
    return node.maybe_number("gpu_pod", "cuda_init") == 0


def _has_answered(node: Facts) -> bool:
    """Whether the kernel's module has answered a pod there, be it with a no."""
    return node.maybe_number("gpu_pod", "cuda_init") in (0, CUDA_FABRIC, _CUDA_MISMATCH)


def _driver(node: Facts, facts: Facts) -> Finding:
    driver = node.get("driver")
    said = _NOT_LOADED in (node.maybe_text("gpu_pod_event") or "").lower()
    if (said or (driver is None and node.known("driver"))) and not (_has_answered(node) or isinstance(driver, str)):
        return _no_driver(node, facts)
    if isinstance(driver, str):
        return passed(f"driver {driver}")
    if _has_answered(node) or node.maybe_number("nvidia_smi_exit") == 0:
        return passed("a driver is loaded")
    return unknown(node.why("driver"))


def _no_driver(node: Facts, facts: Facts) -> Finding:
    name, cards = node.text("name"), node.maybe_number("pci_nvidia")
    seen = f"{f'{cards:g} GPUs' if cards else 'GPUs'} and no driver in the kernel"
    handed_over = any("no-default-nvidia-gpu-device-plugin" in key for key in node.maybe_keys("labels"))
    if facts.maybe_flag("gpu_operator", "driver_enabled") is False:
        seen += "; the GPU operator is told not to install one (driver.enabled=false)"
    if handed_over:
        seen += "; the node's label removed the provider's installer too"
        return failed(seen, "no-driver", f"Apply the provider's driver installer to the pool of {name}")
    if facts.maybe_flag("gpu_operator", "driver_enabled") is False:
        return failed(
            seen, "no-driver", f"Install the driver on {name}, or set driver.enabled=true for the GPU operator"
        )
    if _has_operator(facts) and (taints := _not_tolerated(node, facts)):
        kept = f"{seen}; the GPU operator's pods do not tolerate the taint {', '.join(taints)}"
        return failed(kept, "no-driver", f"Set daemonsets.tolerations of the GPU operator for {', '.join(taints)}")
    return failed(seen, "no-driver", f"Install the NVIDIA driver on {name}, by hand or with the GPU operator")


def _library(node: Facts) -> Finding:
    module, library = node.maybe_text("driver"), node.maybe_text("driver_library")
    code = node.maybe_number("nvidia_smi_exit")
    differ = module is not None and library is not None and module != library
    is_told = "version mismatch" in (node.maybe_text("gpu_pod_event") or "").lower()
    if differ or is_told or code == _SMI_MISMATCH or node.maybe_number("gpu_pod", "cuda_init") == _CUDA_MISMATCH:
        versions = f"kernel module {module or 'loaded'}, library {library or 'of another version'}"
        return failed(versions, "library-mismatch", f"Reboot {node.text('name')}, and hold the driver's package")
    if code:
        return failed(
            f"nvidia-smi ends with {code:g}",
            "driver-broken",
            f"nvidia-smi and dmesg on {node.text('name')} say what is wrong",
        )
    if code == 0 or _used(node) or (module and library):
        return passed("module and library are of one version")
    return unknown(node.why("driver_library"))


def _handler(node: Facts, facts: Facts) -> Finding:
    event, runtime = (node.maybe_text("gpu_pod_event") or ""), node.maybe_text("runtime") or "the runtime"
    name = node.text("name")
    if _saw_nothing(node):
        seen = f"no GPU reached the test pod (cuInit gives {_CUDA_NO_DEVICE}): NVIDIA's is not the default of {runtime}"
        return failed(seen, "no-handler", _configure(runtime, name))
    if node.maybe_flag("gpu_pod", "ran"):
        return passed(_by_which(node))
    if any(words in event.lower() for words in _NO_HANDLER) or _knows_no_handler(node):
        only = any("nvidia" in (each.maybe_text("handler") or "") for each in facts.maybe_items("runtime_classes"))
        seen = f"{runtime} has no runtime for NVIDIA" + ("; the RuntimeClass is only a name" if only else "")
        return failed(f"{seen}{_quoted(event)}", "no-handler", _configure(runtime, name))
    if any(words in event.lower() for words in _NO_LIBRARY):
        return failed(
            f"the container did not find NVIDIA's library{_quoted(event)}", "no-library", _configure(runtime, name)
        )
    if any("nvidia" in each for each in (*node.maybe_texts("runtime_handlers"), *node.maybe_texts("oci_hooks"))):
        return passed(_by_which(node))
    return unknown(_no_image(node, facts) or node.why("gpu_pod") or node.why("runtime_handlers"))


def _saw_nothing(node: Facts) -> bool:
    """Whether a pod asked for a GPU, ran, and was given none by a runtime that knows no way of NVIDIA's."""
    told = (*node.maybe_texts("runtime_handlers"), *node.maybe_texts("oci_hooks"))
    is_looked_at = node.known("runtime_handlers") or node.known("oci_hooks")
    saw = (node.maybe_number("gpu_pod", "cuda_init"), node.maybe_number("gpu_pod", "devices_seen"))
    return saw == (_CUDA_NO_DEVICE, 0) and is_looked_at and not any("nvidia" in each for each in told)


def _knows_no_handler(node: Facts) -> bool:
    """Its handlers are known, none is NVIDIA's, no hook does the same, and it offers no GPU."""
    known = node.known("runtime_handlers") and not offered(node)
    return known and not any(
        "nvidia" in each for each in (*node.maybe_texts("runtime_handlers"), *node.maybe_texts("oci_hooks"))
    )


def _by_which(node: Facts) -> str:
    hook = next((each for each in node.maybe_texts("oci_hooks") if "nvidia" in each), None)
    return f"the runtime's hook {hook} brings the devices" if hook else "the container stack brings the devices"


def _quoted(event: str) -> str:
    return f": {event}" if event else ""


def _configure(runtime: str, name: str) -> str:
    if "k3s" in runtime or "rke2" in runtime:
        unit = "rke2" if "rke2" in runtime else "k3s"
        return f"On {name}: install nvidia-container-toolkit, then restart {unit}, which finds it (of a worker, {unit}-agent)"
    service = "crio" if runtime.startswith("cri-o") else runtime.partition(":")[0] if "://" in runtime else "containerd"
    return f"On {name}: nvidia-ctk runtime configure --runtime={service} && systemctl restart {service}"


def _plugin(node: Facts, facts: Facts) -> Finding:
    state = node.maybe_text("plugin_pod")
    if state == "running" or offered(node):
        return passed("the device plug-in runs")
    taints = _not_tolerated(node, facts)
    if state is not None:
        return _operand_missing(f"the device plug-in's pod here: {state}", taints)
    if not node.known("allocatable") or not _has_operator(facts):
        return unknown(node.why("plugin_pod"))
    if taints or _stack_is_ready(node):
        return _operand_missing("the operator's pods are missing here: no GPU is offered", taints)
    return unknown(node.why("plugin_pod"))


def _operand_missing(seen: str, taints: tuple[str, ...]) -> Finding:
    if taints:
        seen = f"{seen}; taint {', '.join(taints)} is not tolerated"
        return failed(seen, "taint", f"Set daemonsets.tolerations of the GPU operator for {', '.join(taints)}")
    return failed(
        seen, "operand-missing", "kubectl get pods --all-namespaces -l app=nvidia-device-plugin-daemonset -o wide"
    )


def _stack_is_ready(node: Facts) -> bool:
    handlers = (*node.maybe_texts("runtime_handlers"), *node.maybe_texts("oci_hooks"))
    return node.maybe_text("driver") is not None and any("nvidia" in each for each in handlers)


def _has_operator(facts: Facts) -> bool:
    state = facts.maybe_text("gpu_operator", "cluster_policy_state")
    installed = facts.maybe_flag("gpu_operator", "installed") is True or facts.known("gpu_operator", "version")
    return installed or state not in (None, "not_found")


def _not_tolerated(node: Facts, facts: Facts) -> tuple[str, ...]:
    """Its taints that the operator's pods do not tolerate, as far as that is known; it tolerates the usual one of GPU nodes."""
    tolerated = {
        text for each in facts.maybe_items("gpu_operator", "daemonsets") for text in each.maybe_texts("tolerations")
    }
    if "*" in tolerated:
        return ()
    return tuple(
        t
        for t in taints_of(node, GPU_RESOURCE, "node.kubernetes.io/unschedulable")
        if t not in tolerated and t.split("=")[0] not in tolerated
    )


def _offered(node: Facts) -> Finding:
    node.need("allocatable")
    if (have := offered(node)) is None:
        return unknown("what it offers is not known")
    if have or _used(node):
        return passed("GPUs are offered" if have else "a pod used a GPU, though none is offered now")
    if _is_unready_fabric(node):
        return unknown("none is offered while the fabric between the GPUs is not ready")
    return failed(
        "a GPU on the PCI bus, and none is offered to pods", "not-offered", f"kubectl describe node {node.text('name')}"
    )


_OF_IMAGES: Final = {True: "local-images", False: "registry-pull"}
"""Whether images are expected on the nodes -> the check that tells of them."""


def _no_image(node: Facts, facts: Facts) -> str:
    """What to say where a test pod waits for its image: that is no fault of the GPU. Empty where none does."""
    if node.maybe_text("gpu_pod", "pending") != "no-image":
        return ""
    event, code = node.maybe_text("gpu_pod_event") or "", _OF_IMAGES[facts.known("images_missing_on")]
    return f"see {code}: the test pod got no image{_quoted(event)}"


def _started(node: Facts, facts: Facts) -> Finding:
    event, pending = node.maybe_text("gpu_pod_event") or "", node.maybe_text("gpu_pod", "pending")
    if why := _no_image(node, facts):
        return unknown(why)
    if pending != "no-free-gpu" and (
        node.maybe_number("gpu_pod", "cuda_init") is not None or node.flag("gpu_pod", "ran")
    ):
        return passed("a test pod ran")
    if pending == "no-free-gpu" or "insufficient" in event.lower():
        return unknown("all its GPUs are in use, so no test pod could start")
    if not event:
        return unknown("the test pod did not start, and nothing tells why")
    remedy = f"kubectl get events --all-namespaces --field-selector involvedObject.kind=Pod; kubectl describe node {node.text('name')}"
    return failed(f"a test pod did not start{_quoted(event)}", "not-started", remedy)


def _cuda(node: Facts) -> Finding:
    code, name = node.maybe_number("gpu_pod", "cuda_init"), node.text("name")
    if _is_unready_fabric(node):
        told = f"cuInit gives {code:g}" if code is not None else "the GPUs wait"
        state = node.maybe_text("fabric_state") or "its state is not known"
        seen = f"{told}: the fabric between the GPUs is not ready ({state}), although the driver answers"
        return failed(
            seen, "fabric-manager", f"On {name}: systemctl enable --now nvidia-fabricmanager, of the driver's version"
        )
    if code := node.number("gpu_pod", "cuda_init"):
        return failed(f"cuInit gives {code:g}", "cuda", f"dmesg on {name} says why the driver refuses")
    return passed("a pod used a GPU")


def _is_unready_fabric(node: Facts) -> bool:
    """Whether a pod, or the driver, waits for the fabric between the GPUs."""
    code = node.maybe_number("gpu_pod", "cuda_init")
    return code == CUDA_FABRIC or (code != 0 and _waits_for_fabric(node))


def _waits_for_fabric(node: Facts) -> bool:
    """Whether there is a fabric that is not ready; where NVML did not say, cuInit tells."""
    state = (node.maybe_text("fabric_state") or "completed").lower().replace(" ", "_")
    return node.maybe_flag("nvswitch") is True and state not in ("completed", "not_supported", "success")


def _count(node: Facts) -> Finding:
    asked = node.or_else(1, "gpu_pod", "asked")
    seen = node.number("gpu_pod", "devices_seen")
    if seen == asked:
        return passed(f"{_by_which(node)}; a pod that asked for {asked:g} saw {seen:g}")
    if seen < asked:
        less = f"kubectl logs of the device plug-in's pod on {node.text('name')}, and nvidia-smi -L there, say which are missing"
        if not seen:
            less = f"{_configure(node.maybe_text('runtime') or 'the runtime', node.text('name'))}, with --set-as-default; or {less}"
        return failed(f"a pod that asked for {asked:g} GPU saw {seen:g}", "isolation", less)
    remedy = f"On {node.text('name')}: set accept-nvidia-visible-devices-envvar-when-unprivileged=false in the container toolkit"
    return failed(f"a pod that asked for {asked:g} GPU saw {seen:g}", "isolation", remedy)
