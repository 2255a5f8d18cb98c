"""The scheduler where a binder has_binder shared devices: what it asks of it, and what it makes of its answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.cluster.build import Bench
from tests.cluster.scheduler.test_scheduler_role import a_queue, asks, node_of

from fairlead.cluster.scheduler.main import Scheduler, SchedulerOptions
from fairlead.cluster.scheduler.world import WorldOptions
from fairlead.objects import fields, kinds
from fairlead.objects.builtin import Namespace
from fairlead.objects.kai import BindRequest
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import Container, Pod, PodSpec, ResourceRequirements
from fairlead.workloads.shares import with_devices

RESERVATIONS = "fairlead-reservation"


def lives(bench: Bench, story: Callable[[Scheduler], Awaitable[None]]) -> None:
    """The story, while the scheduler runs: a node `n1` of 1 GPU of 80,000 MiB, a queue `team`."""
    options = SchedulerOptions(world=WorldOptions(has_binder=True, reservation_namespaces=(RESERVATIONS,)))

    async def both() -> None:
        await bench.client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name=RESERVATIONS)))
        await bench.a_node("n1", gpus=1)
        await bench.client.patch(kinds.NODE, "n1", {"metadata": {"labels": {fields.GPU_MEMORY_LABEL: "80000"}}})
        await a_queue(bench, "team")
        scheduler = Scheduler(bench.shaky, bench.clock, options)
        running = asyncio.create_task(scheduler.run())
        await bench.clock.sleep(1)
        await story(scheduler)
        running.cancel()

    bench.run(both)


async def shares(bench: Bench, name: str, *, told: bool = True, **notes: str) -> Pod:
    """A pod that asks for a part of a device."""
    annotations = {key.replace("_", "-"): value for key, value in notes.items()}
    meta = ObjectMeta(name=name, labels={fields.QUEUE: "team"}, annotations=annotations)
    pod = Pod(metadata=meta, spec=PodSpec(containers=(Container(name="c", image="x"),), scheduler_name="fairlead"))
    return await bench.client.create(kinds.POD, with_devices(pod) if told else pod, "default")


async def requests(bench: Bench) -> dict[str, BindRequest]:
    return {r.spec.pod_name: r for r in (await bench.client.list(kinds.BIND_REQUEST)).items}


async def says(bench: Bench, name: str, phase: str, reason: str = "") -> None:
    """What the binder answers."""
    await bench.client.patch_status(kinds.BIND_REQUEST, name, {"phase": phase, "reason": reason}, "default")


def test_a_part_of_a_device_is_asked_of_the_binder_in_two_writes() -> None:
    bench = Bench()

    async def story(_: Scheduler) -> None:
        await shares(bench, "a", gpu_fraction="0.5")
        await bench.clock.sleep(3)
        request = (await requests(bench))["a"]
        assert (request.spec.selected_node, request.spec.received_resource_type) == ("n1", "Fraction")
        assert request.spec.received_gpu is not None
        assert (request.spec.received_gpu.count, request.spec.received_gpu.portion) == (1, "0.50")
        assert request.metadata.labels[fields.SELECTED_NODE] == "n1"
        assert await node_of(bench, "a") == ""
        assert [w for w in bench.writes() if "status" not in w] == ["POST bindrequests", "POST events"]

    lives(bench, story)


def test_what_is_being_bound_is_taken_and_shared_on() -> None:
    bench = Bench()

    async def story(_: Scheduler) -> None:
        await shares(bench, "a", gpu_fraction="0.5")
        await bench.clock.sleep(3)
        await shares(bench, "b", gpu_memory="40000")
        await shares(bench, "c", gpu_fraction="0.5")
        await asks(bench, "whole", 1)
        await bench.clock.sleep(40)  # longer than what was done is remembered without being seen
        found = await requests(bench)
        assert sorted(found) == ["a", "b"]
        assert found["a"].spec.selected_gpu_groups == found["b"].spec.selected_gpu_groups
        assert found["b"].spec.received_gpu is not None
        assert found["b"].spec.received_gpu.portion == "0.50"
        assert await node_of(bench, "whole") == ""

    lives(bench, story)


def test_a_request_that_failed_is_withdrawn_and_tried_again_after_a_while_with_its_reason() -> None:
    bench = Bench()

    async def story(scheduler: Scheduler) -> None:
        await shares(bench, "a", gpu_fraction="0.5")
        await bench.clock.sleep(3)
        first = (await requests(bench))["a"].metadata.uid
        await says(bench, "a", "Failed", "n1 has no GPU to give for sharing: none")
        await bench.clock.sleep(3)
        assert await requests(bench) == {}
        pod = await bench.client.get(kinds.POD, "a", "default")
        told = " ".join(c.message for c in pod.status.conditions)
        assert "n1 has no GPU to give for sharing: none" in told
        await bench.clock.sleep(20)
        assert (await requests(bench))["a"].metadata.uid != first

    lives(bench, story)


def test_a_pod_that_admission_did_not_see_waits_and_says_so() -> None:
    bench = Bench()

    async def story(_: Scheduler) -> None:
        await shares(bench, "a", told=False, gpu_fraction="0.5")
        await bench.clock.sleep(10)
        pod = await bench.client.get(kinds.POD, "a", "default")
        told = " ".join(c.message for c in pod.status.conditions)
        assert (
            "It was made while admission did not answer, or in a namespace that belongs to no project, and would not see its part of a "
            "GPU: make it again, in a project's namespace" in told
        )
        assert await requests(bench) == {}

    lives(bench, story)


def test_a_device_is_charged_once_to_those_who_share_it_and_else_to_its_reservation() -> None:
    bench = Bench()

    async def story(_: Scheduler) -> None:
        one = ResourceRequirements(limits={"nvidia.com/gpu": "1"}, requests={"nvidia.com/gpu": "1"})
        holder = Pod(
            metadata=ObjectMeta(name="r", labels={fields.GPU_GROUP: "g"}),
            spec=PodSpec(containers=(Container(name="c", image="x", resources=one),), node_name="n1"),
        )
        await bench.client.create(kinds.POD, holder, RESERVATIONS)
        await shares(bench, "before", gpu_fraction="0.5")
        await bench.clock.sleep(10)
        assert await requests(bench) == {}  # held for nobody: as taken as by any other pod
        notes = {fields.GPU_GROUP: "g", fields.VISIBLE_DEVICES: "GPU-1"}
        await bench.client.bind("before", "default", "n1", annotations={**notes})
        await shares(bench, "beside", gpu_fraction="0.5")
        await bench.clock.sleep(10)
        assert (await requests(bench))["beside"].spec.selected_gpu_groups == ("g",)

    lives(bench, story)
