"""What was expected against what came, as sentences."""

from tests.simulator.build import a_scenario

from fairlead.model import UNLIMITED, Action, Code, Outcome, Plan, QueueName, Reason
from fairlead.simulator import expected
from fairlead.simulator.commands import Command
from fairlead.simulator.world import World

RUN = (
    'running: [{gang: v, queue: ai, gpu: 2, node: n1, pods: 2}, {gang: "f[0-1]", queue: ai, gpu: 0.5, node: n2, device: a}]\n'
    "pending: [{gang: t, queue: ai, gpu: 4}]\nexpect:\n  "
)


def a_world(expect: str) -> World:
    return World(a_scenario(RUN + expect))


def test_states_that_hold_say_nothing_and_others_say_both() -> None:
    good = a_world("state: {v: running on n1, v-0: running, t: pending}")
    assert not list(expected.state_failures(good, good.scenario.expect))
    bad = a_world("state: {v: running on n2}")
    assert list(expected.state_failures(bad, bad.scenario.expect)) == [
        "state: v (pod v-0) is running on n1, expected running on n2",
        "state: v (pod v-1) is running on n1, expected running on n2",
    ]


def test_counts_of_states_are_compared() -> None:
    world = a_world("state: {v: {running: 1}}")
    assert list(expected.state_failures(world, world.scenario.expect)) == [
        "state: v has 2 pods running, expected 1; it has 2 running on n1"
    ]


def test_many_failures_are_cut_to_a_dozen() -> None:
    scenario = a_scenario('pending: [{gang: "t[0-99]", queue: ai, gpu: 1}]\nexpect: {state: {"t[0-99]": bound}}\n')
    found = list(expected.state_failures(World(scenario), scenario.expect))
    assert len(found) == 13
    assert found[-1] == "... and 88 more like these"


def plan_of(expect: str, *commands: Command) -> list[str]:
    world = a_world(f"plan: [{expect}]")
    before = {member.spec.name: member.text for member in world.members}
    return list(expected.plan_failures(world, world.scenario.expect, commands, before))


EVICTIONS = tuple(Command("evict", f"v-{i}", "v", "n1", "t", "reclaim") for i in (0, 1))
PIPELINE = Command("pipeline", "t-0", "t", "n1")


def test_a_gang_in_a_command_stands_for_all_its_pods_in_any_order() -> None:
    assert not plan_of("pipeline t on n1|n2, evict v for t by reclaim", *EVICTIONS, PIPELINE)


def test_parts_left_out_of_a_command_are_not_compared() -> None:
    assert not plan_of("evict v, pipeline t", *EVICTIONS, PIPELINE)


def test_missing_and_unexpected_commands_are_both_told() -> None:
    assert plan_of("evict v for t by preempt, pipeline t", EVICTIONS[0], PIPELINE) == [
        "plan: expected `evict v for t by preempt (pod v-0)`, it did not come; came: evict v-0 for t by reclaim; pipeline t-0 on n1",
        "plan: expected `evict v for t by preempt (pod v-1)`, it did not come; came: evict v-0 for t by reclaim; pipeline t-0 on n1",
        "plan: came `evict v-0 for t by reclaim`, not expected",
    ]


def test_a_command_for_a_gang_that_it_cannot_be_about_did_not_come() -> None:
    assert plan_of("evict t") == ["plan: expected `evict t`, it did not come; came: no commands"]


def test_an_empty_plan_means_do_nothing() -> None:
    assert not plan_of("")
    assert plan_of("", PIPELINE) == ["plan: came `pipeline t-0 on n1`, not expected"]


def test_at_most_bounds_each_cycle_and_all_of_them() -> None:
    world = a_world("at_most: {evictions: 1, in_all: {evictions: 2}}")
    one, two = [EVICTIONS[0]], list(EVICTIONS)
    assert not list(expected.at_most_failures([one, one], world.scenario.expect))
    found = list(expected.at_most_failures([one, two], world.scenario.expect))
    assert found[0].startswith("at_most: 2 evictions in cycle 2, expected at most 1")
    assert found[1].startswith("at_most: 3 evictions in all cycles, expected at most 2")


def test_devices_are_shared_inside_a_list_and_never_between_lists() -> None:
    good = a_world("same_device: [[f0-0, f1-0]]")
    assert not list(expected.device_failures(good, good.scenario.expect))
    bad = a_world("same_device: [[f0-0], [f1-0]]")
    assert list(expected.device_failures(bad, bad.scenario.expect)) == [
        "same_device: f0-0 and f1-0 share a device, expected none"
    ]
    none = a_world("same_device: [[t-0]]")
    assert list(expected.device_failures(none, none.scenario.expect)) == [
        "same_device: t-0 is on no shared device, it is pending"
    ]


def test_reasons_go_by_the_names_of_both_worlds() -> None:
    world = a_world("reasons: {t: [OverLimit, Unschedulable, NoRoom]}")
    reasons = tuple(Reason(code=code, action=Action.ALLOCATE) for code in (Code.OVER_LIMIT, Code.NO_ROOM))
    plan = Plan(digest="", outcomes=(Outcome(group=world.by_gang["t"].uid, result="waiting", reasons=reasons),))
    assert not list(expected.reason_failures(world, world.scenario.expect, plan))
    assert list(expected.reason_failures(world, world.scenario.expect, Plan(digest=""))) == [
        f"reasons: t has no reason, expected {code}" for code in ("OverLimit", "Unschedulable", "NoRoom")
    ]


def test_fair_shares_are_compared_to_a_thousandth() -> None:
    world = a_world("fair_share: {ai: {gpu: 3, cpu: 2}}")
    good = Plan(digest="", fair_share=((QueueName("ai"), (3001, 2000, UNLIMITED)),))
    assert not list(expected.fair_share_failures(world.scenario.expect, good))
    bad = Plan(digest="", fair_share=((QueueName("ai"), (3002, 2000, 0)),))
    assert list(expected.fair_share_failures(world.scenario.expect, bad)) == [
        "fair_share: ai has 3.002 GPU, expected 3"
    ]


def test_amounts_are_summed_by_pod_gang_and_queue() -> None:
    world = a_world(
        "requested: {ai: 9, v: 4, t-0: 4}\n  allocated: {ai: 5, t: 0, f0: 0.5}\n  nodes: {n1: {idle: 4}, n2: {idle: 7}}"
    )
    snapshot = world.snapshot()
    assert not list(expected.amount_failures(world, world.scenario.expect, snapshot))
    assert not list(expected.node_failures(world.scenario.expect, snapshot))


def test_wrong_amounts_are_told_in_units_of_people() -> None:
    world = a_world("allocated: {v: 1}\n  running_for: {v: 5s}\n  nodes: {n1: {idle: 8, releasing: 0}}")
    snapshot = world.snapshot()
    assert list(expected.amount_failures(world, world.scenario.expect, snapshot)) == [
        "allocated: v has 4 GPU, expected 1",
        "running_for: v has 0s, expected 5s",
    ]
    assert list(expected.node_failures(world.scenario.expect, snapshot)) == ["nodes: n1 has 4 GPUs idle, expected 8"]
