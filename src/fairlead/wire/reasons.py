"""Reasons as sentences: the one table from a code of the core to words, used by objects, CLI, REST and pages alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from fairlead.model import UNLIMITED, Code, Reason
from fairlead.wire.agent import ReasonText
from fairlead.wire.amounts import gpu_memory, memory, number

_LINE_END: Final = "]"


def amount(resource: str, value: int, asked: int | None = None) -> str:
    """An amount with its unit: 1500 of "gpu" is "1.5 GPUs". Beside an amount that was `asked` for, in the unit of that one."""
    if value >= UNLIMITED or value < 0:
        return "no limit"
    if resource == "gpu":
        return f"{number(value / 1000)} GPU{'' if value == 1000 else 's'}"
    if resource == "cpu":
        return f"{number(value / 1000)} CPU{'' if value == 1000 else 's'}"
    if resource == "gpu-memory":
        return gpu_memory(value, asked)
    if resource == "memory":
        return f"{memory(value, asked)} of memory"
    return f"{value} {resource}".strip()


def render(reason: Reason) -> ReasonText:
    """The reason as code, sentence and amounts."""
    return ReasonText(
        code=reason.code.value,
        message=_SENTENCES[reason.code](reason),
        details={
            "subject": reason.subject,
            "resource": reason.resource,
            "wanted": reason.wanted,
            "available": reason.available,
            "nodes": reason.nodes,
            "action": reason.action.value,
        },
    )


def distinct(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Each cause once per resource; what several actions or attempts say of the same thing is one cause, in its fullest form.

    Where no node is large enough, that none has room says nothing more.
    """
    found: dict[tuple[Code, str, str], Reason] = {}
    for reason in reasons:
        code = Code.NO_ROOM if reason.code == Code.TOO_LARGE else reason.code
        found.setdefault((code, reason.subject, reason.resource), reason)
    named = {(code, subject) for code, subject, resource in found if resource}
    return tuple(one for (code, subject, resource), one in found.items() if resource or (code, subject) not in named)


def to_lines(reasons: tuple[ReasonText, ...]) -> str:
    """Reasons as the message of a condition: one line each, the code in brackets at its end."""
    return "\n".join(f"{r.message} [{r.code}{_LINE_END}" for r in reasons)


def from_lines(message: str) -> tuple[ReasonText, ...]:
    """What `to_lines` wrote, read back without amounts; a line of another form is one reason of code "other"."""
    found = []
    for line in filter(None, message.split("\n")):
        text, opened, code = line.rpartition(" [")
        plain = not opened or not code.endswith(_LINE_END)
        found.append(ReasonText(code="other", message=line) if plain else ReasonText(code=code[:-1], message=text))
    return tuple(found)


def _wants(reason: Reason) -> str:
    return f"needs {amount(reason.resource, reason.wanted)}, {_bound(reason)} left"


def _would_use(reason: Reason) -> str:
    """Of a queue's bound: what the queue would use with this work in it."""
    return f"it would use {amount(reason.resource, reason.wanted)}"


def _bound(reason: Reason) -> str:
    return amount(reason.resource, reason.available, reason.wanted)


def _no_room(reason: Reason) -> str:
    """No amount: no place was found for the pods together. As much as is needed free somewhere: too few nodes have it."""
    if not reason.resource and reason.available:
        return f"There is room for {reason.available} of its {reason.wanted} pods, which start only together"
    if not reason.resource:
        return f"No place was found for its {reason.wanted} pods" if reason.wanted > 1 else "No place was found for it"
    if reason.resource == "gpu-memory":
        have = _bound(reason)
        return f"No GPU is large enough: needs {amount(reason.resource, reason.wanted)} of memory on one, the largest has {have}"
    if reason.available >= reason.wanted:
        least = amount(reason.resource, reason.wanted)
        return f"Too few nodes have room: each pod needs {least}, {_count(reason.nodes)} cannot give it"
    return f"No node has room: {_wants(reason)}{_nodes(reason)}"


def _node_rule(reason: Reason) -> str:
    """By the line of its rule: "selector zone=a", "affinity" or "taint dedicated=ml:NoSchedule"; its kind of GPU where none is named."""
    what, _, value = reason.subject.partition(" ")
    nodes = _count(reason.nodes) if reason.nodes else "every node"
    if what == "taint":
        return f"The taint {value} keeps it from {nodes}"
    return f"Its node {reason.subject} leaves out {nodes}" if what else f"Its kind of request leaves out {nodes}"


def _nodes(reason: Reason) -> str:
    return f" ({_count(reason.nodes)})" if reason.nodes else ""


def _tries(number: int) -> str:
    return f" ({number} {'try' if number == 1 else 'tries'})" if number else ""


def _count(nodes: int) -> str:
    return f"{nodes} node{'' if nodes == 1 else 's'}"


_SENTENCES: dict[Code, Callable[[Reason], str]] = {
    Code.QUEUE_MISSING: lambda r: (
        f"There is no queue {r.subject!r}, or it is below one that is not there, or below itself: no project is known by it"
        if r.subject
        else "Its namespace belongs to no project: only the namespaces of projects have a queue"
    ),
    Code.QUEUE_NOT_LEAF: lambda r: f"{r.subject!r} has queues below it; only a project takes work",
    Code.OVER_LIMIT: lambda r: f"Over the limit of {r.subject}: {_would_use(r)}, the limit is {_bound(r)}",
    Code.OVER_DESERVED_FIXED: lambda r: (
        f"Over the quota of {r.subject}, and work that cannot be stopped stays inside it: "
        f"{_would_use(r)} of such work, the quota is {_bound(r)}"
    ),
    Code.OVER_FAIR_SHARE: lambda r: (
        f"Over the fair share of {r.subject}, so it takes nothing from others: {_would_use(r)}, the share is {_bound(r)}"
    ),
    Code.GANG_INCOMPLETE: lambda r: f"Starts only together: {r.available} of {r.wanted} pods are there",
    Code.NO_ROOM: lambda r: _no_room(r),
    Code.TOO_LARGE: lambda r: (
        f"No node is large enough: needs {amount(r.resource, r.wanted)}, the largest has {_bound(r)}"
    ),
    Code.NODE_RULE: lambda r: _node_rule(r),
    Code.TERM: lambda r: f"Its rule about the company of pods leaves no node{_nodes(r)}: {r.subject}",
    Code.TOPOLOGY: lambda r: f"No {r.subject or 'place'} holds all of it: {_wants(r)}",
    Code.SHARED_GPU: lambda r: f"No shared GPU has enough left: {_wants(r)}{_nodes(r)}",
    Code.GPU_MEMORY_UNKNOWN: lambda r: f"It asks for GPU memory, and the size of the devices is not known{_nodes(r)}",
    Code.CLAIM: lambda r: f"Its device claim {r.subject} cannot be met: {r.wanted} wanted, {r.available} left",
    Code.VOLUME: lambda r: f"Its volumes are not ready: {r.subject}",
    Code.VICTIMS_PROTECTED: lambda r: (
        f"Whoever could make room may not be stopped now{': ' + r.subject if r.subject else ''}"
    ),
    Code.WOULD_STARVE: lambda r: f"Making room would take {r.subject or 'others'} below what they are owed",
    Code.NO_GAIN: lambda _: "Stopping others would not start it",
    Code.SEARCH_LIMIT: lambda r: f"The search for room was ended after {r.wanted or r.available} tries",
    Code.BACKING_OFF: lambda r: (
        f"It could not be started on its node{_tries(r.wanted)}; it is tried again soon{': ' + r.subject if r.subject else ''}"
    ),
    Code.NODE_STATE: lambda r: (
        f"{_count(r.nodes)} {'is' if r.nodes == 1 else 'are'} {r.subject or 'out of use'}"
        if r.nodes
        else "There are no nodes"
    ),
    Code.HELD_FOR_OTHER: lambda r: f"The room there is is promised to {r.subject or 'others'}",
    Code.INTERNAL: lambda _: "The scheduler met a bug of its own with this workload and set it aside",
    Code.UNSUPPORTED: lambda r: f"It asks for {r.subject}, which this version does not schedule",
    Code.GATED: lambda _: "A scheduling gate keeps it back",
    Code.NOT_ADMITTED: lambda _: (
        "It was made while admission did not answer, or in a namespace that belongs to no project, and would not see its part of a GPU: "
        "make it again, in a project's namespace"
    ),
    Code.QUEUE_DEPTH: lambda r: f"Others of {r.subject or 'its queue'} are looked at first",
}
