"""Take: consolidate, reclaim and preempt. All three search for victims; they differ in who may be one and what makes the result valid."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from fairlead.model import Action, Code, PodStatus, Reason
from fairlead.scheduling.actions.victims import Victims
from fairlead.scheduling.ledger import NOWHERE, group_pods
from fairlead.scheduling.rules.gates import capacity_reasons, fixed_reasons, reclaim_reasons
from fairlead.scheduling.rules.order import Leaf, Line
from fairlead.scheduling.rules.reclaimable import Before, has_giver, is_reclaimable
from fairlead.scheduling.rules.runtime import is_protected
from fairlead.scheduling.rules.search import Chunk, Search, Validator
from fairlead.scheduling.rules.state import Amounts3, State
from fairlead.scheduling.rules.turns import amounts, pods_wanted

Gate = Callable[[State, int, list[int]], list[Reason]]
"""Why a group may not search at all; empty = it may."""


def consolidate(state: State) -> None:
    """Moves preemptible gangs so that a preemptible waiting one fits; nobody may be lost."""
    if state.policy.max_moves:
        _run(state, Action.CONSOLIDATE, _consolidate_gate)


def reclaim(state: State) -> None:
    """Takes back from other queues what a queue's fair share says is its own."""
    _run(state, Action.RECLAIM, _reclaim_gate)


def preempt(state: State) -> None:
    """Takes from lower priority inside the same queue."""
    _run(state, Action.PREEMPT, _preempt_gate)


def _run(state: State, action: Action, gate: Gate) -> None:
    """One turn for every waiting group, in order."""
    state.line_up(action)
    victims = Victims(state, action)
    leaves = {queue: Leaf(list(found), state.is_pending) for queue, found in state.waiting.items()}
    line = Line(state, leaves)
    while (leaf := line.next_leaf()) >= 0:
        group = leaves[leaf].pop()
        state.current = group
        line.stir(leaf)
        for changed in _take_turn(state, group, (action, gate), victims):
            line.stir(state.ledger.queue_of[changed])
    state.current = -1


def _take_turn(state: State, group: int, how: tuple[Action, Gate], victims: Victims) -> set[int]:
    """The groups whose pods changed; none where it got nothing."""
    (action, gate), ledger = how, state.ledger
    if _waits_for_victims(state, group):
        return set()
    pods = pods_wanted(ledger, group, simulated=True)
    reasons = gate(state, group, pods)
    if reasons:
        state.note(group, *reasons)
        return set()
    signature = state.signature(action, group, pods)
    if state.failures.get(signature) == ledger.version:
        state.note(group, Reason(code=Code.NO_ROOM, action=action, wanted=len(pods)))
        return set()
    mark = ledger.checkpoint()
    before = Before(ledger.tree)
    asked = amounts(state.wish, ledger, pods)
    search = Search(state, group, action, victims.chunks(group), partial(victims.freed, group))
    reasons = search.find(_validator(state, group, (action, asked), before))
    if reasons:
        state.failures[signature] = ledger.version
        state.note(group, *reasons)
        return set()
    changed = _record(state, group, action, mark)
    victims.settled(changed)
    return changed


def _record(state: State, group: int, action: Action, mark: tuple[int, int]) -> set[int]:
    """Remembers who was evicted for whom; gives back the groups that changed."""
    ledger = state.ledger
    pods = ledger.changes_since(mark)
    changed = {ledger.group_of[pod] for pod in pods}
    state.settled(changed)
    served = group if _has_promise(state, group) else _taker(state, group, pods)
    for pod in pods:
        if ledger.evicted[pod] and pod not in state.because and ledger.group_of[pod] != group:
            state.because[pod] = (action, served)
            state.holders.setdefault(served, []).append(pod)
    lost = [one for one in state.holders if one in changed and one != group and not _has_promise(state, one)]
    for other in lost:
        inherited = state.holders.pop(other)
        state.because.update({pod: (state.because[pod][0], group) for pod in inherited})
        state.holders.setdefault(group, []).extend(inherited)
    return changed


def _taker(state: State, group: int, pods: list[int]) -> int:
    """For whom a group that only keeps what it had was to lose it: room is made for that one, elsewhere than was thought first."""
    kept = (pod for pod in pods if state.ledger.group_of[pod] == group and pod in state.because)
    return next((state.because[pod][1] for pod in kept if not state.ledger.evicted[pod]), group)


def _has_promise(state: State, group: int) -> bool:
    """Whether the group still has a place of this decision; if not, who took it inherits the room made for it."""
    return any(state.ledger.kind[pod] != NOWHERE for pod in group_pods(state.ledger, group))


def _waits_for_victims(state: State, group: int) -> bool:
    """Whether an earlier promise of the group lasts or was bound just now: nobody is evicted for it a second time in that cycle."""
    ledger = state.ledger
    if not state.policy.keep_holds:
        return False
    held = (ledger.base_status[pod] == PodStatus.HELD and not ledger.evicted[pod] for pod in group_pods(ledger, group))
    return group in state.redeemed or any(held)


def _validator(state: State, group: int, what: tuple[Action, Amounts3], before: Before) -> Validator:
    action, asked = what

    def is_valid(lost: list[Chunk]) -> bool:
        if action == Action.CONSOLIDATE:
            return not lost
        if not _within_runtime(state, group, action, lost):
            return False
        if state.policy.max_victims >= 0 and len({victim for victim, _ in lost}) > state.policy.max_victims:
            return False
        return action == Action.PREEMPT or is_reclaimable(state, group, asked, lost, before)

    return is_valid


def _within_runtime(state: State, group: int, action: Action, lost: list[Chunk]) -> bool:
    """A protected gang may lose only what is above its minimum."""
    ledger = state.ledger
    for victim in {victim for victim, _ in lost}:
        if is_protected(state, victim, group, action):
            leaves = range(ledger.leaf_offset[victim], ledger.leaf_offset[victim + 1])
            if any(ledger.active[leaf] < ledger.leaf_min[leaf] for leaf in leaves):
                return False
    return True


def _consolidate_gate(state: State, group: int, pods: list[int]) -> list[Reason]:
    if not state.ledger.preemptible[group]:
        return [Reason(code=Code.NO_GAIN, action=Action.CONSOLIDATE, wanted=len(pods))]
    if over := capacity_reasons(state, group, pods, Action.CONSOLIDATE):
        return over  # whoever moves stays in its queue
    asked, left = _least_gpus(state, pods), _free_gpus(state)
    if asked > left:
        return [Reason(code=Code.NO_ROOM, action=Action.CONSOLIDATE, resource="gpu", wanted=asked, available=left)]
    return []


def _least_gpus(state: State, pods: list[int]) -> int:
    """Milli of GPUs that the pods take on whichever nodes; 0 where a part is asked by its memory and devices differ in size."""
    ledger, n = state.ledger, state.snapshot.n
    asked = amounts(state.wish, ledger, pods)[0]
    by_memory = [ledger.klass[pod] for pod in pods if ledger.mib[ledger.klass[pod]]]
    if not by_memory:
        return asked
    nodes = np.flatnonzero(n.usable & (n.gpu_memory_mib > 0)).tolist()
    if len({ledger.memory[node] for node in nodes}) != 1:
        return 0
    parts = sum(ledger.part_on(klass, nodes[0])[0] * ledger.fraction[klass] for klass in by_memory)
    return asked - sum(state.wish[klass][0] for klass in by_memory) + parts


def _free_gpus(state: State) -> int:
    """Milli that are free or being freed, in whole devices and parts, where anything may be placed: moving others makes no more."""
    version = state.ledger.version
    if state.free_gpus[0] != version:
        usable = state.snapshot.n.usable
        free = np.maximum(state.ledger.idle[usable] + state.ledger.releasing[usable], 0)
        state.free_gpus = (version, int((free * state.placer.weights).sum()) + _free_parts(state))
    return state.free_gpus[1]


def _free_parts(state: State) -> int:
    """The same of shared devices that somebody stays on."""
    ledger = state.ledger
    count = len(ledger.device_node)
    live = (ledger.members[:count, 0] + ledger.members[:count, 2]) > 0
    live &= state.snapshot.n.usable[ledger.device_at[:count]]
    return int((1000 - ledger.amounts[:count, 0, 0] - ledger.amounts[:count, 2, 0])[live].sum())


def _reclaim_gate(state: State, group: int, pods: list[int]) -> list[Reason]:
    asked = amounts(state.wish, state.ledger, pods)
    reasons = reclaim_reasons(state, group, asked)
    if not reasons and not has_giver(state, group, asked) and _least_gpus(state, pods) > _free_gpus(state):
        reasons = [Reason(code=Code.WOULD_STARVE, action=Action.RECLAIM, wanted=len(pods))]
    return reasons


def _preempt_gate(state: State, group: int, pods: list[int]) -> list[Reason]:
    return fixed_reasons(state, group, amounts(state.ledger.charge, state.ledger, pods), Action.PREEMPT)
