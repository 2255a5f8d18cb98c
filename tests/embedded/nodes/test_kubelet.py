"""A node in simulated time: what becomes of pods that are bound to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

from tests.cluster.build import Bench

from fairlead.embedded.nodes.kubelet import Kubelet
from fairlead.embedded.nodes.machine import NodeSpec, simulated_devices
from fairlead.embedded.nodes.simulated import SimulatedRuntime
from fairlead.kube.faulty import Faults
from fairlead.objects import kinds
from fairlead.objects.fields import DEVICES
from fairlead.objects.meta import Condition, ObjectMeta
from fairlead.objects.pod import Container, Pod, PodSpec, ResourceRequirements

NODE = NodeSpec(
    name="n1",
    cpu_milli=8000,
    memory_bytes=1 << 34,
    devices=simulated_devices("n1", 2),
    simulated=True,
    runtime="simulated",
)


class Node:
    """The node, its runtime, and pods on it."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.client = self.bench.client
        self.runtime = SimulatedRuntime(self.bench.clock)

    def lives(self, story: Callable[[], Awaitable[None]]) -> None:
        """The story, while the node runs."""

        async def both() -> None:
            running = asyncio.create_task(self.kubelet().run())
            await self.bench.clock.sleep(1)
            await story()
            running.cancel()

        self.bench.run(both)

    def kubelet(self) -> Kubelet:
        return Kubelet(self.bench.shaky, self.bench.clock, Random(1), [NODE], {"simulated": self.runtime})

    async def bound(self, name: str, *, gpus: int = 0, seconds: int = 1000) -> Pod:
        """A pod given to the node, some seconds later."""
        resources = ResourceRequirements(limits={"nvidia.com/gpu": str(gpus)} if gpus else {})
        container = Container(name="c", image="x", command=("sleep", str(seconds)), resources=resources)
        pod = Pod(metadata=ObjectMeta(name=name), spec=PodSpec(containers=(container,)))
        await self.client.create(kinds.POD, pod, "default")
        await self.client.bind(name, "default", "n1")
        await self.bench.clock.sleep(1)
        return await self.get(name)

    async def get(self, name: str) -> Pod:
        return await self.client.get(kinds.POD, name, "default")


def test_a_bound_pod_runs_and_succeeds() -> None:
    node = Node()

    async def story() -> None:
        pod = await node.bound("a", gpus=1, seconds=60)
        assert (pod.status.phase, pod.metadata.annotations[DEVICES]) == ("Running", "0")
        await node.bench.clock.sleep(60)
        assert (await node.get("a")).status.phase == "Succeeded"

    node.lives(story)


def test_a_pod_that_ended_does_not_run_again_because_news_of_it_came_late() -> None:
    node = Node()

    async def story() -> None:
        node.bench.faulty.faults = Faults(late=1.0, late_seconds=5.0)
        for name in ("a", "b"):
            await node.bound(name, gpus=1, seconds=1)
        phases: dict[str, list[str]] = {}
        for _ in range(600):
            await node.bench.clock.sleep(0.1)
            for pod in (await node.client.list(kinds.POD)).items:
                seen = phases.setdefault(pod.metadata.name, [])
                if seen[-1:] != [pod.status.phase]:
                    seen.append(pod.status.phase)
        assert {tuple(p for p in seen if p != "Pending") for seen in phases.values()} == {("Running", "Succeeded")}

    node.lives(story)


def test_a_pod_too_many_fails_with_what_is_missing() -> None:
    node = Node()

    async def story() -> None:
        await node.bound("a", gpus=2)
        refused = await node.bound("b", gpus=1)
        assert (refused.status.phase, "0 of 2 free" in refused.status.message) == ("Failed", True)

    node.lives(story)


def test_a_deleted_pod_is_stopped_and_its_devices_are_free() -> None:
    node = Node()

    async def story() -> None:
        await node.bound("a", gpus=2)
        await node.client.delete(kinds.POD, "a", "default")
        await node.bench.clock.sleep(1)
        assert await node.client.find(kinds.POD, "a", "default") is None
        assert node.runtime.known() == ()
        assert (await node.bound("b", gpus=2)).status.phase == "Running"

    node.lives(story)


def test_a_pod_removed_by_force_is_stopped_and_its_successor_of_the_same_name_is_not_blamed() -> None:
    node = Node()

    async def story() -> None:
        old = await node.bound("a", gpus=2)
        await node.client.delete(kinds.POD, "a", "default", grace_seconds=0)
        new = await node.bound("a", gpus=2)
        await node.bench.clock.sleep(5)
        assert new.metadata.uid != old.metadata.uid
        assert (await node.get("a")).status.phase == "Running"
        assert node.runtime.known() == (new.metadata.uid,)

    node.lives(story)


def test_a_pod_removed_by_force_while_its_container_starts_leaves_no_container() -> None:
    node = Node()

    class SlowRuntime(SimulatedRuntime):
        async def start(self, pod: Pod, env: dict[str, str]) -> None:
            await node.bench.clock.sleep(30)
            await super().start(pod, env)

    node.runtime = SlowRuntime(node.bench.clock)

    async def story() -> None:
        await node.bound("a", gpus=1)
        await node.client.delete(kinds.POD, "a", "default", grace_seconds=0)
        await node.bench.clock.sleep(10)
        again = await node.bound("a", gpus=1)
        await node.bench.clock.sleep(60)
        assert node.runtime.known() == (again.metadata.uid,)
        assert (await node.get("a")).status.phase == "Running"

    node.lives(story)


def test_a_condition_that_others_write_meanwhile_stays() -> None:
    node = Node()

    async def story() -> None:
        pod = Pod(metadata=ObjectMeta(name="a"), spec=PodSpec(containers=(Container(name="c", image="x"),)))
        await node.client.create(kinds.POD, pod, "default")
        evicted = Condition(type="DisruptionTarget", status="True", reason="PreemptionByScheduler")
        await node.client.bind("a", "default", "n1")
        await node.client.patch_conditions(kinds.POD, "a", [evicted], "default")
        await node.bench.clock.sleep(1)
        found = {c.type: c.status for c in (await node.get("a")).status.conditions}
        assert found == {"DisruptionTarget": "True", "PodScheduled": "True", "Ready": "True"}

    node.lives(story)


def test_a_status_refused_by_a_conflict_is_written_after_all() -> None:
    node = Node()

    async def story() -> None:
        node.bench.faulty.faults = Faults(conflict=0.8)
        await node.bound("a", seconds=60)
        await node.bench.clock.sleep(600)
        assert (await node.get("a")).status.phase == "Succeeded"

    node.lives(story)


def test_a_restarted_node_goes_on_with_its_pods_and_ends_those_that_are_gone() -> None:
    node = Node()

    async def before() -> None:
        await node.bound("stays", gpus=1)
        await node.bound("goes", gpus=1)

    node.lives(before)

    async def meanwhile() -> None:
        await node.client.delete(kinds.POD, "goes", "default", grace_seconds=0)

    node.bench.run(meanwhile)
    stays = node.bench.run(lambda: node.get("stays")).metadata.uid
    assert len(node.runtime.known()) == 2

    async def after() -> None:
        assert (await node.get("stays")).status.phase == "Running"
        assert node.runtime.known() == (stays,)

    node.lives(after)
