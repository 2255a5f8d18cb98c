"""What the scheduler role reads of pods, groups, queues and topologies, on the embedded store in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from tests.cluster.build import Bench
from tests.cluster.scheduler.test_scheduler_role import a_queue, node_of

from fairlead.cluster.scheduler.main import Scheduler
from fairlead.cluster.scheduler.unsupported import unsupported
from fairlead.objects import fields, kinds
from fairlead.objects.builtin import ConfigMap
from fairlead.objects.json import JsonObject
from fairlead.objects.kai import (
    PodGroup,
    PodGroupSpec,
    Queue,
    QueueResource,
    QueueResources,
    QueueSpec,
    SubGroup,
    Topology,
    TopologyConstraint,
    TopologyLevel,
    TopologySpec,
)
from fairlead.objects.meta import ObjectMeta, OwnerReference
from fairlead.objects.pod import Container, Pod, PodSpec
from fairlead.objects.times import text_of

HOST = "kubernetes.io/hostname"


def lives(bench: Bench, story: Callable[[], Awaitable[None]], nodes: int = 2) -> None:
    """The story, while the scheduler runs on nodes `n1`, `n2` ... of 4 GPUs, and a queue `team` of all."""

    async def both() -> None:
        running = asyncio.create_task(Scheduler(bench.shaky, bench.clock).run())
        for number in range(1, nodes + 1):
            await bench.a_node(f"n{number}")
        await a_queue(bench, "team")
        await bench.clock.sleep(1)
        await story()
        running.cancel()

    bench.run(both)


async def asks(
    bench: Bench,
    name: str,
    gpus: int = 1,
    *,
    group: str = "",
    queue: str = "team",
    notes: dict[str, str] | None = None,
    **spec: Any,
) -> None:
    """A pod with that specification, in the words of its object; `gpus` whole ones."""
    labels = spec.pop("labels", {})
    amounts = {fields.GPU_RESOURCE: str(gpus)} if gpus else {}
    container = {
        "name": "c",
        "image": "x",
        "resources": {"requests": amounts, "limits": amounts},
        **spec.pop("container", {}),
    }
    meta = ObjectMeta(
        name=name,
        labels={fields.QUEUE: queue, **labels},
        annotations={**({fields.POD_GROUP: group} if group else {}), **(notes or {})},
    )
    written: JsonObject = {"containers": [container], "schedulerName": "fairlead", **spec}
    await bench.client.create(kinds.POD, Pod(metadata=meta, spec=msgspec.convert(written, PodSpec)), "default")


async def why(bench: Bench, name: str) -> str:
    """What the pod says of why it waits."""
    pod = await bench.client.get(kinds.POD, name, "default")
    return "".join(c.message for c in pod.status.conditions if c.type == "PodScheduled" and c.status == "False")


def _company(kind: str, **selector: Any) -> JsonObject:
    term = {"topologyKey": HOST, "labelSelector": selector}
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def test_pods_that_avoid_each_other_lie_apart_and_the_third_waits() -> None:
    bench = Bench()

    async def story() -> None:
        apart = _company("podAntiAffinity", matchLabels={"app": "db"})
        for name in ("a", "b", "c"):
            await asks(bench, name, labels={"app": "db"}, affinity=apart)
            await bench.clock.sleep(1)
        assert {await node_of(bench, name) for name in ("a", "b")} == {"n1", "n2"}
        assert await node_of(bench, "c") == ""

    lives(bench, story)


def test_a_pod_follows_the_one_it_needs() -> None:
    bench = Bench()

    async def story() -> None:
        await asks(bench, "first", 1, labels={"app": "cache"}, nodeSelector={HOST: "n2"})
        await asks(bench, "other", 3, nodeSelector={HOST: "n1"})
        await bench.clock.sleep(1)
        beside = _company("podAffinity", matchExpressions=[{"key": "app", "operator": "In", "values": ["cache"]}])
        await asks(bench, "second", 1, affinity=beside)
        await bench.clock.sleep(1)
        assert [await node_of(bench, n) for n in ("first", "other", "second")] == ["n2", "n1", "n2"]

    lives(bench, story)


async def a_topology(bench: Bench) -> None:
    """Racks `r1` of `n1`, `n2` and `r2` of `n3`, `n4`."""
    levels = (TopologyLevel(node_label="rack"), TopologyLevel(node_label=HOST))
    await bench.client.create(
        kinds.TOPOLOGY, Topology(metadata=ObjectMeta(name="dc"), spec=TopologySpec(levels=levels))
    )
    for number in range(1, 5):
        labels = {"rack": "r1" if number < 3 else "r2", HOST: f"n{number}"}
        await bench.client.patch(kinds.NODE, f"n{number}", {"metadata": {"labels": labels}})


async def a_group(bench: Bench, name: str, **spec: Any) -> None:
    group = PodGroup(metadata=ObjectMeta(name=name), spec=PodGroupSpec(queue="team", **spec))
    await bench.client.create(kinds.POD_GROUP, group, "default")


def test_a_gang_lies_within_the_level_its_group_requires() -> None:
    bench = Bench()

    async def story() -> None:
        await a_topology(bench)
        await asks(bench, "in-the-way", 3, nodeSelector={HOST: "n1"})
        await bench.clock.sleep(1)
        near = TopologyConstraint(topology="dc", required_topology_level="rack")
        await a_group(bench, "gang", min_member=2, topology_constraint=near)
        for name in ("g1", "g2"):
            await asks(bench, name, 4, group="gang")
        await bench.clock.sleep(1)
        assert {await node_of(bench, name) for name in ("g1", "g2")} == {"n3", "n4"}
        await a_group(bench, "second", min_member=2, topology_constraint=near)
        for name in ("s1", "s2"):
            await asks(bench, name, 4, group="second")
        await bench.clock.sleep(1)
        assert {await node_of(bench, name) for name in ("s1", "s2")} == {""}

    lives(bench, story, nodes=4)


def test_each_subgroup_keeps_its_own_minimum() -> None:
    bench = Bench()

    async def story() -> None:
        await a_group(
            bench, "gang", min_member=3, sub_groups=(SubGroup(name="lead"), SubGroup(name="work", min_member=2))
        )
        await asks(bench, "lead", 1, group="gang", labels={fields.SUBGROUP: "lead"})
        await asks(bench, "w1", 4, group="gang", labels={fields.SUBGROUP: "work"})
        await bench.clock.sleep(1)
        assert [await node_of(bench, n) for n in ("lead", "w1")] == ["", ""]
        await asks(bench, "w2", 3, group="gang", labels={fields.SUBGROUP: "work"})
        await bench.clock.sleep(1)
        assert "" not in [await node_of(bench, n) for n in ("lead", "w1", "w2")]

    lives(bench, story)


async def a_poor_queue(bench: Bench, name: str, quota: float, **spec: Any) -> None:
    every = QueueResource(quota=-1, limit=-1, over_quota_weight=1)
    resources = QueueResources(gpu=QueueResource(quota=quota, limit=-1, over_quota_weight=1), cpu=every, memory=every)
    await bench.client.create(
        kinds.QUEUE, Queue(metadata=ObjectMeta(name=name), spec=QueueSpec(resources=resources, **spec))
    )


def test_a_gang_is_not_taken_back_before_its_least_run_time_is_over() -> None:
    bench = Bench()

    async def story() -> None:
        await a_poor_queue(bench, "lent", 0, reclaim_min_runtime="1m30s")
        await a_poor_queue(bench, "owed", 4)
        await a_group(bench, "gang", min_member=2)
        await bench.client.patch(kinds.POD_GROUP, "gang", {"spec": {"queue": "lent"}}, "default")
        for name in ("g1", "g2"):
            await asks(bench, name, 2, group="gang", queue="lent")
        await bench.clock.sleep(1)
        for name in ("g1", "g2"):
            started = {"phase": "Running", "startTime": text_of(bench.clock.now())}
            await bench.client.patch_status(kinds.POD, name, started, "default")
        await asks(bench, "owner", 4, queue="owed")
        await bench.clock.sleep(60)
        assert [p.metadata.deletion_timestamp for p in await _pods(bench)] == [None, None, None]
        await bench.clock.sleep(60)
        assert [p.metadata.name for p in await _pods(bench) if not p.metadata.deletion_timestamp] == ["owner"]

    lives(bench, story, nodes=1)


async def _pods(bench: Bench) -> list[Pod]:
    return list((await bench.client.list(kinds.POD, "default")).items)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"notes": {fields.GPU_FRACTION: "1.5"}, "gpus": 0},
            "gpu-fraction='1.5' (a number from 0.001 to below 1 was expected)",
        ),
        ({"notes": {fields.GPU_FRACTION: "0.0001"}, "gpus": 0}, "gpu-fraction='0.0001'"),
        ({"notes": {fields.GPU_FRACTION: "half"}, "gpus": 0}, "gpu-fraction='half'"),
        ({"notes": {fields.GPU_FRACTION: "0.5"}, "gpus": 1}, "a part of a GPU and whole ones"),
        ({"notes": {fields.GPU_MEMORY: "-4"}, "gpus": 0}, "gpu-memory='-4' (a whole number above 0 was expected)"),
        (
            {"notes": {fields.GPU_FRACTION: "0.5", fields.GPU_MEMORY: "10"}, "gpus": 0},
            "both gpu-fraction and gpu-memory",
        ),
        ({"resourceClaims": [{"name": "gpu", "resourceClaimName": "one"}]}, "resourceClaims (DRA)"),
        ({"container": {"ports": [{"containerPort": 80, "hostPort": 80}]}}, "a hostPort"),
        (
            {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": HOST, "whenUnsatisfiable": "DoNotSchedule"}]},
            "topologySpreadConstraints with DoNotSchedule",
        ),
        ({"affinity": _company("podAffinity", matchExpressions=[{"key": "a", "operator": "Near"}])}, "cannot be read"),
    ],
)
def test_what_cannot_be_decided_on_waits_and_says_so_and_others_go_on(asked: dict[str, Any], said: str) -> None:
    bench = Bench()

    async def story() -> None:
        await asks(bench, "odd", **asked)
        await asks(bench, "plain", 4)
        await bench.clock.sleep(6)
        assert (await node_of(bench, "odd"), await node_of(bench, "plain")) == ("", "n1")
        assert said in await why(bench, "odd")

    lives(bench, story, nodes=1)


def test_an_operator_of_node_affinity_that_nobody_knows_is_named() -> None:
    terms = [{"matchExpressions": [{"key": "zone", "operator": "Wat", "values": ["x"]}]}]
    spec = {
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    }
    pod = Pod(metadata=ObjectMeta(name="odd"), spec=msgspec.convert(spec, PodSpec))
    assert unsupported(pod).startswith("node affinity by the operator 'Wat' (one of ")


def test_a_pod_that_another_controller_made_waits_until_its_owner_was_looked_at() -> None:
    bench = Bench()

    async def story() -> None:
        made = await bench.client.create(kinds.CONFIG_MAP, ConfigMap(metadata=ObjectMeta(name="any")), "default")
        maker = OwnerReference(api_version="v1", kind="ConfigMap", name="any", uid=made.metadata.uid, controller=True)
        spec = PodSpec(containers=(Container(name="c", image="x"),), scheduler_name="fairlead")
        meta = ObjectMeta(name="worker", labels={fields.QUEUE: "team"}, owner_references=(maker,))
        await bench.client.create(kinds.POD, Pod(metadata=meta, spec=spec), "default")
        await bench.clock.sleep(10)
        assert await node_of(bench, "worker") == ""
        mark: JsonObject = {"metadata": {"annotations": {fields.GROUPED: "alone"}}}
        await bench.client.patch(kinds.POD, "worker", mark, "default")
        await bench.clock.sleep(1)
        assert await node_of(bench, "worker") != ""

    lives(bench, story)


def test_in_the_namespace_of_a_project_no_label_leads_into_the_queue_of_another() -> None:
    bench = Bench()

    async def story() -> None:
        await a_queue(bench, "poor")
        own: JsonObject = {"metadata": {"labels": {fields.PROJECT: "poor"}}}
        nothing: JsonObject = {"spec": {"resources": {"gpu": {"quota": 0, "limit": 0}}}}
        await bench.client.patch(kinds.QUEUE, "poor", {**own, **nothing})
        await bench.client.patch(kinds.NAMESPACE, "default", own)
        await asks(bench, "sly", queue="team")
        await bench.clock.sleep(10)
        assert await node_of(bench, "sly") == ""
        assert "poor" in await why(bench, "sly")

    lives(bench, story)
