"""Moving on between cycles, as section 8 of the format says."""

from tests.simulator.build import a_scenario

from fairlead.model import Action, Bind, Evict, Hold, Keep, NodeName, Plan, PodStatus
from fairlead.simulator.commands import commands_of
from fairlead.simulator.world import World

RUNNING = "running: [{gang: v, queue: ai, gpu: 4, node: n1%s}]\n"
PENDING = "pending: [{gang: t, queue: ai, gpu: 4}]\n"


def a_world(text: str) -> World:
    return World(a_scenario(text))


def text_of(world: World, pod: str) -> str:
    return world.by_pod[pod].text


def bind(world: World, pod: str, node: str) -> Plan:
    return Plan(digest="", commands=(Bind(pod=world.by_pod[pod].uid, node=NodeName(node)),))


def evict(world: World, pod: str, for_gang: str, then: tuple[Keep, ...] = ()) -> Plan:
    command = Evict(pod=world.by_pod[pod].uid, action=Action.RECLAIM, for_group=world.by_gang[for_gang].uid)
    return Plan(digest="", commands=(*then, command))


def promise(world: World, gang: str, pod: str, node: str) -> Keep:
    places = ((world.by_pod[pod].uid, NodeName(node), ()),)
    return Keep(group=world.by_gang[gang].uid, hold=Hold(places=places, victims=(), deadline=world.now + 60))


def test_a_bound_pod_runs_in_the_next_cycle_and_its_start_is_the_bind() -> None:
    world = a_world(PENDING)
    world.tick(5)
    world.take(bind(world, "t-0", "n2"))
    assert text_of(world, "t-0") == "bound on n2"
    assert world.by_gang["t"].started == world.now
    world.move_on()
    assert text_of(world, "t-0") == "running on n2"


def test_an_evicted_pod_waits_again_under_its_name_with_a_new_uid() -> None:
    world = a_world(RUNNING % "" + PENDING)
    before = world.by_pod["v-0"].uid
    world.take(evict(world, "v-0", "t"))
    assert text_of(world, "v-0") == "evicted from n1"
    world.move_on()
    assert text_of(world, "v-0") == "pending"
    assert world.by_pod["v-0"].uid != before


def test_what_follows_a_release_is_the_gangs_choice() -> None:
    for choice, after in (("gone", "gone"), ("never", "releasing on n1"), ("pending", "pending")):
        world = a_world(RUNNING % f", state: releasing, after_release: {choice}")
        world.take(Plan(digest=""))
        world.move_on()
        assert text_of(world, "v-0") == after


def test_a_held_place_is_kept_between_cycles_and_read_by_the_next_decision() -> None:
    world = a_world(RUNNING % "" + PENDING)
    world.take(Plan(digest="", commands=(promise(world, "t", "t-0", "n2"),)))
    world.move_on()
    assert text_of(world, "t-0") == "pipelined on n2"
    held = next(pod for pod in world.snapshot().pods if pod.name == "t-0")
    assert (held.status, held.node) == (PodStatus.HELD, "n2")


def test_without_holds_a_promise_is_forgotten() -> None:
    world = a_world("policy: {keep_holds: false}\n" + PENDING)
    world.take(Plan(digest="", commands=(promise(world, "t", "t-0", "n2"),)))
    world.move_on()
    assert text_of(world, "t-0") == "pending"


def test_a_moved_pod_has_two_places_until_it_moves_on() -> None:
    world = a_world(RUNNING % "" + PENDING)
    world.take(evict(world, "v-0", "t", (promise(world, "v", "v-0", "n2"),)))
    assert text_of(world, "v-0") == "moved to n2"
    looked_at = world.snapshot(with_moves=True)
    assert [int(amount) for amount in looked_at.n.idle[:, 0]] == [4000, 8000]
    assert [int(amount) for amount in looked_at.n.releasing[:, 0]] == [4000, -4000]
    world.move_on()
    assert text_of(world, "v-0") == "pipelined on n2"


def test_a_promise_that_is_taken_back_leaves_the_pod_waiting() -> None:
    world = a_world(PENDING)
    world.take(Plan(digest="", commands=(promise(world, "t", "t-0", "n2"),)))
    world.move_on()
    world.take(Plan(digest="", commands=(Keep(group=world.by_gang["t"].uid, hold=None),)))
    assert text_of(world, "t-0") == "pending"


def test_moving_on_twice_before_the_next_plan_is_moving_on_once() -> None:
    world = a_world(RUNNING % "" + PENDING)
    world.take(bind(world, "t-0", "n2"))
    world.move_on()
    uid = world.by_pod["t-0"].uid
    world.move_on()
    assert (text_of(world, "t-0"), world.by_pod["t-0"].uid) == ("running on n2", uid)


def test_a_gang_is_stale_from_the_cycle_in_which_it_was_first_seen_short() -> None:
    world = a_world("running: [{gang: g, queue: ai, gpu: 1, node: n1, pods: [{}, {state: failed}]}]\n")
    first = world.now
    world.take(Plan(digest=""))
    world.move_on()
    world.tick(10)
    world.take(Plan(digest=""))
    world.move_on()
    assert world.by_gang["g"].stale_since == first


def test_a_claim_follows_its_pods() -> None:
    base = "title: x\nnodes: {n1: {dra: 2}}\nqueues: {ai: 2}\nclaims: {c: {queue: ai}}\n"
    world = World(a_scenario("pending: [{gang: t, queue: ai, claims: [c], after_release: gone}]\n", base=base))
    world.take(bind(world, "t-0", "n1"))
    assert world.claims["c"].node == "n1"
    world.move_on()
    world.take(evict(world, "t-0", "t"))
    world.move_on()
    assert world.claims["c"].node == ""


def test_more_devices_of_their_own_than_there_are_are_packed_on_the_fullest_with_room() -> None:
    base = "title: x\nnodes: {n1: 1 gpu}\nqueues: {ai: 2}\n"
    world = World(a_scenario('running: [{gang: "f[0-1]", queue: ai, gpu: 0.5, node: n1}]\n', base=base))
    assert world.by_pod["f0-0"].devices == world.by_pod["f1-0"].devices


def test_a_part_of_two_devices_that_names_one_gets_another_of_its_own() -> None:
    world = World(a_scenario("running: [{gang: f, queue: ai, gpu: 0.5, devices: 2, device: 0, node: n1}]\n"))
    assert world.by_pod["f-0"].devices == ("n1/0", "n1/f-0.1")


def test_a_place_held_before_is_no_new_command() -> None:
    world = a_world(PENDING)
    plan = Plan(digest="", commands=(promise(world, "t", "t-0", "n2"),))
    assert [command.text for command in commands_of(world, plan)] == ["pipeline t-0 on n2"]
    assert not list(commands_of(world, plan, frozenset([("t-0", "n2")])))
