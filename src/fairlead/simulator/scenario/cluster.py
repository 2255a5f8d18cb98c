"""The sections `nodes`, `queues`, `policy` and `cycles` as values of the model."""

from typing import Any, Final, TypeAlias

from fairlead.model import UNLIMITED, Action, Node, NodeName, Policy, QueueName, QueueSpec
from fairlead.simulator.scenario import amounts
from fairlead.simulator.scenario.names import dealt, expand, has_range
from fairlead.simulator.scenario.requests import dra_of, mig_resources
from fairlead.simulator.scenario.spec import Cycles, Pairs

Map: TypeAlias = dict[str, Any]

HOSTNAME: Final = "kubernetes.io/hostname"
_SHORT_FORM_CPU: Final = 64
_SHORT_FORM_MEMORY: Final = "512Gi"
_SHORT_FORM_PODS: Final = 110


def nodes_of(name: str, value: Any) -> list[Node]:
    """The nodes that one line stands for; none where it says `missing`."""
    if value == "missing":
        return []
    node: Map = {"gpu": int(value[:-4])} if isinstance(value, str) else value
    labels = node.get("labels", {})
    ranged = {key: dealt(text) for key, text in labels.items() if has_range(text)}
    out = []
    fixed = _fixed_parts(node)
    for one in expand(name):
        own = {HOSTNAME: one, **labels, **{key: next(turn) for key, turn in ranged.items()}}
        out.append(Node(name=NodeName(one), labels=tuple(sorted(own.items())), **fixed))
    return out


def queue_of(name: str, value: Any, position: int) -> QueueSpec:
    """One queue; its place in the file is its age."""
    queue: Map = value if isinstance(value, dict) else {"gpu": value}
    columns = [
        _quota(queue.get("gpu", 0), 0, amounts.milli),
        _quota(queue.get("cpu", "unlimited"), "unlimited", amounts.milli),
        _quota(queue.get("memory", "unlimited"), "unlimited", amounts.whole),
    ]
    parent, _, _ = name.rpartition("/")
    usage = queue.get("usage", 0)
    by_resource = usage if isinstance(usage, dict) else {"gpu": usage}
    return QueueSpec(
        name=QueueName(name),
        parent=QueueName(parent),
        deserved=(columns[0][0], columns[1][0], columns[2][0]),
        limit=(columns[0][1], columns[1][1], columns[2][1]),
        weight=(columns[0][2], columns[1][2], columns[2][2]),
        priority=queue.get("priority", 100),
        created=float(position),
        preempt_min_runtime=_maybe_seconds(queue, "preempt_min_runtime"),
        reclaim_min_runtime=_maybe_seconds(queue, "reclaim_min_runtime"),
        usage=tuple(amounts.number(by_resource.get(key, 0)) for key in ("gpu", "cpu", "memory")),  # type: ignore[arg-type]  # three
    )


def policy_of(written: Map) -> Policy:
    """The policy section with the product's defaults."""
    placement = written.get("placement", "fit")
    gpu, cpu, device = _placement(placement if isinstance(placement, dict) else {})
    if isinstance(placement, str):
        gpu = cpu = device = placement
    most = written.get("max_consolidation_victims", Policy().max_moves)
    grace = written.get("stale_grace", "60s")
    values: Map = {
        "actions": _actions(written, "spread" in (gpu, cpu)),
        "placement_gpu": gpu,
        "placement_cpu": cpu,
        "placement_device": device,
        "max_moves": -1 if most == "unlimited" else most,
        "stale_grace": -1.0 if grace == "never" else amounts.seconds(grace),
        "reclaim_runtime_at_lca": written.get("reclaim_min_runtime_at", "lca") == "lca",
        "usage_k": float(written.get("k_value", 1.0)),
        "saturation": float(written.get("saturation_multiplier", 1.0)),
        "queue_depth": tuple((Action(action), depth) for action, depth in written.get("queue_depth", {}).items()),
        "preempt_min_runtime": _maybe_seconds(written, "preempt_min_runtime") or 0.0,
        "reclaim_min_runtime": _maybe_seconds(written, "reclaim_min_runtime") or 0.0,
    }
    same = ("keep_holds", "allow_consolidating_reclaim", "full_hierarchy_fairness", "restrict_node_scheduling")
    return Policy(**values, **{key: written[key] for key in same if key in written})


def cycles_of(written: Any) -> Cycles:
    """The `cycles` section; None = decide once."""
    if written is None:
        return Cycles()
    full: Map = {"run": written} if isinstance(written, int) else written
    every = amounts.seconds(full.get("every", "1s"))
    return Cycles(run=full.get("run", 1), hold=full.get("hold", 0), every=every, moves_on=True)


def _actions(written: Map, spreads: bool) -> tuple[Action, ...]:
    """The actions in order; spreading turns consolidation off unless the file names it."""
    if "actions" in written:
        return tuple(Action(action) for action in written["actions"])
    return tuple(a for a in Policy().actions if not (spreads and a is Action.CONSOLIDATE))


def _placement(written: Map) -> tuple[Any, Any, Any]:
    gpu: str = written.get("gpu", "fit")
    if gpu in ("fit", "dense"):
        return gpu, gpu, gpu
    return gpu, written.get("cpu", "binpack"), written.get("device", gpu)


def _fixed_parts(node: Map) -> Map:
    """All of a node but its name and labels."""
    strategy, instances = _mig(node.get("mig"))
    gpus = node.get("gpu", 0)
    dra = dra_of(node.get("dra", 0))
    others = node.get("others", {})
    return {
        "allocatable": _scalars(node, _whole_gpus(gpus, strategy, instances), instances if strategy == "mixed" else {}),
        "foreign": _scalars({"cpu": 0, "memory": 0, "pods": 0, **others}, others.get("gpu", 0), {}),
        "ready": node.get("ready", True),
        "unschedulable": node.get("unschedulable", False),
        "gpus": gpus,
        "gpu_memory_mib": amounts.mib(node["gpu_memory"]) if "gpu_memory" in node else 0,
        "gpu_source": "dra" if dra else "device-plugin" if gpus or instances else "none",
        "mig": strategy,
        "dra": dra,
        "taints": tuple(_taint(text) for text in node.get("taints", ())),
    }


def _scalars(node: Map, gpus: int, instances: Map) -> Pairs:
    parts = {name: amounts.whole(value) for name, value in node.get("resources", {}).items()}
    parts["gpu"] = gpus * 1000
    parts["cpu"] = amounts.milli(node.get("cpu", _SHORT_FORM_CPU))
    parts["memory"] = amounts.whole(node.get("memory", _SHORT_FORM_MEMORY))
    parts["pods"] = node.get("pods", _SHORT_FORM_PODS)
    parts.update(mig_resources(instances))
    return tuple(sorted((name, amount) for name, amount in parts.items() if amount))


def _whole_gpus(gpus: int, strategy: str, instances: Map) -> int:
    """Whole devices on offer: none where instances are, one an instance where each stands for a device."""
    if strategy == "mixed":
        return 0
    return gpus or (sum(instances.values()) if strategy == "single" else 0)


def _mig(value: Any) -> tuple[str, Map]:
    if value is None:
        return "none", {}
    return (value["strategy"], value.get("instances", {})) if "strategy" in value else ("mixed", value)


def _taint(text: str) -> tuple[str, str, str]:
    head, _, effect = text.rpartition(":")
    key, _, value = head.partition("=")
    return key, value, effect


def _quota(written: Any, default: Any, read: Any) -> tuple[int, int, float]:
    """(deserved, limit, weight) of one resource."""
    full: Map = written if isinstance(written, dict) else {"deserved": written}
    deserved, limit = full.get("deserved", default), full.get("limit", "unlimited")
    amount = [UNLIMITED if value == "unlimited" else min(read(value), UNLIMITED) for value in (deserved, limit)]
    return amount[0], amount[1], float(full.get("weight", 2))


def _maybe_seconds(holder: Map, key: str) -> float | None:
    return amounts.seconds(holder[key]) if key in holder else None
