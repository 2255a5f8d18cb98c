"""Allocate: places what fits without touching anybody, in order, and lets elastic gangs grow pod by pod in turn with the others."""

from __future__ import annotations

from fairlead.model import Action, Code, PodStatus, Reason
from fairlead.scheduling.ledger import BOUND, PIPELINED
from fairlead.scheduling.rules.assembly import place_turn
from fairlead.scheduling.rules.gates import capacity_reasons
from fairlead.scheduling.rules.order import Leaf, Line
from fairlead.scheduling.rules.state import State
from fairlead.scheduling.rules.turns import is_pipelined_whole, pods_wanted


def allocate(state: State) -> None:
    """Binds or pipelines waiting groups; a failed one never blocks the next of its queue."""
    state.line_up(Action.ALLOCATE)
    leaves = {queue: Leaf(list(base), state.is_pending) for queue, base in state.waiting.items()}
    line = Line(state, leaves)
    while (leaf := line.next_leaf()) >= 0:
        group = leaves[leaf].pop()
        state.current = group
        if _take_turn(state, group) and pods_wanted(state.ledger, group, simulated=False):
            leaves[leaf].push(state.job_key(group), group)
        line.stir(leaf)
    state.current = -1


def _take_turn(state: State, group: int) -> bool:
    ledger = state.ledger
    pods = pods_wanted(ledger, group, simulated=False)
    reasons = capacity_reasons(state, group, pods, Action.ALLOCATE)
    if reasons:
        state.note(group, *reasons)
        return False
    signature = state.signature(Action.ALLOCATE, group, pods)
    if state.failures.get(signature) == ledger.version:
        state.note(group, Reason(code=Code.NO_ROOM, action=Action.ALLOCATE, wanted=len(pods)))
        return False
    if not place_turn(state, group, pods, only_pipeline=False):
        state.failures[signature] = ledger.version
        state.note(group, Reason(code=Code.NO_ROOM, action=Action.ALLOCATE, wanted=len(pods)))
        return False
    settle(state, group, pods)
    state.settled({group})
    return True


def settle(state: State, group: int, pods: list[int]) -> None:
    """Turns the whole group's new places into promises when it could not start with those that are free now."""
    ledger = state.ledger
    mine = range(ledger.offset[group], ledger.offset[group + 1])
    promised = {pod for pod in mine if ledger.kind[pod] == PIPELINED or _is_held(state, pod)}
    if promised and is_pipelined_whole(ledger, group, promised):
        for pod in mine:
            if ledger.kind[pod] == BOUND:
                ledger.pipeline(pod)


def _is_held(state: State, pod: int) -> bool:
    ledger = state.ledger
    return ledger.base_status[pod] == PodStatus.HELD and not ledger.evicted[pod]
