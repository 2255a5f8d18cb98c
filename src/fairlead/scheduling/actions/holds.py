"""Holds: promises kept from earlier cycles. Those whose time is up are dropped; those whose place is free now are bound there."""

from __future__ import annotations

import numpy as np

from fairlead.model import PodStatus
from fairlead.scheduling.ledger import BOUND, NOWHERE
from fairlead.scheduling.rules.state import State
from fairlead.scheduling.rules.turns import is_pipelined_whole


def keep_promises(state: State) -> None:
    """Settles every group with HELD pods before anything else is placed, oldest first. Without holds a promise found in the snapshot only
    keeps its room: whoever forgets promises between cycles hands none in."""
    if not state.policy.keep_holds:
        return
    ledger = state.ledger
    held = np.flatnonzero((state.snapshot.p.status == PodStatus.HELD) & (state.snapshot.p.node >= 0))
    groups: dict[int, list[int]] = {}
    for pod in held.tolist():
        groups.setdefault(ledger.group_of[pod], []).append(pod)
    for group, pods in groups.items():
        state.current = group
        hold = state.snapshot.groups[group].hold
        if hold is not None and state.now >= hold.deadline:
            ledger.evict_many(pods)
            state.changed.add(group)
        else:
            _bind_if_free(state, group, pods)
    state.current = -1


def _bind_if_free(state: State, group: int, pods: list[int]) -> None:
    ledger = state.ledger
    mark = ledger.checkpoint()
    for pod in pods:
        node, shared = ledger.base_node[pod], ledger.base_shared.get(pod, ())
        ledger.evict(pod)
        if _is_free(state, pod, node, shared):
            ledger.place_as(pod, node, shared, BOUND)
        else:
            ledger.restore(pod)
    still = {pod for pod in pods if ledger.kind[pod] == NOWHERE}
    if still and is_pipelined_whole(ledger, group, still):
        ledger.rollback(mark)
    elif len(still) < len(pods):
        state.changed.add(group)
        state.redeemed.add(group)


def _is_free(state: State, pod: int, node: int, shared: tuple[int, ...]) -> bool:
    """Whether the promised place can be had now."""
    ledger, view = state.ledger, state.placer.view(state.ledger.klass[pod])
    if not state.snapshot.n.usable[node] or not bool((ledger.idle[node, view.columns] >= view.request).all()):
        return False
    if not view.devices:
        return True
    return _devices_free(state, pod, node, shared)


def _devices_free(state: State, pod: int, node: int, shared: tuple[int, ...]) -> bool:
    ledger = state.ledger
    part = ledger.part_on(ledger.klass[pod], node)
    whole = 0
    for device in shared:
        amounts, members = ledger.amounts[device], ledger.members[device]
        if not (members[0] or members[1]):
            whole += 1000
            continue
        memory = ledger.memory[node]
        if amounts[0, 0] + amounts[1, 0] + part[0] > 1000 or (
            memory and amounts[0, 1] + amounts[1, 1] + part[1] > memory
        ):
            return False
    return bool(ledger.idle[node, 0] >= whole)
