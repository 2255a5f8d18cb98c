"""Why a group waits, and what would start it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.build import GIB, a_class, a_cluster, a_gang, a_node, a_queue
from tests.strategies import clusters

from fairlead.model import Code, NodeRule, Policy, Snapshot, Uid, with_group, with_queue
from fairlead.scheduling import decide
from fairlead.scheduling.bisection import least_count
from fairlead.scheduling.explain import Explanation, Fix, explain

NOW = 1_000_000.0


def ask(snapshot: Snapshot, group: str = "t") -> Explanation:
    return explain(snapshot, Policy(), NOW, Uid(group))


def fixes(snapshot: Snapshot) -> dict[str, Fix]:
    return {fix.kind: fix for fix in ask(snapshot).fixes}


@given(st.integers(0, 300), st.integers(1, 320), st.integers(-5, 400))
def test_the_least_amount_is_found_from_any_guess_with_few_decisions(most: int, threshold: int, guess: int) -> None:
    asked = []

    def holds(count: int) -> bool:
        asked.append(count)
        return count >= threshold

    found = least_count(holds, most, guess)
    assert found == (threshold if threshold <= most else 0)
    assert len(asked) <= 2 * most.bit_length() + 4
    if guess == threshold <= most:
        assert len(asked) <= 3


def test_a_limit_is_raised_by_no_more_than_needed() -> None:
    gangs = [a_gang("r", "q", a_class(1), on="n1"), a_gang("t", "q", a_class(2))]
    fix = fixes(a_cluster([a_node("n1")], [a_queue("q", 8, limit=2)], gangs))["raise-limit"]
    assert (fix.subject, fix.resource, fix.before, fix.amount, fix.starts) == ("q", "gpu", 2000, 3000, "now")


def test_a_selector_line_that_excludes_all_room_is_named() -> None:
    picky = a_class(1, rule=NodeRule(selector=(("pool", "a"), ("zone", "x"))))
    node = a_node("n1", labels={"pool": "b", "zone": "x"})
    fix = fixes(a_cluster([node], [a_queue("q", 8)], [a_gang("t", "q", picky)]))["drop-selector"]
    assert fix.subject == "pool=a"


def test_a_gang_that_is_too_large_could_start_smaller_or_on_more_nodes() -> None:
    found = fixes(a_cluster([a_node("n1", 4)], [a_queue("q", 8)], [a_gang("t", "q", a_class(2), pods=4)]))
    assert (found["lower-minimum"].before, found["lower-minimum"].amount) == (4, 2)
    assert found["add-nodes"].amount == 1
    assert (found["ask-less"].resource, found["ask-less"].amount) == ("gpu", 1000)


def test_a_higher_priority_says_whom_it_would_evict() -> None:
    gangs = [a_gang("r", "q", a_class(8), on="n1"), a_gang("t", "q", a_class(8))]
    fix = fixes(a_cluster([a_node("n1")], [a_queue("q", 8)], gangs))["raise-priority"]
    assert (fix.amount, fix.evicts, fix.starts) == (75, ("r-0",), "when victims are gone")


def test_fixed_work_over_quota_could_be_preemptible() -> None:
    found = fixes(a_cluster([a_node("n1")], [a_queue("q", 1)], [a_gang("t", "q", a_class(2), priority=100)]))
    assert {"make-preemptible", "raise-deserved"} <= set(found)
    assert found["raise-deserved"].amount == 2000


def test_place_in_line_counts_those_that_come_first() -> None:
    waiting = [a_gang(name, "q", a_class(8), age=age) for name, age in (("o", 9.0), ("t", 5.0), ("y", 1.0))]
    gangs = [a_gang("r", "q", a_class(8), on="n1"), *waiting]
    assert ask(a_cluster([a_node("n1")], [a_queue("q", 8)], gangs)).ahead == 1


def test_a_group_that_nobody_knows_is_refused() -> None:
    with pytest.raises(KeyError):
        ask(a_cluster([a_node("n1")], [], []))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clusters(fractions=False))
def test_every_suggestion_applied_starts_the_group(snapshot: Snapshot) -> None:
    for outcome in decide(snapshot, Policy(), NOW)[0].outcomes:
        if outcome.result != "waiting":
            continue
        for fix in ask(snapshot, outcome.group).fixes:
            changed = apply_fix(snapshot, outcome.group, fix)
            if changed is not None:
                results = {one.group: one.result for one in decide(changed, Policy(), NOW)[0].outcomes}
                assert results[outcome.group] in ("bound", "held"), fix


def apply_fix(snapshot: Snapshot, uid: Uid, fix: Fix) -> Snapshot | None:
    """The cluster with the change made, for changes of one group or queue; None for the others."""
    group = next(one for one in snapshot.groups if one.uid == uid)
    if fix.kind == "raise-priority":
        return with_group(snapshot, msgspec.structs.replace(group, priority=fix.amount))
    if fix.kind in ("make-preemptible", "make-non-preemptible"):
        return with_group(snapshot, msgspec.structs.replace(group, preemptible=fix.kind == "make-preemptible"))
    if fix.kind == "lower-minimum":
        leaf = msgspec.structs.replace(group.subgroups[0], min_member=fix.amount)
        return with_group(snapshot, msgspec.structs.replace(group, subgroups=(leaf,)))
    if fix.kind in ("raise-limit", "raise-deserved"):
        field, axis = fix.kind.removeprefix("raise-"), ("gpu", "cpu", "memory").index(fix.resource)
        queue = next(one for one in snapshot.queues if one.name == fix.subject)
        quota = getattr(queue, field)
        return with_queue(
            snapshot, msgspec.structs.replace(queue, **{field: (*quota[:axis], fix.amount, *quota[axis + 1 :])})
        )
    return None


def test_what_no_node_is_large_enough_for_is_named_and_mended_though_all_gpus_are_busy() -> None:
    gangs = [
        a_gang("r", "q", a_class(8), on="n1", priority=125),
        a_gang("t", "q", a_class(1, memory=900 * GIB)),
    ]
    found = ask(a_cluster([a_node("n1")], [a_queue("q", 8)], gangs))
    named = {(reason.code, reason.resource): (reason.wanted, reason.available) for reason in found.reasons}
    assert named[Code.TOO_LARGE, "memory"] == (900 * GIB, 512 * GIB)
    assert named[Code.NO_ROOM, "gpu"] == (1000, 0)
    less = {fix.kind: fix for fix in found.fixes}["ask-less"]
    assert (less.resource, less.amount, less.starts) == ("memory", 512 * GIB, "when others end")


def test_more_gpus_than_any_node_has_are_named_as_such_whatever_is_free() -> None:
    gangs = [a_gang("r", "q", a_class(3), on="n1"), a_gang("t", "q", a_class(5))]
    found = ask(a_cluster([a_node("n1", 4), a_node("n2", 4)], [a_queue("q", 8)], gangs))
    assert [(r.code, r.wanted, r.available) for r in found.reasons if r.resource == "gpu"] == [
        (Code.TOO_LARGE, 5000, 4000)
    ]
    assert {fix.kind: (fix.amount, fix.starts) for fix in found.fixes}["ask-less"] == (4000, "now")


def test_what_its_node_rules_leave_no_node_for_still_says_that_it_is_too_large() -> None:
    picky = a_class(5, rule=NodeRule(selector=(("zone", "x"),)))
    found = ask(a_cluster([a_node("n1", 4)], [a_queue("q", 8)], [a_gang("t", "q", picky)]))
    assert {Code.NODE_RULE, Code.TOO_LARGE} <= {reason.code for reason in found.reasons}


def test_more_gpus_than_any_node_has_are_mended_though_all_are_busy() -> None:
    gangs = [a_gang("r", "q", a_class(4), on="n1", priority=125), a_gang("t", "q", a_class(5))]
    less = fixes(a_cluster([a_node("n1", 4)], [a_queue("q", 8)], gangs))["ask-less"]
    assert (less.resource, less.before, less.amount, less.starts) == ("gpu", 5000, 4000, "when others end")


def test_a_cordoned_node_that_would_take_it_may_be_opened_again() -> None:
    nodes = [a_node("n1", unschedulable=True), a_node("n2", 0)]
    fix = fixes(a_cluster(nodes, [a_queue("q", 8)], [a_gang("t", "q", a_class(1))]))["uncordon"]
    assert (fix.subject, fix.starts) == ("n1", "now")


def test_a_cluster_without_nodes_is_said_to_have_none() -> None:
    found = ask(a_cluster([], [a_queue("q", 8)], [a_gang("t", "q", a_class(1))]))
    assert (Code.NODE_STATE, 0) in {(reason.code, reason.nodes) for reason in found.reasons}


def test_nobody_is_said_to_be_protected_where_nobody_runs() -> None:
    found = ask(a_cluster([a_node("n1", 2)], [a_queue("q", 8)], [a_gang("t", "q", a_class(4))]))
    assert Code.VICTIMS_PROTECTED not in {reason.code for reason in found.reasons}


def test_less_memory_of_a_device_is_asked_where_none_is_large_enough() -> None:
    node = a_node("n1", gpu_memory_mib=40 << 10)
    gang = a_gang("t", "q", a_class(gpu_memory=100 << 10))
    fix = fixes(a_cluster([node], [a_queue("q", 8)], [gang]))["ask-less"]
    assert (fix.resource, fix.before >> 10, fix.amount >> 10) == ("gpu-memory", 100, 40)


def test_a_smaller_part_of_a_device_is_asked_where_that_much_is_left() -> None:
    node = a_node("n1", 1, gpu_memory_mib=40 << 10)
    running = a_gang("r", "q", a_class(0.6), on="n1", priority=100, shared=("g1",))
    fix = fixes(a_cluster([node], [a_queue("q", 8)], [running, a_gang("t", "q", a_class(0.5))]))["ask-less"]
    assert (fix.resource, fix.before, fix.amount) == ("gpu", 500, 400)


def test_each_line_of_a_rule_is_named_with_the_nodes_it_leaves_out() -> None:
    taints = (("dedicated", "ml", "NoSchedule"),)
    nodes = [a_node("n1", labels={"zone": "a"}, taints=taints), a_node("n2", taints=taints), a_node("n3")]
    picky = a_class(1, rule=NodeRule(selector=(("zone", "a"),)))
    found = ask(a_cluster(nodes, [a_queue("q", 8)], [a_gang("t", "q", picky)]))
    rules = {reason.subject: reason.nodes for reason in found.reasons if reason.code == Code.NODE_RULE}
    assert rules == {"selector zone=a": 2, "taint dedicated=ml:NoSchedule": 2}


def test_a_gang_that_fits_in_part_is_told_how_many_of_its_pods_have_room() -> None:
    nodes = [a_node("n1"), a_node("n2"), a_node("n3")]
    found = ask(a_cluster(nodes, [a_queue("q", 99)], [a_gang("t", "q", a_class(8), pods=5)]))
    told = [(reason.wanted, reason.available) for reason in found.reasons if reason.code == Code.NO_ROOM]
    assert (5, 3) in told
    assert Code.GANG_INCOMPLETE not in {reason.code for reason in found.reasons}


def test_nodes_that_nothing_new_may_run_on_are_counted_by_their_state() -> None:
    nodes = [a_node("n1", ready=False), a_node("n2", unschedulable=True), a_node("n3", unschedulable=True)]
    found = ask(a_cluster(nodes, [a_queue("q", 8)], [a_gang("t", "q", a_class(1))]))
    states = {reason.subject: reason.nodes for reason in found.reasons if reason.code == Code.NODE_STATE}
    assert states == {"not ready": 1, "closed to new work (cordoned)": 2}
