"""The format as a table: every key of a scenario file and what its value may be (`DOCUMENT` is the whole file)."""

from difflib import get_close_matches
from typing import Any, Final

from fairlead.simulator.scenario.faults import Wrong
from fairlead.simulator.scenario.shape import Check, by_type, fields, items, number, refuse, table, text, truth, word

ACTIONS: Final = ("allocate", "consolidate", "reclaim", "preempt", "evict_stale")
PRIORITIES: Final = {"train": 50, "interactive-preemptible": 75, "build": 100, "inference": 125}
STATES: Final = ("pending", "gated", "pipelined", "bound", "running", "releasing", "succeeded", "failed")

_NAME_TEXT: Final = r"[^\s|]+"
_NODES: Final = rf"{_NAME_TEXT}(?:\|{_NAME_TEXT})*"
_UNITS: Final = r"(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?"
_EFFECT: Final = r"(NoSchedule|PreferNoSchedule|NoExecute)"
_STATE: Final = (
    rf"pending|gated|gone|succeeded|failed|(running|bound|pipelined|releasing)( on {_NODES})?"
    rf"|evicted( from {_NODES})?|moved( to {_NODES})?"
)
_COMMAND: Final = (
    rf"(bind|pipeline) {_NAME_TEXT}( on {_NODES})?|evict {_NAME_TEXT}( for {_NAME_TEXT})?( by ({'|'.join(ACTIONS)}))?"
)

NAME: Final = text("a name without spaces", _NAME_TEXT)
_TEXT: Final = text("text")
_COUNT: Final = number("a whole number, 0 or more", whole=True)
_POD_COUNT: Final = number("a number of pods", most=100_000, whole=True)
_ONE_UP: Final = number("a whole number, 1 or more", least=1, whole=True)
_ANY_INT: Final = number("a whole number", least=-(1 << 31), whole=True)
_NUMBER: Final = number("a number, 0 or more")
_DURATION_TEXT: Final = r"(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+(\.[0-9]+)?s)?([0-9]+ms)?"
_DURATION: Final = text("a duration such as 60s, 5m or 1h30m", _DURATION_TEXT)
_OR_NEVER: Final = text("a duration such as 60s, or never", rf"never|{_DURATION_TEXT}")
_QUANTITY_IS: Final = "an amount such as 4, 500m or 64Gi"
_QUANTITY: Final = by_type(
    _QUANTITY_IS, {int: _NUMBER, float: _NUMBER, str: text(_QUANTITY_IS, r"[0-9]{1,15}(\.[0-9]{1,9})?" + _UNITS)}
)
_SIZE: Final = text(
    "an amount of memory with its unit, such as 80Gi", r"[0-9]{1,9}(\.[0-9]{1,9})?(k|M|G|T|Ki|Mi|Gi|Ti)"
)
_RESOURCES: Final = table(_QUANTITY, "resources: a map from name to amount")
_LABELS: Final = table(_TEXT, "labels: a map from name to text")
_GPU_COUNT_IS: Final = "a number of GPUs, or unlimited"
_GPUS: Final = by_type(_GPU_COUNT_IS, {int: _NUMBER, float: _NUMBER, str: text(_GPU_COUNT_IS, "unlimited")})
_UNITS_IS: Final = "an amount such as 16, 500m or 64Gi, or unlimited"
_LIMITABLE: Final = by_type(
    _UNITS_IS,
    {int: _NUMBER, float: _NUMBER, str: text(_UNITS_IS, rf"unlimited|[0-9]{{1,15}}(\.[0-9]{{1,9}})?{_UNITS}")},
)
_AMOUNTS: Final = fields("amounts", {"gpu": _NUMBER, "cpu": _QUANTITY, "memory": _QUANTITY}, least=1)
_SHARE: Final = by_type(
    "a number of GPUs or a map with gpu, cpu, memory", {int: _NUMBER, float: _NUMBER, dict: _AMOUNTS}
)
_MIG: Final = table(
    _COUNT,
    "MIG profiles: a map such as {1g.10gb: 1}",
    key=text("a MIG profile such as 1g.10gb", r"[0-9]+g\.[0-9]+gb.*"),
)
_DRA: Final = by_type(
    "a number of devices, or a map from device class to number",
    {int: _COUNT, dict: table(_COUNT, "a map from device class to number")},
)
_DEVICE: Final = by_type("a device: a name or a number", {str: NAME, int: _COUNT})
_POOL: Final = word("fit", "dense", "binpack", "spread")
_PACK: Final = word("binpack", "spread")


def _gpu_of_a_pod(value: Any) -> None:
    """Whole devices up to what a node could have, or a part that still counts in thousandths."""
    if type(value) not in (int, float) or not (value in (0, 1) or 0.001 <= value <= 1e6) or 1 < value != int(value):
        raise refuse(value, "a whole number of devices, or a part of one between 0 and 1, at least 0.001")


def _node(value: Any) -> None:
    if type(value) is dict:
        _NODE_MAP(value)
    elif type(value) is not str or not _NODE_SHORT(value):
        raise refuse(value, "a node: `8 gpu`, a map of its amounts, or missing")


def _mig_of_a_node(value: Any) -> None:
    full = type(value) is dict and ("strategy" in value or "instances" in value)
    (_MIG_FULL if full else _MIG_SHORT)(value)


def _NODE_SHORT(value: str) -> bool:
    return value == "missing" or (value.endswith(" gpu") and value[:-4].isdecimal() and len(value) < 12)


_MIG_SHORT: Final = table(
    _COUNT, "MIG instances: a map such as {1g.10gb: 7}", key=text("a MIG profile", r"[0-9]+g\.[0-9]+gb.*"), least=1
)
_MIG_FULL: Final = fields(
    "mig", {"strategy": word("none", "single", "mixed"), "instances": _MIG}, required=("strategy",)
)
_NODE_MAP: Final = fields(
    "a node",
    {
        "gpu": _COUNT,
        "gpu_memory": _SIZE,
        "cpu": _QUANTITY,
        "memory": _QUANTITY,
        "pods": _COUNT,
        "resources": _RESOURCES,
        "labels": _LABELS,
        "taints": items(text("a taint: key=value:NoSchedule", rf"[^\s=:]+(=[^\s=:]*)?:{_EFFECT}"), "a list of taints"),
        "ready": truth,
        "unschedulable": truth,
        "mig": _mig_of_a_node,
        "dra": _DRA,
        "others": fields(
            "others", {"gpu": _COUNT, "cpu": _QUANTITY, "memory": _QUANTITY, "pods": _COUNT, "resources": _RESOURCES}
        ),
    },
)


def _quota(of: str, amount: Check) -> Check:
    inner = fields(of, {"deserved": amount, "limit": amount, "weight": _NUMBER})
    return by_type(
        f"{of}: an amount, unlimited, or a map with deserved, limit, weight",
        {int: amount, float: amount, str: amount, dict: inner},
    )


_QUEUE_MAP: Final = fields(
    "a queue",
    {
        "gpu": _quota("gpu", _GPUS),
        "cpu": _quota("cpu", _LIMITABLE),
        "memory": _quota("memory", _LIMITABLE),
        "priority": _ANY_INT,
        "preempt_min_runtime": _DURATION,
        "reclaim_min_runtime": _DURATION,
        "usage": _SHARE,
    },
)
_QUEUE_IS: Final = "a queue: a number of GPUs, unlimited, a map, or missing"
_QUEUE: Final = by_type(
    _QUEUE_IS, {int: _NUMBER, float: _NUMBER, str: text(_QUEUE_IS, "unlimited|missing"), dict: _QUEUE_MAP}
)
_POLICY: Final = fields(
    "policy",
    {
        "actions": items(word(*ACTIONS), "a list of actions", unique=True),
        "placement": by_type(
            "fit, dense, binpack, spread or a map with gpu, cpu, device",
            {str: _POOL, dict: fields("placement", {"gpu": _POOL, "cpu": _PACK, "device": _PACK})},
        ),
        "keep_holds": truth,
        "max_consolidation_victims": by_type(
            "a whole number, or unlimited", {int: _COUNT, str: text("a whole number, or unlimited", "unlimited")}
        ),
        "allow_consolidating_reclaim": truth,
        "stale_grace": _OR_NEVER,
        "preempt_min_runtime": _DURATION,
        "reclaim_min_runtime": _DURATION,
        "reclaim_min_runtime_at": word("lca", "queue"),
        "k_value": _NUMBER,
        "saturation_multiplier": number("a number, 1 or more", least=1),
        "full_hierarchy_fairness": truth,
        "restrict_node_scheduling": truth,
        "queue_depth": table(_ONE_UP, "queue_depth: a map from action to number", key=word(*ACTIONS)),
    },
)
_WEIGHT: Final = number("a weight from 1 to 100", least=1, most=100, whole=True)
_TERM: Final = by_type(
    "selector text, or {match, weight}",
    {str: _TEXT, dict: fields("a term", {"match": _TEXT, "weight": _WEIGHT}, required=("match",))},
)
_TERMS: Final = by_type(
    "selector text, {match, weight}, or a list of them",
    {str: _TERM, dict: _TERM, list: items(_TERM, "a list of terms")},
)
_POD_TERMS: Final = items(
    fields(
        "a pod term",
        {"match": _TEXT, "topology_key": _TEXT, "namespaces": items(_TEXT, "a list of namespaces"), "weight": _WEIGHT},
        required=("match", "topology_key"),
    ),
    "a list of {match, topology_key, namespaces, weight}",
)
_TOPOLOGY: Final = fields("topology", {"name": NAME, "required": _TEXT, "preferred": _TEXT}, least=1)

POD_KEYS: Final[dict[str, Check]] = {
    "gpu": _gpu_of_a_pod,
    "devices": _ONE_UP,
    "gpu_memory": _SIZE,
    "mig": _MIG,
    "legacy_mig": truth,
    "dra": _DRA,
    "claims": items(NAME, "a list of claims", unique=True),
    "cpu": _QUANTITY,
    "memory": _QUANTITY,
    "resources": _RESOURCES,
    "labels": _LABELS,
    "node_selector": _LABELS,
    "node_affinity": _TERMS,
    "tolerations": items(
        text("a toleration: key=value:Effect, key:Effect, key or *", rf"(\*|[^\s=:]+(=[^\s=:]*)?)(:{_EFFECT})?"),
        "a list of tolerations",
    ),
    "pod_affinity": _POD_TERMS,
    "pod_anti_affinity": _POD_TERMS,
    "task_priority": _ANY_INT,
    "state": word(*STATES),
    "node": by_type("a node's name, or a list of names", {str: NAME, list: items(NAME, "a list of names", least=1)}),
    "device": by_type(
        "a device, or a list of devices", {str: _DEVICE, int: _DEVICE, list: items(_DEVICE, "a list", least=1)}
    ),
    "nominated": NAME,
}
_POD: Final = fields("a pod", {"name": NAME, "count": _ONE_UP, **POD_KEYS})
_PODS: Final = by_type("a number of pods, or a list of pods", {int: _POD_COUNT, list: items(_POD, "a list of pods")})


def _subgroups(value: Any) -> None:
    _SUBGROUPS(value)


_SUBGROUP: Final = fields(
    "a subgroup", {"min": _COUNT, "pods": _PODS, "subgroups": _subgroups, "topology": _TOPOLOGY, **POD_KEYS}
)
_SUBGROUPS: Final = table(_SUBGROUP, "subgroups: a map from name to subgroup", key=NAME, least=1)
_GANG_FIELDS: Final = fields(
    "a gang",
    {
        "gang": NAME,
        "queue": NAME,
        "namespace": NAME,
        "priority": by_type(f"a number or one of {', '.join(PRIORITIES)}", {int: _ANY_INT, str: word(*PRIORITIES)}),
        "preemptible": truth,
        "min": _COUNT,
        "pods": _PODS,
        "subgroups": _subgroups,
        "topology": _TOPOLOGY,
        "age": _DURATION,
        "running_for": _OR_NEVER,
        "stale_for": _DURATION,
        "after_release": word("pending", "gone", "never"),
        **POD_KEYS,
    },
    required=("gang", "queue"),
)


def _gang(value: Any) -> None:
    _GANG_FIELDS(value)
    for key in ("min", "pods"):
        if "subgroups" in value and key in value:
            raise Wrong(f"a gang with subgroups has no {key} of its own: write it on a subgroup", (key,))


_GANGS: Final = items(_gang, "a list of gangs")
_CLAIM: Final = fields(
    "a claim",
    {
        "class": _TEXT,
        "count": _ONE_UP,
        "queue": NAME,
        "namespace": NAME,
        "node": NAME,
        "devices": items(_DEVICE, "a list of devices"),
        "other_users": _COUNT,
    },
)
_STATE_IS: Final = (
    "a state: pending, gated, bound|pipelined|running|releasing on NODE, evicted from NODE, moved to NODE, gone,"
    " succeeded, failed"
)
_PLACED: Final = {
    "running": "on",
    "bound": "on",
    "pipelined": "on",
    "releasing": "on",
    "evicted": "from",
    "moved": "to",
}


def _nearest_state(value: str) -> str:
    """`; did you mean bound on n1?`, with the node that was written."""
    node = value.split()[-1] if len(value.split()) > 1 else "NODE"
    states = [
        "pending",
        "gated",
        "gone",
        "succeeded",
        "failed",
        *_PLACED,
        *(f"{s} {p} {node}" for s, p in _PLACED.items()),
    ]
    close = get_close_matches(value, states, 1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


_STATE_TEXT: Final = text(_STATE_IS, _STATE, _nearest_state)
_STATE_OF: Final = by_type(
    _STATE_IS, {str: _STATE_TEXT, dict: table(_COUNT, "a map from state to count", key=_STATE_TEXT, least=1)}
)
_CODE: Final = text("a reason code such as OverLimit", r"[A-Z][A-Za-z]+")
_COMMANDS: Final = {"binds": _COUNT, "evictions": _COUNT, "pipelines": _COUNT}
_EXPECT: Final = fields(
    "expect",
    {
        "state": table(_STATE_OF, "state: a map from gang or pod to its state", key=NAME),
        "plan": items(text("a command: bind X on N, pipeline X on N, evict X for Y by ACTION", _COMMAND), "a list"),
        "same_device": items(items(NAME, "a list of pods", least=1), "a list of lists of pods"),
        "at_most": fields("at_most", {**_COMMANDS, "in_all": fields("in_all", _COMMANDS)}),
        "reasons": table(
            by_type("a reason code, or a list of them", {str: _CODE, list: items(_CODE, "a list of codes", least=1)}),
            "reasons: a map from gang to code",
            key=NAME,
        ),
        "fair_share": table(_SHARE, "a map from queue to share", key=NAME),
        "requested": table(_SHARE, "a map from gang, pod or queue to amounts", key=NAME),
        "allocated": table(_SHARE, "a map from gang, pod or queue to amounts", key=NAME),
        "running_for": table(_DURATION, "a map from gang to duration", key=NAME),
        "nodes": table(
            fields("a node's GPUs", {"idle": _NUMBER, "releasing": _NUMBER}, least=1), "a map from node", key=NAME
        ),
    },
)
DOCUMENT: Final = fields(
    "the file",
    {
        "title": text("text: the rule shown, as a sentence"),
        "tags": items(text("a tag: small letters, digits, -", r"[a-z0-9][a-z0-9-]*"), "a list of tags", unique=True),
        "policy": _POLICY,
        "nodes": table(_node, "nodes: a map from name to node", key=NAME),
        "topologies": table(
            items(_TEXT, "a list of node labels, coarsest first", least=1, unique=True), "a map from name", key=NAME
        ),
        "queues": table(_QUEUE, "queues: a map from path to queue", key=NAME),
        "claims": table(_CLAIM, "claims: a map from name to claim", key=NAME),
        "running": _GANGS,
        "pending": _GANGS,
        "cycles": by_type(
            "a number of cycles, or a map with run, hold, every",
            {int: _ONE_UP, dict: fields("cycles", {"run": _ONE_UP, "hold": _COUNT, "every": _DURATION})},
        ),
        "expect": _EXPECT,
    },
    required=("title", "nodes", "queues"),
)
