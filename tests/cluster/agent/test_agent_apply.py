"""What the control plane wants, as objects of the cluster."""

from __future__ import annotations

from typing import Any

from tests.cluster.build import Bench

from fairlead.cluster.agent.apply import Applier
from fairlead.kube.faulty import Faults
from fairlead.objects import kinds
from fairlead.objects.builtin import Namespace
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.workload import Training, WorkloadSpec
from fairlead.runtime.errors import Retryable
from fairlead.wire.agent import Desired, DesiredObject


def a_project(name: str, gpus: int) -> DesiredObject:
    resources = [{"nodePool": "default", "gpu": {"deserved": gpus}}]
    return DesiredObject(
        kind="Project", name=name, object={"metadata": {"name": name}, "spec": {"resources": resources}}
    )


def a_training(identity: str, **spec: Any) -> DesiredObject:
    made = {"metadata": {"name": "job", "namespace": "ns"}, "spec": {"image": "x", "workloadId": identity, **spec}}
    return DesiredObject(kind="Training", name="job", namespace="ns", object=made)


def test_a_frame_applied_twice_is_applied_once() -> None:
    bench = Bench()

    async def story() -> None:
        applier = Applier(bench.shaky)
        frame = Desired(revision=1, objects=(a_project("team", 2000),))
        assert await applier.apply(frame) == ()
        assert await applier.apply(frame) == ()

    bench.run(story)
    assert bench.writes() == ["POST projects"]


def test_a_conflict_is_tried_again_and_not_reported() -> None:
    bench = Bench()

    async def story() -> int:
        applier = Applier(bench.shaky)
        await applier.apply(Desired(revision=1, objects=(a_project("team", 2000),)))
        bench.faulty.faults = Faults(conflict=0.5)
        assert await applier.apply(Desired(revision=2, objects=(a_project("team", 0),))) == ()
        return (await bench.client.get(kinds.PROJECT, "team")).spec.resources[0].gpu.deserved

    assert bench.run(story) == 0


def test_a_lost_answer_comes_back_as_try_again_and_the_second_time_finds_it_done() -> None:
    bench = Bench()

    async def story() -> tuple[object, ...]:
        applier, frame = Applier(bench.shaky), Desired(revision=1, objects=(a_project("team", 2000),))
        bench.faulty.faults = Faults(lost=1.0)
        try:
            await applier.apply(frame)
        except Retryable:
            bench.faulty.faults = Faults()
        return await applier.apply(frame)

    assert bench.run(story) == ()


def test_somebody_elses_workload_of_that_name_is_left_alone_and_said() -> None:
    bench = Bench()

    async def story() -> None:
        await bench.client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name="ns")))
        theirs = Training(metadata=ObjectMeta(name="job"), spec=WorkloadSpec(image="theirs"))
        await bench.client.create(kinds.TRAINING, theirs, "ns")
        (error,) = await Applier(bench.shaky).apply(Desired(revision=1, objects=(a_training("w-1"),)))
        assert (error.code, "made by somebody else" in error.message) == ("name-taken", True)
        assert (await bench.client.get(kinds.TRAINING, "job", "ns")).spec.image == "theirs"

    bench.run(story)


def test_only_the_workload_that_is_meant_is_removed() -> None:
    bench = Bench()

    def gone(identity: str) -> Desired:
        return Desired(revision=1, objects=(DesiredObject(kind="Training", name="job", namespace="ns", id=identity),))

    async def story() -> None:
        applier = Applier(bench.shaky)
        await bench.client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name="ns")))
        await applier.apply(Desired(revision=1, objects=(a_training("w-2"),)))
        assert await applier.apply(gone("w-1")) == ()
        assert await bench.client.find(kinds.TRAINING, "job", "ns") is not None, "it has the name of one that went"
        assert await applier.apply(gone("w-2")) == ()
        assert await bench.client.find(kinds.TRAINING, "job", "ns") is None
        theirs = Training(metadata=ObjectMeta(name="job"), spec=WorkloadSpec(image="theirs"))
        made = await bench.client.create(kinds.TRAINING, theirs, "ns")
        assert await applier.apply(gone(made.metadata.uid)) == ()
        assert await bench.client.find(kinds.TRAINING, "job", "ns") is None, "made in the cluster, removed from a page"

    bench.run(story)


def test_a_workload_waits_for_the_namespace_of_its_project() -> None:
    bench = Bench()

    async def story() -> None:
        (error,) = await Applier(bench.shaky).apply(Desired(revision=1, objects=(a_training("w-1"),)))
        assert (error.code, "was not made in time" in error.message) == ("not-found", True)
        await bench.client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name="ns")))
        assert await Applier(bench.shaky).apply(Desired(revision=1, objects=(a_training("w-1"),))) == ()

    bench.run(story)


def test_a_kind_that_the_control_plane_may_not_make_is_refused() -> None:
    bench = Bench()
    secret = DesiredObject(kind="Secret", name="x", namespace="default", object={"metadata": {"name": "x"}})

    async def story() -> None:
        (error,) = await Applier(bench.shaky).apply(Desired(revision=1, objects=(secret,)))
        assert error.code == "invalid"

    bench.run(story)
    assert bench.writes() == []


def test_a_full_frame_removes_organisation_that_is_no_longer_named() -> None:
    bench = Bench()

    async def story() -> list[str]:
        applier = Applier(bench.shaky)
        await applier.apply(Desired(revision=1, objects=(a_project("old", 0), a_project("team", 0))))
        await applier.apply(Desired(revision=2, objects=(a_project("team", 0),), full=True))
        return [p.metadata.name for p in (await bench.client.list(kinds.PROJECT)).items]

    assert bench.run(story) == ["team"]
