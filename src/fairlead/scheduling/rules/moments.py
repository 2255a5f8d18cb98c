"""Moments: when a rule that looks at the clock answers otherwise, though nothing but time has changed.

Every rule that compares with the time is here; one that is missing would let a plan be kept for too long.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from fairlead.model import PodGroup, Policy, Snapshot


def next_moment(snapshot: Snapshot, policy: Policy, now: float) -> float:
    """The first moment after `now` at which a decision on this snapshot may turn out another one; infinite = never."""
    runtimes = _runtimes(snapshot, policy)
    found = (moment for group in snapshot.groups for moment in _moments(group, policy, runtimes))
    return min((moment for moment in found if moment > now), default=inf)


def stale_at(since: float, policy: Policy) -> float:
    """When a gang that is stale since then has been so for long enough."""
    return since + policy.stale_grace


def _moments(group: PodGroup, policy: Policy, runtimes: set[float]) -> Iterator[float]:
    """End of a back-off, of a promise, of the grace time of a stale gang, and of every protected time there is."""
    yield group.retry_at
    if group.hold is not None:
        yield group.hold.deadline
    if group.stale_since is not None:
        yield stale_at(group.stale_since, policy)
    if group.started is not None:
        for least in runtimes:
            yield group.started + least


def _runtimes(snapshot: Snapshot, policy: Policy) -> set[float]:
    found = {policy.preempt_min_runtime, policy.reclaim_min_runtime}
    for queue in snapshot.queues:
        found |= {least for least in (queue.preempt_min_runtime, queue.reclaim_min_runtime) if least}
    return found
