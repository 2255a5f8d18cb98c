"""Causes: what stands in the way of a waiting group whatever the order: its queue, its size, and the nodes, each with amounts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from fairlead.model import Action, Code, Reason
from fairlead.model.arrays import Bit
from fairlead.scheduling.rules.placement import View
from fairlead.scheduling.rules.state import State
from fairlead.scheduling.rules.turns import may_start, pods_wanted

GPU_MEMORY = "gpu-memory"
"""Resource of a reason: memory of one device in MiB."""


def standing_reasons(state: State, group: int) -> tuple[Reason, ...]:
    """Queue missing or no leaf, gang incomplete, and per class what excludes nodes; as the ledger stands now."""
    queue = state.ledger.queue_of[group]
    value = state.snapshot.groups[group]
    if queue < 0:
        return (Reason(code=Code.QUEUE_MISSING, action=Action.ALLOCATE, subject=value.queue),)
    if not state.ledger.tree.takes_pods(queue):
        return (Reason(code=Code.QUEUE_NOT_LEAF, action=Action.ALLOCATE, subject=value.queue),)
    if not may_start(state.ledger, group):
        return (_incomplete(state, group),)
    wanted = Counter(state.ledger.klass[pod] for pod in pods_wanted(state.ledger, group, simulated=False))
    return tuple(reason for klass, count in wanted.items() for reason in _node_reasons(state, klass, count))


def _incomplete(state: State, group: int) -> Reason:
    ledger = state.ledger
    first, last = ledger.leaf_offset[group], ledger.leaf_offset[group + 1]
    least = sum(ledger.leaf_min[first:last])
    ready = sum(
        ledger.is_active(pod) or ledger.is_waiting(pod, True)
        for pod in range(ledger.offset[group], ledger.offset[group + 1])
    )
    return Reason(code=Code.GANG_INCOMPLETE, action=Action.ALLOCATE, wanted=least, available=ready)


def _node_reasons(state: State, klass: int, count: int) -> tuple[Reason, ...]:
    """Rules that exclude nodes, then each resource that the rest lack; remembered per class while the ledger stands still."""
    key = ("causes", klass, count)
    if state.causes.get(key, (-1, ()))[0] == state.ledger.version:
        return state.causes[key][1]
    view = state.placer.view(klass)
    found = [*_rule_reasons(state, klass), *_amount_reasons(state, view, count), *_state_reasons(state)]
    if not view.devices and _room(state, view, count) >= count:
        found = [reason for reason in found if reason.code == Code.NODE_RULE]
    state.causes[key] = (state.ledger.version, tuple(found))
    return state.causes[key][1]


def _room(state: State, view: View, count: int) -> int:
    """How many of `count` pods find room, by whole amounts."""
    free = np.maximum(state.ledger.idle + state.ledger.releasing, 0)
    return int(np.minimum(view.room(free), count).sum())


def _rule_reasons(state: State, klass: int) -> list[Reason]:
    n, feasible, mib = state.snapshot.n, state.placer.view(klass).feasible, state.ledger.mib[klass]
    small = n.usable & (n.gpu_memory_mib > 0) & (n.gpu_memory_mib < mib)
    excluded = int((n.usable & ~feasible & ~small).sum())
    found = []
    if excluded:
        found += _excluded(state, klass, n.usable & ~feasible & ~small, int(feasible.sum()))
    if small.any():
        largest, count = int(n.gpu_memory_mib[n.usable].max()), int(small.sum())
        found.append(
            Reason(
                code=Code.NO_ROOM,
                action=Action.ALLOCATE,
                resource=GPU_MEMORY,
                wanted=mib,
                available=largest,
                nodes=count,
            )
        )
    return found


def _excluded(state: State, klass: int, excluded: Bit, left: int) -> list[Reason]:
    """The lines of the class's rule that leave nodes out; without their name where the kind of their GPUs does."""
    n, rule = state.snapshot.n, state.snapshot.classes[klass].rule
    if state.ledger.mib[klass] and not (n.gpu_memory_mib > 0).any():
        return [_left_out(Code.GPU_MEMORY_UNKNOWN, "", excluded, left)]
    lines = [(name, excluded & nodes) for name, nodes in state.node_rules.left_out(rule)]
    named = np.logical_or.reduce([nodes for _, nodes in lines]) if lines else np.zeros_like(excluded)
    return [
        _left_out(Code.NODE_RULE, name, nodes, left) for name, nodes in (*lines, ("", excluded & ~named)) if nodes.any()
    ]


def _left_out(code: Code, subject: str, nodes: Bit, left: int) -> Reason:
    return Reason(code=code, action=Action.ALLOCATE, subject=subject, nodes=int(nodes.sum()), available=left)


def _state_reasons(state: State) -> list[Reason]:
    """Nodes that nothing new may run on, or that there are none."""
    n = state.snapshot.n
    if not len(n.ready):
        return [Reason(code=Code.NODE_STATE, action=Action.ALLOCATE)]
    away, cordoned = int((~n.ready).sum()), int((n.ready & ~n.usable).sum())
    counted = (("not ready", away), ("closed to new work (cordoned)", cordoned))
    return [
        Reason(code=Code.NODE_STATE, action=Action.ALLOCATE, subject=what, nodes=count)
        for what, count in counted
        if count
    ]


def _amount_reasons(state: State, view: View, count: int) -> list[Reason]:
    ledger, klass = state.ledger, view.klass
    asked = list(zip(view.columns.tolist(), view.request.tolist(), strict=True))
    found = [reason for column, amount in asked for reason in _amount_reason(state, view, column, amount)]
    if view.devices:
        lacking = int((view.score[view.feasible] < 0).sum())
        if lacking:
            wanted = view.devices * (ledger.milli[klass] or 1000)
            found.append(
                Reason(code=Code.SHARED_GPU, action=Action.ALLOCATE, resource="gpu", wanted=wanted, nodes=lacking)
            )
    room = 0 if found or count < 2 or view.devices else _room(state, view, count)
    return found or [Reason(code=Code.NO_ROOM, action=Action.ALLOCATE, wanted=count, available=room)] if room else found


def _amount_reason(state: State, view: View, column: int, amount: int) -> Iterator[Reason]:
    """Larger than every node, which stands in the way whatever ends; else what is free now, where some nodes have less."""
    n, ledger = state.snapshot.n, state.ledger
    nodes = view.feasible if view.feasible.any() else n.usable
    largest = int(n.allocatable[nodes, column].max(initial=0))
    free = np.maximum(ledger.idle[:, column] + ledger.releasing[:, column], 0)[view.feasible]
    lacking = int((free < amount).sum())
    if amount > largest and nodes.any():
        code, available, lacking = Code.TOO_LARGE, largest, int(nodes.sum())
    elif lacking:
        code, available = Code.NO_ROOM, int(free.max(initial=0))
    else:
        return
    yield Reason(
        code=code,
        action=Action.ALLOCATE,
        resource=n.resources[column],
        wanted=amount,
        available=available,
        nodes=lacking,
    )
