"""Moments: when a rule that looks at the clock answers otherwise, though nothing but time has changed.

Every rule that compares with the time is here; one that is missing would let a plan be kept for too long.
"""

from __future__ import annotations

from math import inf

from fairlead.model import PodGroup, Policy, Snapshot


def next_moment(snapshot: Snapshot, policy: Policy, now: float) -> float:
    """The first moment after `now` at which a decision on this snapshot may turn out another one; infinite = never."""
    own = (moment for group in snapshot.groups for moment in _moments(group, policy))
    soonest = min((moment for moment in own if moment > now), default=inf)
    for least in _runtimes(snapshot, policy):
        ends = snapshot.j.started + least
        soonest = min(soonest, float(ends.min(where=ends > now, initial=inf)))
    return soonest


def stale_at(since: float, policy: Policy) -> float:
    """When a gang that is stale since then has been so for long enough."""
    return since + policy.stale_grace


def _moments(group: PodGroup, policy: Policy) -> list[float]:
    """End of a back-off, of a promise, and of the grace time of a stale gang. Ends of protected times are found by columns."""
    if group.hold is None and group.stale_since is None:
        return [group.retry_at] if group.retry_at else []
    promise = [] if group.hold is None else [group.hold.deadline]
    grace = [] if group.stale_since is None else [stale_at(group.stale_since, policy)]
    return [group.retry_at, *promise, *grace]


def _runtimes(snapshot: Snapshot, policy: Policy) -> set[float]:
    found = {policy.preempt_min_runtime, policy.reclaim_min_runtime}
    for queue in snapshot.queues:
        found |= {least for least in (queue.preempt_min_runtime, queue.reclaim_min_runtime) if least}
    return found
