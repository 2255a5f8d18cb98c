"""The binder on the embedded store, in simulated time: requests worked off, devices held as long as somebody shares them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from tests.cluster.build import Bench

from fairlead.cluster.controllers.main import Controllers, ControllersOptions
from fairlead.cluster.controllers.reservations import ReservationOptions, name_of
from fairlead.kube.faulty import Faults
from fairlead.objects import fields, kinds
from fairlead.objects.builtin import Namespace
from fairlead.objects.crds import OURS
from fairlead.objects.kai import BindRequest, BindRequestSpec, ReceivedGpu
from fairlead.objects.meta import ObjectMeta, OwnerReference
from fairlead.objects.pod import Container, Pod, PodSpec
from fairlead.runtime.errors import NotFound

RESERVATIONS = "fairlead-reservation"


def lives(bench: Bench, story: Callable[[], Awaitable[None]], **more: Any) -> None:
    """The story, while the controllers run. `more`: options of reservations."""
    options = ControllersOptions(reservations=ReservationOptions(**{"image": "pause", "timeout": 60.0, **more}))

    async def both() -> None:
        await bench.client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name=RESERVATIONS)))
        running = asyncio.create_task(Controllers(bench.shaky, bench.clock, Random(1), options).run())
        await bench.clock.sleep(5)
        await story()
        running.cancel()

    bench.run(both)


async def asks(bench: Bench, name: str, *groups: str, node: str = "n1") -> Pod:
    """A pod, and the scheduler's wish to place it on the devices of these groups."""
    pod = await bench.a_pod(name)
    owner = OwnerReference(api_version="v1", kind="Pod", name=name, uid=pod.metadata.uid)
    meta = ObjectMeta(name=name, labels={OURS[0]: OURS[1]}, owner_references=(owner,))
    spec = BindRequestSpec(
        pod_name=name,
        selected_node=node,
        received_resource_type="Fraction",
        received_gpu=ReceivedGpu(count=len(groups), portion="0.50"),
        selected_gpu_groups=groups,
    )
    await bench.client.create(kinds.BIND_REQUEST, BindRequest(metadata=meta, spec=spec), "ns")
    return pod


async def tells(bench: Bench, group: str, device: str) -> None:
    """What the node agent does."""
    patch = {"metadata": {"annotations": {fields.RESERVED_DEVICE: device}}}
    await bench.client.patch(kinds.POD, name_of(group), patch, RESERVATIONS)  # type: ignore[arg-type]  # JSON


async def the(bench: Bench, name: str) -> Pod:
    return await bench.client.get(kinds.POD, name, "ns")


async def reserved(bench: Bench) -> list[str]:
    return sorted(p.metadata.labels[fields.GPU_GROUP] for p in (await bench.client.list(kinds.POD, RESERVATIONS)).items)


async def phase(bench: Bench, name: str) -> tuple[str, str]:
    status = (await bench.client.get(kinds.BIND_REQUEST, name, "ns")).status
    return status.phase, status.reason


def test_a_pod_is_bound_with_its_device_once_the_node_told_which() -> None:
    bench = Bench()

    async def story() -> None:
        await asks(bench, "a", "g1")
        await bench.clock.sleep(1)
        (pod,) = (await bench.client.list(kinds.POD, RESERVATIONS)).items
        assert (pod.spec.node_name, pod.spec.containers[0].resources.limits["nvidia.com/gpu"]) == ("n1", "1")
        assert (await the(bench, "a")).spec.node_name == ""
        await tells(bench, "g1", "GPU-1")
        await bench.clock.sleep(1)
        bound = await the(bench, "a")
        notes = bound.metadata.annotations
        assert (bound.spec.node_name, notes[fields.VISIBLE_DEVICES], notes[fields.GPU_GROUP]) == ("n1", "GPU-1", "g1")
        assert (notes[fields.GPU_PORTION], notes[fields.ENFORCEMENT]) == ("0.50", "none")
        assert await phase(bench, "a") == ("Succeeded", "")

    lives(bench, story)


def test_two_share_one_device_and_the_last_to_go_gives_it_back() -> None:
    bench = Bench()

    async def story() -> None:
        for name in "ab":
            await asks(bench, name, "g1")
        await bench.clock.sleep(1)
        assert await reserved(bench) == ["g1"]
        await tells(bench, "g1", "GPU-1")
        await bench.clock.sleep(1)
        for name in "ab":
            assert (await the(bench, name)).metadata.annotations[fields.VISIBLE_DEVICES] == "GPU-1"
        await bench.client.delete(kinds.POD, "a", "ns", grace_seconds=0)
        await bench.clock.sleep(10)
        assert await reserved(bench) == ["g1"]
        await bench.client.patch_status(kinds.POD, "b", {"phase": "Succeeded"}, "ns")
        await bench.clock.sleep(10)
        (pod,) = (await bench.client.list(kinds.POD, RESERVATIONS)).items
        assert pod.metadata.deletion_timestamp
        assert await phase(bench, "b") == ("Succeeded", "")

    lives(bench, story)


def test_two_devices_are_told_in_the_order_of_their_groups() -> None:
    bench = Bench()

    async def story() -> None:
        await asks(bench, "a", "g1", "g2")
        await bench.clock.sleep(1)
        await tells(bench, "g2", "GPU-2")
        await bench.clock.sleep(10)
        assert not (await the(bench, "a")).spec.node_name
        await tells(bench, "g1", "GPU-1")
        await bench.clock.sleep(1)
        assert (await the(bench, "a")).metadata.annotations[fields.VISIBLE_DEVICES] == "GPU-1,GPU-2"

    lives(bench, story)


def test_a_node_that_does_not_tell_in_time_is_given_up_and_nothing_leaks() -> None:
    bench = Bench()

    async def story() -> None:
        await asks(bench, "a", "g1")
        await bench.clock.sleep(20)
        (told,) = [c for c in (await the(bench, "a")).status.conditions if c.type == "PodScheduled"]
        assert told.message == "Placed on n1; waits until the node agent (fairlead-node) tells which GPU it gave"
        await bench.clock.sleep(50)
        assert await phase(bench, "a") == (
            "Failed",
            "n1 did not tell within 60 s which GPU it gave for sharing; is the node agent (fairlead-node) running there?",
        )
        (pod,) = (await bench.client.list(kinds.POD, RESERVATIONS)).items
        assert pod.metadata.deletion_timestamp

    lives(bench, story)


def test_a_node_without_a_free_device_says_so() -> None:
    bench = Bench()

    async def story() -> None:
        await asks(bench, "a", "g1")
        await bench.clock.sleep(1)
        status = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "Requested: 1, Available: 0"}
        await bench.client.patch_status(kinds.POD, name_of("g1"), status, RESERVATIONS)  # type: ignore[arg-type]  # JSON
        await bench.clock.sleep(10)
        assert await phase(bench, "a") == (
            "Failed",
            "n1 has no GPU to give for sharing: Requested: 1, Available: 0",
        )

    lives(bench, story)


def test_without_an_image_for_reservations_nothing_is_shared_and_it_is_said() -> None:
    bench = Bench()

    async def story() -> None:
        await asks(bench, "a", "g1")
        await bench.clock.sleep(1)
        assert "reservation.image" in (await phase(bench, "a"))[1]

    lives(bench, story, image="")


def test_a_request_of_a_pod_that_is_gone_is_removed_with_its_device() -> None:
    bench = Bench()

    async def story() -> None:
        await asks(bench, "a", "g1")
        await bench.clock.sleep(1)
        await bench.client.delete(kinds.POD, "a", "ns")
        await bench.a_pod("a")  # another one of its name
        await bench.clock.sleep(10)
        assert (await bench.client.list(kinds.BIND_REQUEST)).items == ()
        (pod,) = (await bench.client.list(kinds.POD, RESERVATIONS)).items
        assert pod.metadata.deletion_timestamp

    lives(bench, story)


def test_a_pod_that_somebody_else_bound_is_told_it_has_no_device() -> None:
    bench = Bench()

    async def story() -> None:
        await asks(bench, "a", "g1")
        await bench.clock.sleep(1)
        await bench.client.bind("a", "ns", "n9")
        await bench.clock.sleep(10)
        assert (await phase(bench, "a"))[0] == "Failed"
        (said,) = [c for c in (await the(bench, "a")).status.conditions if c.type == "PodBound"]
        assert said.message.startswith("Somebody else bound it to n9 while a GPU was being shared out to it on n1")
        (pod,) = (await bench.client.list(kinds.POD, RESERVATIONS)).items
        assert pod.metadata.deletion_timestamp

    lives(bench, story)


def test_of_two_reservation_pods_for_one_group_the_one_named_after_it_stays() -> None:
    bench = Bench()

    async def story() -> None:
        await asks(bench, "a", "g1")
        await bench.clock.sleep(1)
        await tells(bench, "g1", "GPU-1")
        second = Pod(
            metadata=ObjectMeta(
                name="second", labels={fields.GPU_GROUP: "g1"}, annotations={fields.RESERVED_DEVICE: "GPU-7"}
            ),
            spec=PodSpec(containers=(Container(name="c", image="x"),), node_name="n1"),
        )
        await bench.client.create(kinds.POD, second, RESERVATIONS)
        await bench.clock.sleep(10)
        assert (await the(bench, "a")).metadata.annotations[fields.VISIBLE_DEVICES] == "GPU-1"
        living = [
            p for p in (await bench.client.list(kinds.POD, RESERVATIONS)).items if not p.metadata.deletion_timestamp
        ]
        assert [p.metadata.name for p in living] == [name_of("g1")]

    lives(bench, story)


def test_pods_whose_device_nobody_holds_any_more_are_stopped_and_told_why() -> None:
    bench = Bench()

    async def story() -> None:
        await asks(bench, "a", "g1")
        await bench.clock.sleep(1)
        await tells(bench, "g1", "GPU-1")
        await bench.clock.sleep(1)
        await bench.client.delete(kinds.POD, name_of("g1"), RESERVATIONS, grace_seconds=0)
        await bench.clock.sleep(10)
        stopped = await the(bench, "a")
        assert stopped.metadata.deletion_timestamp
        (why,) = [c for c in stopped.status.conditions if c.type == "DisruptionTarget"]
        assert "the GPU it shared on n1 is no longer reserved" in why.message

    lives(bench, story)


def test_a_reservation_that_its_node_ended_holds_nothing_any_more() -> None:
    bench = Bench()

    async def story() -> None:
        await asks(bench, "a", "g1")
        await bench.clock.sleep(1)
        await tells(bench, "g1", "GPU-1")
        await bench.clock.sleep(1)
        evicted = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}
        await bench.client.patch_status(kinds.POD, name_of("g1"), evicted, RESERVATIONS)  # type: ignore[arg-type]  # JSON
        await bench.clock.sleep(10)
        assert (await the(bench, "a")).metadata.deletion_timestamp, "the kubelet may give its device to anybody"

    lives(bench, story)


def test_without_a_namespace_for_reservations_nothing_is_shared_and_it_is_said() -> None:
    bench = Bench()

    async def story() -> None:
        await asks(bench, "a", "g1")
        await bench.clock.sleep(5)
        said, why = await phase(bench, "a")
        assert (said, "the namespace nowhere for reservation pods does not exist" in why) == ("Failed", True)

    lives(bench, story, namespace="nowhere")


def test_devices_held_by_another_scheduler_are_shared_on_and_never_ended() -> None:
    bench = Bench()
    place = "kai-resource-reservation"

    async def story() -> None:
        await bench.client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name=place)))
        theirs = Pod(
            metadata=ObjectMeta(
                name="gpu-reservation-n1-x",
                labels={fields.GPU_GROUP: "g1"},
                annotations={fields.RESERVED_DEVICE: "GPU-3"},
            ),
            spec=PodSpec(containers=(Container(name="c", image="x"),), node_name="n1"),
        )
        await bench.client.create(kinds.POD, theirs, place)
        await bench.clock.sleep(2)
        await asks(bench, "a", "g1")
        await bench.clock.sleep(5)
        assert (await the(bench, "a")).metadata.annotations[fields.VISIBLE_DEVICES] == "GPU-3"
        await bench.client.delete(kinds.POD, "a", "ns", grace_seconds=0)
        await bench.clock.sleep(10)
        assert not (await bench.client.get(kinds.POD, "gpu-reservation-n1-x", place)).metadata.deletion_timestamp

    lives(bench, story, foreign_namespaces=(place,))


def test_answers_that_are_lost_lead_to_one_binding_and_one_reservation() -> None:
    bench = Bench()

    async def story() -> None:
        bench.faulty.faults = Faults(lost=0.4)
        await asks(bench, "a", "g1")
        for _ in range(60):
            await bench.clock.sleep(5)
            try:
                await tells(bench, "g1", "GPU-1")
            except NotFound:
                continue
        bench.faulty.faults = Faults()
        await bench.clock.sleep(60)
        assert (await the(bench, "a")).spec.node_name == "n1"
        assert await reserved(bench) == ["g1"]
        assert await phase(bench, "a") == ("Succeeded", "")

    lives(bench, story)
