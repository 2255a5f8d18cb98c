"""When a plan that was made may no longer hold, though nothing but time has changed."""

from __future__ import annotations

from math import inf
from typing import Any

import msgspec
import pytest
from tests.build import a_class, a_cluster, a_gang, a_node, a_queue

from fairlead.model import Hold, Policy, Snapshot, Warm
from fairlead.scheduling import decide
from fairlead.scheduling.rules.moments import next_moment

NOW = 1_000_000.0
PATIENT = Policy(stale_grace=60.0, reclaim_min_runtime=300.0)


def one_that(**is_: Any) -> Snapshot:
    group, pods = a_gang("t", "q", a_class(9))
    return a_cluster([a_node("n1")], [a_queue("q", 4)], [(msgspec.structs.replace(group, **is_), pods)])


@pytest.mark.parametrize(
    ("is_", "moment"),
    [
        ({}, inf),
        ({"retry_at": NOW + 7}, NOW + 7),
        ({"retry_at": NOW}, inf),
        ({"stale_since": NOW - 20}, NOW + 40),
        ({"started": NOW - 20}, NOW + 280),
        ({"started": NOW - 400}, inf),
        ({"hold": Hold(places=(), victims=(), deadline=NOW + 3)}, NOW + 3),
        ({"stale_since": NOW - 20, "retry_at": NOW + 7}, NOW + 7),
    ],
)
def test_the_next_moment_is_the_first_that_a_rule_waits_for(is_: dict[str, Any], moment: float) -> None:
    assert next_moment(one_that(**is_), PATIENT, NOW) == moment


def test_the_runtime_of_a_queue_is_a_moment_too() -> None:
    gang = a_gang("t", "q", a_class(1), on="n1")
    group = msgspec.structs.replace(gang[0], started=NOW - 1)
    snapshot = a_cluster([a_node("n1")], [a_queue("q", 4, preempt_min_runtime=5.0)], [(group, gang[1])])
    assert next_moment(snapshot, Policy(), NOW) == NOW + 4


def test_a_plan_is_kept_until_that_moment_for_that_snapshot_and_policy_alone() -> None:
    snapshot = one_that(retry_at=NOW + 7)
    plan, warm = decide(snapshot, PATIENT, NOW)
    assert decide(snapshot, PATIENT, NOW + 6, warm)[0] is plan
    assert decide(snapshot, PATIENT, NOW + 7, warm)[0] is not plan
    assert decide(snapshot, PATIENT, NOW - 1, warm)[0] is not plan
    assert decide(snapshot, Policy(), NOW, warm)[0] is not plan
    assert decide(one_that(retry_at=NOW + 8), PATIENT, NOW, warm)[0] is not plan


def test_a_plan_that_makes_promises_is_not_kept_for_their_deadlines_count_from_now() -> None:
    gangs = [a_gang("v", "lend", a_class(8), on="n1"), a_gang("t", "own", a_class(8))]
    snapshot = a_cluster([a_node("n1", 8)], [a_queue("lend", 0), a_queue("own", 8)], gangs)
    assert decide(snapshot, Policy(), NOW)[1] == Warm()
