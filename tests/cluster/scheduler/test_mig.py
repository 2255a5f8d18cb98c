"""Parts of devices that the hardware keeps apart: ordinary resources that are charged as GPUs by the number in their profile."""

from __future__ import annotations

import asyncio

from tests.cluster.build import Bench
from tests.cluster.scheduler.test_scheduler_role import a_queue, asks, node_of

from fairlead.cluster.scheduler.main import Scheduler
from fairlead.objects import fields, kinds
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import Container, Pod, PodSpec, ResourceRequirements
from fairlead.workloads.gpus import gpu_milli, gpu_of

SMALL, LARGE = "nvidia.com/mig-1g.10gb", "nvidia.com/mig-3g.40gb"


def a_pod(name: str, **counts: str) -> Pod:
    """A pod that asks for instances; `one` and `three` by the g of their profile."""
    amounts = {{"one": SMALL, "three": LARGE}[key]: count for key, count in counts.items()}
    resources = ResourceRequirements(limits={**amounts}, requests={**amounts})
    spec = PodSpec(containers=(Container(name="c", image="x", resources=resources),), scheduler_name="fairlead")
    return Pod(metadata=ObjectMeta(name=name, labels={fields.QUEUE: "team"}), spec=spec)


def test_instances_are_charged_by_the_number_in_their_profile() -> None:
    pod = a_pod("a", one="2", three="1")
    assert (gpu_of(pod).mig, gpu_of(pod).devices) == (((SMALL, 2), (LARGE, 1)), 0)
    assert gpu_milli(pod) == 5000


def test_instances_go_where_they_are_and_whole_gpus_where_devices_are_not_split() -> None:
    bench = Bench()

    async def story() -> None:
        await bench.a_node("whole")
        await bench.a_node("split", gpus=4)
        await bench.client.patch_status(kinds.NODE, "split", {"allocatable": {SMALL: "2", LARGE: "1"}})
        await a_queue(bench, "team")
        running = asyncio.create_task(Scheduler(bench.shaky, bench.clock).run())
        for name in ("a", "b", "c"):
            await bench.client.create(kinds.POD, a_pod(name, one="1"), "default")
            await bench.clock.sleep(2)
        for number in range(2):
            await asks(bench, f"w{number}", 2)
        await bench.clock.sleep(5)
        assert [await node_of(bench, name) for name in ("a", "b", "c")] == ["split", "split", ""]
        assert [await node_of(bench, f"w{number}") for number in range(2)] == ["whole", "whole"]
        notes = (await bench.client.get(kinds.POD, "a", "default")).metadata.annotations
        assert (notes[fields.ENFORCEMENT], notes[fields.RECEIVED_TYPE]) == ("hardware", "MigInstance")
        running.cancel()

    bench.run(story)
