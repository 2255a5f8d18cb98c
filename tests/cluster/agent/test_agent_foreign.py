"""Work that others make and Fairlead places: what the agent tells of it from its pods alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace
from tests.cluster.build import Bench

from fairlead.cluster.agent.foreign import foreign_row
from fairlead.cluster.agent.observe import Observer
from fairlead.objects import fields, kinds
from fairlead.objects.meta import Condition, ObjectMeta, OwnerReference
from fairlead.objects.pod import Container, ContainerState, ContainerStatus, Pod, PodSpec, PodStatus
from fairlead.objects.pod import ResourceRequirements as Amounts
from fairlead.wire.agent import NodeRow, Observed, PodRow, WorkloadRow
from fairlead.workloads.makers import Maker, maker_of

JOB = Maker(kind="Job", name="nightly", uid="u1")


def a_pod(name: str, phase: str, *, node: str = "", made: str = "2026-01-01T00:00:00Z", **labels: str) -> Pod:
    owner = OwnerReference(api_version="batch/v1", kind=JOB.kind, name=JOB.name, uid=JOB.uid, controller=True)
    amounts: dict[str, Any] = {"nvidia.com/gpu": "2", "cpu": "1"}
    waits = Condition(type="PodScheduled", status="False", message="Over the limit of team [over-limit]")
    return Pod(
        metadata=ObjectMeta(
            name=name,
            namespace="default",
            uid=name,
            creation_timestamp=made,
            labels={fields.QUEUE: "team", **labels},
            owner_references=(owner,),
        ),
        spec=PodSpec(
            node_name=node,
            containers=(Container(name="c", image="train:1", resources=Amounts(requests=amounts, limits=amounts)),),
        ),
        status=PodStatus(phase=phase, conditions=() if node else (waits,)),
    )


def row_of(*pods: Pod) -> WorkloadRow:
    return foreign_row(JOB, pods, simulated=False, sizes={})


def test_a_pod_is_of_its_controller_or_of_nobody_but_itself() -> None:
    pod = a_pod("nightly-x", "Pending")
    assert maker_of(pod) == JOB
    alone = replace(pod, metadata=replace(pod.metadata, owner_references=()))
    assert maker_of(alone) == Maker(kind="Pod", name="nightly-x", uid="nightly-x")
    ours = replace(
        pod.metadata, labels={fields.WORKLOAD_KIND: "Training", fields.WORKLOAD: "t", fields.WORKLOAD_ID: "i"}
    )
    assert maker_of(replace(pod, metadata=ours)) == Maker(kind="Training", name="t", uid="i", is_ours=True)


def test_what_waits_says_why() -> None:
    row = row_of(a_pod("a", "Pending"), a_pod("b", "Pending"))
    assert (row.id, row.kind, row.name, row.phase, row.requested_pods) == ("u1", "Job", "nightly", "Pending", 2)
    assert (row.message, [r.code for r in row.reasons]) == ("Over the limit of team", ["over-limit"])
    assert (row.requested_gpu_milli, row.allocated_gpu_milli, row.requested_cpu_milli) == (4000, 0, 2000)
    assert (row.queued > 0, row.queued_as) == (True, "a")


@pytest.mark.parametrize(
    ("pods", "phase", "message"),
    [
        ((a_pod("a", "Running", node="n1"), a_pod("b", "Pending")), "Running", "1 of 2 pods run."),
        ((a_pod("a", "Running", node="n1"),), "Running", ""),
        ((a_pod("a", "Pending", node="n1"),), "Initializing", "Starting on n1."),
        ((a_pod("a", "Succeeded", node="n1"),), "Completed", "Ended with exit code 0"),
        ((a_pod("a", "Failed", node="n1"),), "Failed", "a failed: failed"),
        (
            (a_pod("a", "Failed", node="n1"), a_pod("b", "Succeeded", node="n1", made="2026-01-02T00:00:00Z")),
            "Completed",
            "Ended with exit code 0",
        ),
        ((a_pod("a", "Failed", node="n1"), a_pod("b", "Running", node="n2")), "Running", ""),
    ],
)
def test_its_pods_show_how_it_fares(pods: tuple[Pod, ...], phase: str, message: str) -> None:
    row = row_of(*pods)
    assert (row.phase, row.message) == (phase, message)


def test_what_its_node_cannot_start_is_said() -> None:
    pod = a_pod("a", "Pending", node="n1")
    waits = ContainerState(waiting={"reason": "ImagePullBackOff", "message": "not found"})
    held = replace(pod.status, container_statuses=(ContainerStatus(name="c", state=waits),))
    assert row_of(replace(pod, status=held)).message == "Cannot start on n1: ImagePullBackOff: not found"


def test_whether_it_may_be_stopped_is_what_its_labels_say_else_its_class() -> None:
    high, said = {fields.PRIORITY_CLASS: "build"}, {fields.PREEMPTIBILITY: "preemptible"}
    assert row_of(a_pod("a", "Pending")).preemptible
    assert not row_of(a_pod("a", "Pending", **high)).preemptible
    assert row_of(a_pod("a", "Pending", **high, **said)).preemptible


def test_it_is_told_with_its_pods_and_is_gone_with_them() -> None:
    bench = Bench()

    async def story() -> tuple[str, Observed, Observed]:
        await bench.a_node("n1")
        observer = Observer(bench.client)
        tasks = [asyncio.create_task(cache.run()) for cache in observer.caches()]
        pod = a_pod("nightly-x", "Pending")
        alone = ObjectMeta(name="nightly-x", labels=pod.metadata.labels)
        made = await bench.client.create(kinds.POD, replace(pod, metadata=alone), "default")
        await bench.client.create(kinds.POD, replace(pod, metadata=ObjectMeta(name="system")), "default")
        await bench.client.bind("nightly-x", "default", "n1", uid=made.metadata.uid)
        await bench.client.patch(
            kinds.POD, "nightly-x", {"metadata": {"annotations": {fields.DEVICES: "0,1"}}}, "default"
        )
        await bench.clock.sleep(5)
        first = observer.everything(1)
        await bench.client.delete(kinds.POD, "nightly-x", "default", grace_seconds=0)
        await bench.clock.sleep(5)
        gone = observer.delta(2)
        for task in tasks:
            task.cancel()
        return made.metadata.uid, first, gone

    uid, first, gone = bench.run(story)
    (work,) = (row for row in first.rows if isinstance(row, WorkloadRow))
    (pod,) = (row for row in first.rows if isinstance(row, PodRow))
    (node,) = (row for row in first.rows if isinstance(row, NodeRow))
    assert (work.id, work.kind, work.allocated_gpu_milli, pod.workload, pod.devices) == (uid, "Pod", 2000, uid, (0, 1))
    assert {h.workload for d in node.gpus for h in d.holders} == {uid}
    assert {(g.row, g.key) for g in gone.gone} == {("WorkloadRow", uid), ("PodRow", uid)}
