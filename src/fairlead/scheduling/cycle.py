"""Cycle: `decide`, the whole decision for one pool. Total, deterministic, synchronous."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fairlead.model import (
    Action,
    Bind,
    Code,
    Counters,
    Evict,
    Hold,
    Keep,
    Outcome,
    Plan,
    PodGroup,
    PodStatus,
    Policy,
    Reason,
    Snapshot,
    Uid,
    Warm,
)
from fairlead.scheduling.actions.allocate import allocate
from fairlead.scheduling.actions.holds import keep_promises
from fairlead.scheduling.actions.stale import evict_stale
from fairlead.scheduling.actions.take import consolidate, preempt, reclaim
from fairlead.scheduling.ledger import BOUND, NOWHERE, PIPELINED, group_pods
from fairlead.scheduling.rules.causes import standing_reasons
from fairlead.scheduling.rules.moments import next_moment
from fairlead.scheduling.rules.state import State

_ACTIONS: Final[dict[Action, Callable[[State], None]]] = {
    Action.ALLOCATE: allocate,
    Action.CONSOLIDATE: consolidate,
    Action.RECLAIM: reclaim,
    Action.PREEMPT: preempt,
    Action.EVICT_STALE: evict_stale,
}


class DecisionError(RuntimeError):
    """A bug met while working on one group. The shell sets `group` aside (`PodGroup.set_aside`) and decides again."""

    code = "internal"

    def __init__(self, group: Uid, cause: str) -> None:
        super().__init__(f"group {group or '(none)'}: {cause}")
        self.group = group


def decide(snapshot: Snapshot, policy: Policy, now: float, warm: Warm | None = None) -> tuple[Plan, Warm]:
    """The plan for one pool; `now` in seconds since the epoch. `warm` only ever speeds it up.

    Raises: DecisionError, which names the group at work, for a bug.
    """
    if warm is not None and (known := warm.answer(snapshot.digest, policy, now)) is not None:
        return known, warm
    state = State(snapshot, policy, now)
    try:
        keep_promises(state)
        for action in policy.actions:
            _ACTIONS[action](state)
        plan = plan_of(state)
        return plan, _remembered(state, plan)
    except Exception as bug:
        uid = snapshot.groups[state.current].uid if state.current >= 0 else Uid("")
        raise DecisionError(uid, f"{type(bug).__name__}: {bug}") from bug


def _remembered(state: State, plan: Plan) -> Warm:
    """Nothing where promises were made: their deadline counts from now."""
    if any(isinstance(command, Keep) and command.hold for command in plan.commands):
        return Warm()
    until = next_moment(state.snapshot, state.policy, state.now)
    return Warm(plan=plan, policy=state.policy, since=state.now, until=until)


def plan_of(state: State) -> Plan:
    """Commands and outcomes of what stands in the ledger."""
    binds, evictions, keeps = _binds(state), _evictions(state), _keeps(state)
    tree = state.ledger.tree
    shares = sorted(
        (spec.name, (tree.fair[row][0], tree.fair[row][1], tree.fair[row][2]))
        for row, spec in enumerate(state.snapshot.queues)
    )
    counters = Counters(
        searches=state.searches,
        probes=state.probes,
        most_probes=state.most_probes,
        ledger_ops=state.ledger.ops,
        classes=state.placer.classes,
    )
    return Plan(
        digest=state.snapshot.digest,
        commands=(*keeps, *evictions, *binds),
        outcomes=_outcomes(state),
        fair_share=tuple(shares),
        counters=counters,
    )


def _binds(state: State) -> list[Bind]:
    ledger, snapshot = state.ledger, state.snapshot
    found = []
    for group in sorted(state.changed):
        for pod in group_pods(ledger, group):
            if ledger.kind[pod] == BOUND:
                shared = tuple(ledger.device_name[device] for device in ledger.shared_of(pod))
                value = snapshot.pods[pod]
                node = snapshot.nodes[ledger.place_node[pod]].name
                found.append(Bind(pod=value.uid, node=node, shared=shared, claims=value.claims))  # type: ignore[arg-type]  # names are ids
    return found


def _evictions(state: State) -> list[Evict]:
    ledger, snapshot = state.ledger, state.snapshot
    found = []
    for pod, (action, group) in state.because.items():
        if not ledger.evicted[pod] or ledger.base_status[pod] == PodStatus.HELD:
            continue
        to = snapshot.nodes[ledger.place_node[pod]].name if ledger.kind[pod] != NOWHERE else ""
        uid = snapshot.groups[group].uid if group >= 0 else Uid("")
        found.append(Evict(pod=snapshot.pods[pod].uid, action=action, for_group=uid, moved_to=to))  # type: ignore[arg-type]
    return found


def _keeps(state: State) -> list[Keep]:
    """The promises of every group that has pipelined pods (with those it had already), and None for groups that lost theirs."""
    ledger, snapshot = state.ledger, state.snapshot
    found = []
    for group in sorted(state.changed):
        pods = group_pods(ledger, group)
        held = [pod for pod in pods if ledger.kind[pod] == PIPELINED or _keeps_hold(state, pod)]
        if held:
            places = tuple(
                (
                    snapshot.pods[pod].uid,
                    snapshot.nodes[ledger.node_of(pod)].name,
                    tuple(ledger.device_name[device] for device in ledger.shared_of(pod)),
                )
                for pod in held
            )
            victims = tuple(snapshot.pods[pod].uid for pod in state.holders.get(group, ()) if ledger.evicted[pod])
            hold = Hold(places=places, victims=victims, deadline=state.now + state.policy.hold_timeout)  # type: ignore[arg-type]
            found.append(Keep(group=snapshot.groups[group].uid, hold=hold))
        elif snapshot.groups[group].hold is not None or any(ledger.base_status[pod] == PodStatus.HELD for pod in pods):
            found.append(Keep(group=snapshot.groups[group].uid, hold=None))
    return found


def _keeps_hold(state: State, pod: int) -> bool:
    return state.ledger.base_status[pod] == PodStatus.HELD and not state.ledger.evicted[pod]


def _why_skipped(group: PodGroup) -> Reason:
    if group.unsupported:
        return Reason(code=Code.UNSUPPORTED, action=Action.ALLOCATE, subject=group.unsupported)
    if group.lacks:
        return Reason(code=Code.VOLUME, action=Action.ALLOCATE, subject=group.lacks)
    if group.untold:
        return Reason(code=Code.NOT_ADMITTED, action=Action.ALLOCATE)
    if group.set_aside:
        return Reason(code=Code.INTERNAL, action=Action.ALLOCATE)
    return Reason(code=Code.BACKING_OFF, action=Action.ALLOCATE, subject=group.bind_failure, wanted=group.failed_binds)


def _outcomes(state: State) -> tuple[Outcome, ...]:
    ledger, snapshot = state.ledger, state.snapshot
    wanted = set(snapshot.p.group[(snapshot.p.status <= PodStatus.HELD)].tolist())
    found = []
    for group in sorted(wanted | state.changed):
        state.current = group
        pods = group_pods(ledger, group)
        waits = any(ledger.is_waiting(pod, simulated=False) for pod in pods)
        reasons: tuple[Reason, ...] = ()
        if group in state.skipped:
            why = _why_skipped(snapshot.groups[group])
            found.append(Outcome(group=snapshot.groups[group].uid, result="skipped", reasons=(why,)))
            continue
        if waits:
            reasons = (*standing_reasons(state, group), *state.reasons.get(group, ()))
        if any(ledger.kind[pod] == PIPELINED or _keeps_hold(state, pod) for pod in pods):
            found.append(Outcome(group=snapshot.groups[group].uid, result="held", reasons=reasons))
        elif any(ledger.kind[pod] == BOUND for pod in pods):
            found.append(Outcome(group=snapshot.groups[group].uid, result="bound", reasons=reasons))
        elif any(ledger.evicted[pod] and ledger.base_status[pod] != PodStatus.HELD for pod in pods):
            found.append(Outcome(group=snapshot.groups[group].uid, result="evicted", reasons=reasons))
        elif waits or any(ledger.base_status[pod] == PodStatus.GATED for pod in pods):
            found.append(Outcome(group=snapshot.groups[group].uid, result="waiting", reasons=reasons))
    return tuple(found)
