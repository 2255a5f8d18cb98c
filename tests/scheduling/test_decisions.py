"""Rules of a decision that the scenario files do not show: holds, reasons, bugs, limits of a search, growth of the work."""

from __future__ import annotations

import msgspec
import pytest
from tests.build import GIB, a_class, a_cluster, a_gang, a_node, a_queue

from fairlead.model import (
    KAI_POLICY,
    Action,
    Bind,
    Code,
    Evict,
    Hold,
    Keep,
    NodeName,
    Plan,
    PodStatus,
    Policy,
    Reason,
    Snapshot,
    Uid,
)
from fairlead.scheduling import DecisionError, cycle, decide
from fairlead.scheduling.invariants import apply_plan, violations
from fairlead.scheduling.rules.state import State

NOW = 1_000_000.0
PACKED = Policy(placement_gpu="binpack", placement_cpu="binpack", placement_device="binpack")


def plan_of(snapshot: Snapshot, policy: Policy = PACKED, now: float = NOW) -> Plan:
    return decide(snapshot, policy, now)[0]


def reasons_of(plan: Plan, group: str) -> set[Code]:
    return {reason.code for outcome in plan.outcomes if outcome.group == group for reason in outcome.reasons}


def a_reclaim() -> Snapshot:
    gangs = [a_gang("v", "lend", a_class(2), on="n1"), a_gang("t", "own", a_class(2))]
    return a_cluster([a_node("n1", 2)], [a_queue("lend", 0), a_queue("own", 2)], gangs)


def test_a_promise_is_written_before_the_eviction_it_justifies() -> None:
    commands = plan_of(a_reclaim()).commands
    assert [type(command) for command in commands] == [Keep, Evict]


def test_a_promise_is_bound_once_its_place_is_free() -> None:
    after = apply_plan(a_reclaim(), plan_of(a_reclaim()))
    left = [pod for pod in after.pods if pod.status != PodStatus.RELEASING]
    gangs = [(group, [pod for pod in left if pod.group == group.uid]) for group in after.groups]
    freed = a_cluster([a_node("n1", 2)], list(after.queues), gangs)
    assert [pod.status for pod in freed.pods] == [PodStatus.HELD]
    assert [command for command in plan_of(freed).commands if isinstance(command, Bind)] == [
        Bind(pod=Uid("t-0"), node=NodeName("n1"))
    ]


def test_a_promise_waits_while_its_place_is_being_freed_and_evicts_nobody_again() -> None:
    after = apply_plan(a_reclaim(), plan_of(a_reclaim()))
    again = plan_of(after)
    assert again.commands == ()
    assert {outcome.result for outcome in again.outcomes if outcome.group == "t"} == {"held"}


def test_a_promise_whose_time_is_up_is_dropped() -> None:
    group, pods = a_gang("t", "q", a_class(2), on="n1", status=PodStatus.HELD)
    hold = Hold(places=((pods[0].uid, NodeName("n1"), ()),), victims=(), deadline=NOW - 1)
    held = (msgspec.structs.replace(group, hold=hold), pods)
    stuck = a_gang("v", "q", a_class(2), on="n1", status=PodStatus.RELEASING)
    plan = plan_of(a_cluster([a_node("n1", 2), a_node("n2", 2)], [a_queue("q", 4)], [held, stuck]))
    assert Bind(pod=Uid("t-0"), node=NodeName("n2")) in plan.commands
    assert Keep(group=Uid("t"), hold=None) in plan.commands


def test_everything_that_stands_in_the_way_is_named() -> None:
    gangs = [a_gang("r", "q", a_class(1), on="n1"), a_gang("t", "q", a_class(2))]
    plan = plan_of(a_cluster([a_node("n1", 2)], [a_queue("q", 1, limit=1)], gangs))
    assert {Code.OVER_LIMIT, Code.OVER_FAIR_SHARE, Code.NO_ROOM} <= reasons_of(plan, "t")


def test_a_missing_queue_a_department_and_a_short_gang_are_told_apart() -> None:
    gangs = [a_gang("m", "none", a_class(1)), a_gang("d", "d", a_class(1)), a_gang("s", "d/q", a_class(1), minimum=2)]
    plan = plan_of(a_cluster([a_node("n1")], [a_queue("d", 4), a_queue("d/q", 4)], gangs))
    found = [reasons_of(plan, name) for name in ("m", "d", "s")]
    assert found == [{Code.QUEUE_MISSING}, {Code.QUEUE_NOT_LEAF}, {Code.GANG_INCOMPLETE}]


def test_a_group_set_aside_or_backing_off_is_skipped_and_said_so() -> None:
    group, pods = a_gang("t", "q", a_class(1))
    for change, code in (({"set_aside": True}, Code.INTERNAL), ({"retry_at": NOW + 5}, Code.BACKING_OFF)):
        plan = plan_of(a_cluster([a_node("n1")], [a_queue("q", 4)], [(msgspec.structs.replace(group, **change), pods)]))
        assert plan.commands == ()
        assert reasons_of(plan, "t") == {code}


def test_a_bug_names_the_group_it_was_met_with(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(state: State) -> None:
        state.current = 0
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(cycle, "keep_promises", broken)
    snapshot = a_cluster([a_node("n1")], [a_queue("q", 4)], [a_gang("t", "q", a_class(1))])
    with pytest.raises(DecisionError, match="ZeroDivisionError") as caught:
        decide(snapshot, PACKED, NOW)
    assert caught.value.group == "t"


def test_where_no_queue_may_give_no_search_begins() -> None:
    gangs = [a_gang("r", "rich", a_class(1), pods=8, on="n1"), a_gang("t", "own", a_class(8))]
    both_owed = a_cluster([a_node("n1", 8)], [a_queue("rich", 8), a_queue("own", 8)], gangs)
    plan = plan_of(both_owed, msgspec.structs.replace(PACKED, actions=(Action.RECLAIM,)))
    assert (plan.counters.searches, Code.WOULD_STARVE in reasons_of(plan, "t")) == (0, True)


def test_devices_of_a_closed_node_are_no_room_to_move_others_for() -> None:
    nodes = [a_node("away", 8, ready=False), a_node("closed", 8, unschedulable=True), a_node("n1", 4)]
    gangs = [a_gang("r", "q", a_class(4), on="n1"), a_gang("t", "q", a_class(1))]
    plan = plan_of(
        a_cluster(nodes, [a_queue("q", 4)], gangs), msgspec.structs.replace(PACKED, actions=(Action.CONSOLIDATE,))
    )
    assert (plan.counters.searches, Code.NO_ROOM in reasons_of(plan, "t")) == (0, True)


def test_the_same_memory_on_equal_devices_is_counted_before_anybody_is_moved() -> None:
    gangs = [a_gang("r", "q", a_class(4), on="n1"), a_gang("t", "q", a_class(gpu_memory=10_000))]
    snapshot = a_cluster([a_node("n1", 4, gpu_memory_mib=80_000)], [a_queue("q", 4)], gangs)
    plan = plan_of(snapshot, msgspec.structs.replace(PACKED, actions=(Action.CONSOLIDATE,)))
    assert (plan.counters.searches, Code.NO_ROOM in reasons_of(plan, "t")) == (0, True)


def test_nobody_is_moved_for_a_group_that_its_limit_stops() -> None:
    gangs = [a_gang("r", "q", a_class(1), on="n1"), a_gang("s", "q", a_class(1), on="n2"), a_gang("t", "q", a_class(2))]
    snapshot = a_cluster([a_node("n1", 2), a_node("n2", 2)], [a_queue("q", 2, limit=2)], gangs)
    plan = plan_of(snapshot, msgspec.structs.replace(PACKED, actions=(Action.CONSOLIDATE,)))
    assert (plan.counters.searches, Code.OVER_LIMIT in reasons_of(plan, "t")) == (0, True)


def test_a_bug_met_while_reasons_are_gathered_names_its_group_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_state: State, _group: int) -> tuple[Reason, ...]:
        raise IndexError("oh")

    monkeypatch.setattr(cycle, "standing_reasons", broken)
    gangs = [a_gang("fits", "q", a_class(1)), a_gang("t", "q", a_class(9))]
    with pytest.raises(DecisionError, match="IndexError") as caught:
        decide(a_cluster([a_node("n1")], [a_queue("q", 4)], gangs), PACKED, NOW)
    assert caught.value.group == "t"


def test_a_search_that_may_look_no_further_says_so() -> None:
    gangs = [a_gang(f"v{at}", "lend", a_class(1), on="n1") for at in range(8)] + [a_gang("t", "own", a_class(8))]
    snapshot = a_cluster([a_node("n1", 8)], [a_queue("lend", 0), a_queue("own", 8)], gangs)
    assert any(isinstance(command, Evict) for command in plan_of(snapshot).commands)
    assert Code.SEARCH_LIMIT in reasons_of(plan_of(snapshot, msgspec.structs.replace(PACKED, max_probes=0)), "t")


@pytest.mark.parametrize("count", [10, 20, 40, 80])
def test_work_grows_with_what_is_placed_and_evicted_only(count: int) -> None:
    nodes = [a_node(f"n{at:03d}") for at in range(count)]
    gangs = [a_gang(f"v{at:04d}", "lend", a_class(1), on=f"n{at // 8:03d}") for at in range(8 * count)]
    gangs.append(a_gang("t", "own", a_class(8), pods=count // 10))
    plan = plan_of(a_cluster(nodes, [a_queue("lend", 0), a_queue("own", 8 * count)], gangs))
    victims = sum(isinstance(command, Evict) for command in plan.commands)
    assert victims == 8 * (count // 10)
    assert plan.counters.most_probes <= 64
    assert plan.counters.ledger_ops <= 8 * (victims + count // 10)


def test_a_gang_that_cannot_be_had_whole_leaves_no_trace() -> None:
    plan = plan_of(a_cluster([a_node("n1", 4)], [a_queue("q", 8)], [a_gang("t", "q", a_class(2), pods=3)]), KAI_POLICY)
    assert plan.commands == ()


def test_a_plan_over_capacity_is_found_out() -> None:
    snapshot = a_cluster(
        [a_node("n1", 1)], [a_queue("q", 4)], [a_gang("a", "q", a_class(1)), a_gang("b", "q", a_class(1))]
    )
    commands = tuple(Bind(pod=Uid(f"{name}-0"), node=NodeName("n1")) for name in "ab")
    wrong = msgspec.structs.replace(plan_of(snapshot), commands=commands)
    assert "node-over-resource" in {
        violation.rule for violation in violations(snapshot, PACKED, NOW, wrong, again=False)
    }


def test_evicting_the_protected_or_for_nobody_is_found_out() -> None:
    gangs = [a_gang("v", "q", a_class(1), on="n1", priority=100), a_gang("t", "q", a_class(1))]
    snapshot = a_cluster([a_node("n1", 1)], [a_queue("q", 4)], gangs)
    wrong = msgspec.structs.replace(
        plan_of(snapshot), commands=(Evict(pod=Uid("v-0"), action=PACKED.actions[2], for_group=Uid("t")),)
    )
    rules = {violation.rule for violation in violations(snapshot, PACKED, NOW, wrong, again=False)}
    assert {"non-preemptible-evicted", "evicted-for-nothing"} <= rules


def test_room_made_so_that_a_victim_may_stay_is_made_for_whoever_took_its_place() -> None:
    gangs = [
        a_gang("taker", "south/blue", a_class(1, memory=16 * GIB), pods=4, age=80),
        a_gang("grows", "north/green", a_class(2), pods=3, minimum=2, on=["n2", "n2", None], age=70),
        a_gang("fixed-red", "north/red", a_class(2), priority=100, on="n0", age=60),
        a_gang("kept", "north/red", a_class(2), pods=2, minimum=1, priority=75, on=["n1", None], age=50),
        a_gang("part", "south/blue", a_class(0.6), on="n0", shared=("n0-a",), age=40),
        a_gang("fixed-blue", "south/blue", a_class(1, memory=16 * GIB), on="n2", priority=100, age=30),
        a_gang("gives", "north/green", a_class(2), on="n1", age=20),
        a_gang("moves", "north/red", a_class(gpu_memory=40_000, memory=16 * GIB), on="n2", shared=("n2-a",), age=10),
    ]
    departments = [a_queue("north", 8), a_queue("south", 8)]
    projects = [a_queue("south/blue", 3, weight=1.0), a_queue("north/green", 0), a_queue("north/red", 1, limit=6)]
    nodes = [a_node(f"n{at}", gpus, memory=63 * GIB, gpu_memory_mib=81_920) for at, gpus in enumerate((4, 4, 8))]
    snapshot = a_cluster(nodes, [*departments, *projects], gangs)
    plan = plan_of(snapshot, Policy())
    found = {(command.pod, command.for_group) for command in plan.commands if isinstance(command, Evict)}
    assert found == {("moves-0", "taker"), ("gives-0", "taker")}
    assert not violations(snapshot, Policy(), NOW, plan, again=False)
