"""The scheduler role on the embedded store, in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.cluster.build import Bench

from fairlead.cluster.scheduler import main
from fairlead.cluster.scheduler.main import Scheduler
from fairlead.embedded.store.memory import Place
from fairlead.kube.faulty import Faults
from fairlead.model import Uid
from fairlead.objects import fields, kinds
from fairlead.objects.builtin import Node
from fairlead.objects.kai import PodGroup, PodGroupSpec, Queue, QueueResource, QueueResources, QueueSpec
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.organisation import NodePool, NodePoolSpec
from fairlead.objects.pod import Container, Pod, PodSpec, ResourceRequirements
from fairlead.runtime.errors import Bug
from fairlead.scheduling import DecisionError


def lives(bench: Bench, story: Callable[[Scheduler], Awaitable[None]]) -> None:
    """The story, while the scheduler runs: a node `n1` of 4 GPUs, a queue `team` of all."""

    async def both() -> None:
        scheduler = Scheduler(bench.shaky, bench.clock)
        running = asyncio.create_task(scheduler.run())
        await bench.a_node("n1")
        await a_queue(bench, "team")
        await bench.clock.sleep(1)
        await story(scheduler)
        running.cancel()

    bench.run(both)


async def a_queue(bench: Bench, name: str, **labels: str) -> None:
    every = QueueResource(quota=-1, limit=-1, over_quota_weight=1)
    spec = QueueSpec(resources=QueueResources(gpu=QueueResource(quota=4, limit=-1), cpu=every, memory=every))
    await bench.client.create(kinds.QUEUE, Queue(metadata=ObjectMeta(name=name, labels=labels), spec=spec))


async def asks(bench: Bench, name: str, gpus: int = 1, *, group: str = "", **labels: str) -> None:
    """A pod that asks for GPUs."""
    resources = ResourceRequirements(limits={"nvidia.com/gpu": str(gpus)}, requests={"nvidia.com/gpu": str(gpus)})
    spec = PodSpec(containers=(Container(name="c", image="x", resources=resources),), scheduler_name="fairlead")
    meta = ObjectMeta(
        name=name,
        labels={fields.QUEUE: "team", **labels},
        annotations={fields.POD_GROUP: group} if group else {},
    )
    await bench.client.create(kinds.POD, Pod(metadata=meta, spec=spec), "default")


async def node_of(bench: Bench, name: str) -> str:
    return (await bench.client.get(kinds.POD, name, "default")).spec.node_name


def test_a_bug_met_while_explaining_is_told_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()

    def broken(*_: object) -> None:
        raise DecisionError(Uid("u"), "IndexError: oh")

    async def story(scheduler: Scheduler) -> None:
        await asks(bench, "big", 9, **{fields.WORKLOAD: "big"})
        await bench.clock.sleep(2)
        monkeypatch.setattr(main, "explain", broken)
        with pytest.raises(Bug, match="'big'"):
            await scheduler.explain("default", "big")
        await asks(bench, "small")
        await bench.clock.sleep(2)
        assert await node_of(bench, "small") == "n1"

    lives(bench, story)


def test_a_pod_that_fits_is_placed_and_one_that_does_not_says_why() -> None:
    bench = Bench()

    async def story(scheduler: Scheduler) -> None:
        await asks(bench, "fits", 4)
        await bench.clock.sleep(5)
        await asks(bench, "waits", 1)
        await bench.clock.sleep(5)
        assert (await node_of(bench, "fits"), await node_of(bench, "waits")) == ("n1", "")
        waiting = await bench.client.get(kinds.POD, "waits", "default")
        (condition,) = [c for c in waiting.status.conditions if c.type == "PodScheduled"]
        assert (condition.status, condition.message != "") == ("False", True)
        told = [e for e in (await bench.client.list(kinds.EVENT)).items if e.involved_object.name == "waits"]
        assert [(e.type, e.reason, e.message) for e in told] == [("Warning", "FailedScheduling", condition.message)]

    lives(bench, story)


def test_a_status_of_a_queue_asks_for_no_decision_and_what_people_say_of_it_does() -> None:
    bench = Bench()

    async def story(scheduler: Scheduler) -> None:
        await bench.clock.sleep(1)
        began = scheduler.cycles
        await bench.client.patch_status(kinds.QUEUE, "team", {"requested": {"cpu": "9m"}})
        await bench.clock.sleep(1)
        assert scheduler.cycles == began
        await bench.client.patch(kinds.QUEUE, "team", {"spec": {"priority": 7}})
        await bench.clock.sleep(1)
        assert scheduler.cycles == began + 1

    lives(bench, story)


def test_statuses_of_queues_are_written_once_a_second_however_many_pods_come() -> None:
    bench = Bench()

    async def story(scheduler: Scheduler) -> None:
        await bench.clock.sleep(2)
        bench.calls.clear()
        began = bench.clock.now()
        for number in range(20):
            await asks(bench, f"p{number}")
            await bench.clock.sleep(0.1)
        written = [path for method, path in bench.calls if method == "PATCH" and path.endswith("/queues/team/status")]
        assert 1 <= len(written) <= bench.clock.now() - began + 1
        await bench.clock.sleep(2)
        status = (await bench.client.get(kinds.QUEUE, "team")).status
        assert (status.allocated["nvidia.com/gpu"], status.requested["nvidia.com/gpu"]) == ("4", "20")

    lives(bench, story)


@pytest.mark.parametrize(
    "odd", [{"nvidia.com/gpu": "many"}, {"memory": "1e30"}, {"nvidia.com/gpu": "9999999999"}, {"cpu": "-3"}]
)
def test_a_node_that_says_nonsense_of_itself_does_not_stop_the_others(odd: dict[str, str]) -> None:
    bench = Bench()

    async def story(scheduler: Scheduler) -> None:
        await bench.client.create(kinds.NODE, Node(metadata=ObjectMeta(name="odd")))
        amounts = {"cpu": "16", "memory": "64Gi", "pods": "110", **odd}
        ready = [{"type": "Ready", "status": "True"}]
        place = Place(kinds.NODE.resource, "", "odd")
        entry = bench.store.memory.get(place)
        assert entry is not None
        status = {"allocatable": amounts, "conditions": ready}
        bench.store.memory.put(place, {**entry.doc, "spec": {"unschedulable": True}, "status": status})  # past the door
        bench.store.memory.publish()
        await asks(bench, "fits", 4)
        await bench.clock.sleep(5)
        assert await node_of(bench, "fits") == "n1"

    lives(bench, story)


def test_why_a_pod_waits_is_written_once() -> None:
    bench = Bench()

    async def story(scheduler: Scheduler) -> None:
        await asks(bench, "waits", 8)
        await bench.clock.sleep(5)
        bench.calls.clear()
        await bench.clock.sleep(60)
        assert scheduler.cycles > 10
        assert bench.writes() == []

    lives(bench, story)


def test_a_pod_of_another_scheduler_takes_room_and_is_left_alone() -> None:
    bench = Bench()

    async def story(scheduler: Scheduler) -> None:
        resources = ResourceRequirements(limits={"nvidia.com/gpu": "3"}, requests={"nvidia.com/gpu": "3"})
        spec = PodSpec(containers=(Container(name="c", image="x", resources=resources),))
        await bench.client.create(kinds.POD, Pod(metadata=ObjectMeta(name="theirs"), spec=spec), "default")
        await bench.client.bind("theirs", "default", "n1")
        await asks(bench, "ours", 2)
        await bench.clock.sleep(5)
        assert await node_of(bench, "ours") == ""

    lives(bench, story)


def test_two_pods_are_not_promised_one_place_when_an_answer_is_lost() -> None:
    bench = Bench()

    async def story(scheduler: Scheduler) -> None:
        bench.faulty.faults = Faults(lost=0.7)
        for number in range(6):
            await asks(bench, f"p{number}")
        await bench.clock.sleep(120)
        placed = [await node_of(bench, f"p{number}") for number in range(6)]
        assert sorted(placed) == ["", "", "n1", "n1", "n1", "n1"]

    lives(bench, story)


def test_what_was_done_in_one_pool_is_not_forgotten_for_another() -> None:
    bench = Bench()

    async def story(scheduler: Scheduler) -> None:
        pool = NodePoolSpec(label_key="pool", label_value="b")
        await bench.client.create(kinds.NODE_POOL, NodePool(metadata=ObjectMeta(name="b"), spec=pool))
        await bench.client.patch(kinds.NODE, "n1", {"metadata": {"labels": {"pool": "b"}}})
        await a_queue(bench, "team-b", **{fields.NODE_POOL: "b"})
        await asks(bench, "p", 4, **{fields.NODE_POOL: "b", fields.QUEUE: "team-b"})
        await bench.clock.sleep(5)
        assert await node_of(bench, "p") == "n1"
        scheduler.world.assumed.bind("ghost", scheduler.world.snapshot("b", {}, frozenset()).nodes[0].name, ())
        uid = (await bench.client.get(kinds.POD, "p", "default")).metadata.uid
        scheduler.world.assumed.evict(uid)
        scheduler.world.snapshot("default", {}, frozenset())
        assert not scheduler.world.assumed.is_empty
        scheduler.world.catch_up(bench.clock.now())
        assert not scheduler.world.assumed.is_bound("ghost")

    lives(bench, story)


def test_a_gang_below_its_minimum_is_ended_after_a_minute() -> None:
    bench = Bench()

    async def story(scheduler: Scheduler) -> None:
        group = PodGroup(metadata=ObjectMeta(name="g"), spec=PodGroupSpec(min_member=2, queue="team"))
        await bench.client.create(kinds.POD_GROUP, group, "default")
        await asks(bench, "a", 1, group="g")
        await asks(bench, "b", 1, group="g")
        await bench.clock.sleep(5)
        assert (await node_of(bench, "a"), await node_of(bench, "b")) == ("n1", "n1")
        await bench.client.delete(kinds.POD, "b", "default", grace_seconds=0)
        await bench.clock.sleep(50)
        assert not (await bench.client.get(kinds.POD, "a", "default")).metadata.deletion_timestamp
        await bench.clock.sleep(20)
        ended = await bench.client.get(kinds.POD, "a", "default")
        assert ended.metadata.deletion_timestamp
        assert any("too few of its pods" in c.message for c in ended.status.conditions)

    lives(bench, story)


def test_a_placed_pod_takes_room_though_its_group_is_gone() -> None:
    """As when a workload is deleted: its group goes at once, its pods have their grace time."""
    bench = Bench()

    async def story(scheduler: Scheduler) -> None:
        group = PodGroup(metadata=ObjectMeta(name="g"), spec=PodGroupSpec(min_member=1, queue="team"))
        await bench.client.create(kinds.POD_GROUP, group, "default")
        await asks(bench, "ends", 3, group="g")
        await bench.clock.sleep(5)
        assert await node_of(bench, "ends") == "n1"
        await bench.client.delete(kinds.POD, "ends", "default", grace_seconds=30)
        await bench.client.delete(kinds.POD_GROUP, "g", "default")
        await asks(bench, "large", 4)
        await bench.clock.sleep(10)
        assert await node_of(bench, "large") == "", "the GPUs are held still"
        await bench.client.delete(kinds.POD, "ends", "default", grace_seconds=0)
        await bench.clock.sleep(10)
        assert await node_of(bench, "large") == "n1"

    lives(bench, story)
