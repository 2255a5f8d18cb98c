"""Explain: why a group waits, and the smallest single changes that would start it, each proven by deciding again on the changed state.

"Locally minimal, proven on the current state": every amount is the least of its own kind, found by bisection over
decisions; combinations of two changes are not searched.
"""

from __future__ import annotations

from typing import Literal

from fairlead.model import Policy, Reason, Snapshot, Uid, Value
from fairlead.scheduling.cycle import decide
from fairlead.scheduling.fixes import PROOF, Case, Fix, evicted_for, fixes
from fairlead.scheduling.ledger import group_pods
from fairlead.scheduling.rules.causes import standing_reasons
from fairlead.scheduling.rules.state import State


class Explanation(Value, frozen=True, kw_only=True):
    """Answer for one group, on one snapshot."""

    group: Uid
    result: Literal["bound", "held", "waiting", "evicted", "skipped", "running"]
    reasons: tuple[Reason, ...] = ()
    """Every blocking cause, outermost first."""
    ahead: int = 0
    """Groups of its queue that come before it."""
    evicts: tuple[Uid, ...] = ()
    """Who this very decision evicts for it."""
    fixes: tuple[Fix, ...] = ()


def explain(snapshot: Snapshot, policy: Policy, now: float, group_uid: Uid) -> Explanation:
    """Why the group waits, who is ahead, and what would start it.

    Raises: KeyError for a group that the snapshot does not hold.
    """
    if all(group.uid != group_uid for group in snapshot.groups):
        raise KeyError(group_uid)
    plan = decide(snapshot, policy, now)[0]
    outcome = next((one for one in plan.outcomes if one.group == group_uid), None)
    if outcome is None:
        return Explanation(group=group_uid, result="running")
    case = Case(snapshot, policy, now, group_uid)
    case.reasons = outcome.reasons
    return Explanation(
        group=group_uid,
        result=outcome.result,
        reasons=outcome.reasons or _standing(case),
        ahead=_ahead(case),
        evicts=evicted_for(plan, group_uid),
        fixes=tuple(fixes(case)) if outcome.result == "waiting" else (),
    )


def _standing(case: Case) -> tuple[Reason, ...]:
    state = State(case.snapshot, case.policy, case.now)
    return standing_reasons(state, case.snapshot.groups.index(case.group))


def _ahead(case: Case) -> int:
    """Waiting groups of the same queue that are served before it."""
    state = State(case.snapshot, case.policy, case.now)
    row = case.snapshot.groups.index(case.group)
    mine, queue = state.job_key(row), state.ledger.queue_of[row]
    others = (one for one in state.pending_groups() if state.ledger.queue_of[one] == queue)
    return sum(state.job_key(one) < mine and bool(group_pods(state.ledger, one)) for one in others)


__all__ = ["PROOF", "Explanation", "Fix", "evicted_for", "explain"]
