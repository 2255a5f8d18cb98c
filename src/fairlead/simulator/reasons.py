"""Reason codes by the names people know: ours in capitals (`NoRoom`) and those of KAI Scheduler's fit errors."""

from typing import Final

from fairlead.model import Code, Reason
from fairlead.wire.amounts import number

_KAI: Final = {
    Code.QUEUE_MISSING: "QueueDoesNotExist",
    Code.QUEUE_NOT_LEAF: "QueueDoesNotExist",
    Code.OVER_LIMIT: "OverLimit",
    Code.OVER_DESERVED_FIXED: "NonPreemptibleOverQuota",
}
_OF_A_POD: Final = (
    Code.NO_ROOM,
    Code.TOO_LARGE,
    Code.NODE_RULE,
    Code.TERM,
    Code.NODE_STATE,
    Code.TOPOLOGY,
    Code.SHARED_GPU,
    Code.GPU_MEMORY_UNKNOWN,
    Code.CLAIM,
    Code.VOLUME,
)
_TEXT: Final = {
    Code.QUEUE_MISSING: "queue {subject} does not exist",
    Code.QUEUE_NOT_LEAF: "queue {subject} has queues below it and takes no pods itself",
    Code.OVER_LIMIT: "queue {subject} would use {wanted} {resource}, its limit is {available}",
    Code.OVER_DESERVED_FIXED: "work that cannot be preempted would use {wanted} {resource} of queue {subject}, it deserves {available}",
    Code.OVER_FAIR_SHARE: "queue {subject} would hold {wanted} {resource}, its fair share is {available}",
    Code.GANG_INCOMPLETE: "the gang has {available} of the {wanted} pods it needs to start",
    Code.NO_ROOM: "no node has enough {resource} free: {wanted} wanted, {available} at most",
    Code.TOO_LARGE: "no node is large enough: {wanted} {resource} wanted, the largest has {available}",
    Code.NODE_RULE: "{nodes} nodes are excluded by selector, affinity or taints: {subject}",
    Code.NODE_STATE: "{nodes} nodes are {subject}",
    Code.TOPOLOGY: "no single {subject} has room for all pods",
    Code.GATED: "pods are held back by scheduling gates",
}


def names_of(code: Code) -> tuple[str, ...]:
    """Every name under which a file may expect this code; the one to show comes first."""
    own = "".join(part.capitalize() for part in code.value.split("-"))
    kai = _KAI.get(code)
    shown = (kai, own) if kai else (own,)
    return (*shown, "PodSchedulingErrors", "Unschedulable") if code in _OF_A_POD else (*shown, "Unschedulable")


def message(reason: Reason) -> str:
    """One sentence with the amounts, GPUs and cores as people count them."""
    template = _TEXT.get(reason.code)
    if template is None:
        about = f" ({reason.subject})" if reason.subject else ""
        return reason.code.value.replace("-", " ") + about
    return template.format(
        subject=reason.subject or "(unnamed)",
        resource={"gpu": "GPUs", "cpu": "cores"}.get(reason.resource, reason.resource or "resources"),
        wanted=_amount(reason.wanted, reason.resource),
        available=_amount(reason.available, reason.resource),
        nodes=reason.nodes,
    )


def _amount(value: int, resource: str) -> str:
    return number(value / 1000) if resource in ("gpu", "cpu") else str(value)
