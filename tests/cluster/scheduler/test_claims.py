"""Volume claims: where bound volumes can be used, what waits for a node, and what is said of claims that cannot be served."""

from __future__ import annotations

from typing import Any

import pytest
from tests.cluster.build import Bench
from tests.cluster.scheduler.test_reserving import requests
from tests.cluster.scheduler.test_scheduler_role import a_queue, node_of

from fairlead.cluster.scheduler.main import Scheduler, SchedulerOptions
from fairlead.cluster.scheduler.world import WorldOptions
from fairlead.objects import builtin, fields, kinds
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import Container, Pod, PodSpec, Volume


async def begins(bench: Bench) -> Any:
    """Two nodes `n1` and `n2`, and a scheduler that runs."""
    import asyncio

    for name in ("n1", "n2"):
        await bench.a_node(name)
    await a_queue(bench, "team")
    scheduler = Scheduler(bench.shaky, bench.clock, SchedulerOptions(world=WorldOptions(has_binder=True)))
    return asyncio.create_task(scheduler.run())


async def a_class(bench: Bench, name: str, mode: str, provisioner: str = "example.com/disks", **more: Any) -> None:
    made = builtin.StorageClass(
        metadata=ObjectMeta(name=name), provisioner=provisioner, volume_binding_mode=mode, **more
    )
    await bench.client.create(kinds.STORAGE_CLASS, made)


async def a_claim(bench: Bench, name: str, klass: str = "late", volume: str = "") -> None:
    resources = builtin.ClaimResources(requests={"storage": "1Gi"})
    spec = builtin.ClaimSpec(
        storage_class_name=klass, volume_name=volume, access_modes=("ReadWriteOnce",), resources=resources
    )
    claim = builtin.PersistentVolumeClaim(metadata=ObjectMeta(name=name), spec=spec)
    await bench.client.create(kinds.CLAIM, claim, "default")


async def a_volume(bench: Bench, name: str, node: str, klass: str = "late", size: str = "1Gi") -> None:
    line = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    spec = builtin.VolumeSpec(
        storage_class_name=klass,
        access_modes=("ReadWriteOnce",),
        capacity={"storage": size},
        node_affinity={"required": {"nodeSelectorTerms": [{"matchExpressions": [line]}]}},
    )
    await bench.client.create(kinds.VOLUME, builtin.PersistentVolume(metadata=ObjectMeta(name=name), spec=spec))


async def uses(bench: Bench, name: str, *claims: str) -> None:
    volumes = tuple(Volume(name=f"v{n}", persistent_volume_claim={"claimName": c}) for n, c in enumerate(claims))
    spec = PodSpec(containers=(Container(name="c", image="x"),), scheduler_name="fairlead", volumes=volumes)
    await bench.client.create(
        kinds.POD, Pod(metadata=ObjectMeta(name=name, labels={fields.QUEUE: "team"}), spec=spec), "default"
    )


async def told(bench: Bench, name: str) -> str:
    return " ".join(c.message for c in (await bench.client.get(kinds.POD, name, "default")).status.conditions)


def test_a_pod_goes_where_its_volume_is() -> None:
    bench = Bench()

    async def story() -> None:
        running = await begins(bench)
        await a_volume(bench, "disk", "n2")
        await a_claim(bench, "data", volume="disk")
        await uses(bench, "a", "data")
        await bench.clock.sleep(5)
        assert (await node_of(bench, "a"), await requests(bench)) == ("n2", {})
        running.cancel()

    bench.run(story)


def test_a_claim_that_waits_for_its_first_user_goes_through_the_binder() -> None:
    bench = Bench()

    async def story() -> None:
        running = await begins(bench)
        zone = builtin.TopologyTerm(
            match_label_expressions=(builtin.TopologyExpression(key="kubernetes.io/hostname", values=("n2",)),)
        )
        await a_class(bench, "late", "WaitForFirstConsumer", allowed_topologies=(zone,))
        await a_claim(bench, "data")
        await uses(bench, "a", "data")
        await bench.clock.sleep(5)
        request = (await requests(bench))["a"].spec
        assert (request.selected_node, request.received_resource_type, request.selected_gpu_groups) == (
            "n2",
            "Regular",
            (),
        )
        running.cancel()

    bench.run(story)


def test_where_nothing_makes_volumes_those_that_are_there_decide() -> None:
    bench = Bench()

    async def story() -> None:
        running = await begins(bench)
        await a_class(bench, "late", "WaitForFirstConsumer", builtin.NO_PROVISIONER)
        await a_volume(bench, "small", "n1", size="1Mi")
        await a_volume(bench, "fits", "n2")
        await a_claim(bench, "data")
        await uses(bench, "a", "data")
        await bench.clock.sleep(5)
        assert (await requests(bench))["a"].spec.selected_node == "n2"
        running.cancel()

    bench.run(story)


@pytest.mark.parametrize(
    ("klass", "words"),
    [
        ("", "Its volumes are not ready: the claim data does not exist"),
        ("now", "the claim data of the storage class now is not bound yet"),
        ("nobody", "the claim data of the storage class nobody is not bound"),
        ("static", "no volume of the class static is free for the claim data"),
    ],
)
def test_a_claim_that_cannot_be_served_is_said_and_others_go_on(klass: str, words: str) -> None:
    bench = Bench()

    async def story() -> None:
        running = await begins(bench)
        await a_class(bench, "now", "Immediate")
        await a_class(bench, "static", "WaitForFirstConsumer", builtin.NO_PROVISIONER)
        if klass:
            await a_claim(bench, "data", klass)
        await uses(bench, "a", "data")
        await uses(bench, "other")
        await bench.clock.sleep(5)
        assert words in await told(bench, "a")
        assert await node_of(bench, "other")
        running.cancel()

    bench.run(story)


def test_a_claim_that_comes_to_be_bound_lets_its_pod_go() -> None:
    bench = Bench()

    async def story() -> None:
        running = await begins(bench)
        await a_class(bench, "now", "Immediate")
        await a_claim(bench, "data", "now")
        await uses(bench, "a", "data")
        await bench.clock.sleep(5)
        assert await node_of(bench, "a") == ""
        await a_volume(bench, "disk", "n1")
        await bench.client.patch(kinds.CLAIM, "data", {"spec": {"volumeName": "disk"}}, "default")
        await bench.clock.sleep(5)
        assert await node_of(bench, "a") == "n1"
        running.cancel()

    bench.run(story)
