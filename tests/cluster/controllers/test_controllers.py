"""The controllers on the embedded store, in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

from tests.cluster.build import Bench

from fairlead.cluster.controllers.main import Controllers, ControllersOptions
from fairlead.kube.faulty import Faults
from fairlead.objects import kinds
from fairlead.objects.builtin import Namespace
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.organisation import Department, PoolResources, Project, ProjectSpec, Share
from fairlead.objects.times import text_of
from fairlead.objects.workload import DistributedTraining, Training, WorkloadSpec


def lives(bench: Bench, story: Callable[[], Awaitable[None]], options: ControllersOptions | None = None) -> None:
    """The story, while the controllers run beside a department and a project `team` of 2 GPUs."""

    async def both() -> None:
        running = asyncio.create_task(Controllers(bench.shaky, bench.clock, Random(1), options).run())
        await bench.client.create(kinds.DEPARTMENT, Department(metadata=ObjectMeta(name="default")))
        spec = ProjectSpec(resources=(PoolResources(gpu=Share(deserved=2000, limit=4000)),))
        await bench.client.create(kinds.PROJECT, Project(metadata=ObjectMeta(name="team"), spec=spec))
        await bench.clock.sleep(30)
        await story()
        running.cancel()

    bench.run(both)


def a_training(name: str) -> Training:
    return Training(metadata=ObjectMeta(name=name), spec=WorkloadSpec(image="x", gpu_devices=1))


async def pods(bench: Bench) -> list[str]:
    return [p.metadata.name for p in (await bench.client.list(kinds.POD, "runai-team")).items]


def test_a_project_has_a_namespace_and_a_queue_under_its_departments() -> None:
    bench = Bench()

    async def story() -> None:
        queue = await bench.client.get(kinds.QUEUE, "team")
        assert queue.spec.resources is not None
        assert (queue.spec.parent_queue, queue.spec.resources.gpu.quota, queue.spec.resources.gpu.limit) == (
            "department-default",
            2,
            4,
        )
        assert (await bench.client.get(kinds.NAMESPACE, "runai-team")).metadata.labels["runai/queue"] == "team"
        assert (await bench.client.get(kinds.PROJECT, "team")).status.phase == "Ready"

    lives(bench, story)


def test_a_project_is_not_ready_before_work_can_run_in_it() -> None:
    bench = Bench()

    async def story() -> None:
        async def state() -> tuple[str, str]:
            await bench.clock.sleep(30)
            status = (await bench.client.get(kinds.PROJECT, "lost")).status
            return status.phase, status.message

        spec = ProjectSpec(department="nowhere")
        await bench.client.create(kinds.PROJECT, Project(metadata=ObjectMeta(name="lost"), spec=spec))
        phase, message = await state()
        assert phase == "Failed"
        assert "no department 'nowhere'" in message
        await bench.client.create(kinds.DEPARTMENT, Department(metadata=ObjectMeta(name="nowhere")))
        assert await state() == ("Ready", "")

    lives(bench, story)


def test_where_namespaces_are_made_by_others_a_project_says_which_it_waits_for() -> None:
    bench = Bench()

    async def story() -> None:
        assert await bench.client.find(kinds.NAMESPACE, "runai-team") is None
        status = (await bench.client.get(kinds.PROJECT, "team")).status
        assert status.phase == "Creating"
        assert "kubectl create namespace runai-team && kubectl label namespace runai-team " in status.message
        labels = dict(word.split("=") for word in status.message.rpartition("runai-team ")[2].split())
        await bench.client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name="runai-team", labels=labels)))
        await bench.clock.sleep(30)
        assert (await bench.client.get(kinds.PROJECT, "team")).status.phase == "Ready"

    lives(bench, story, ControllersOptions(creates_namespaces=False))


def test_a_quota_lowered_to_nothing_reaches_the_queue() -> None:
    bench = Bench()

    async def story() -> None:
        none = [{"nodePool": "default", "gpu": {"deserved": 0}}]
        await bench.client.patch(kinds.PROJECT, "team", {"spec": {"resources": none}})
        await bench.clock.sleep(30)
        queue = await bench.client.get(kinds.QUEUE, "team")
        assert queue.spec.resources is not None
        assert (queue.spec.resources.gpu.quota, queue.spec.resources.gpu.limit) == (0, -1)

    lives(bench, story)


def test_a_workload_is_made_once_whatever_becomes_of_the_answers() -> None:
    bench = Bench()

    async def story() -> None:
        bench.faulty.faults = Faults(lost=0.5)
        await bench.client.create(kinds.TRAINING, a_training("job"), "runai-team")
        await bench.clock.sleep(300)
        assert await pods(bench) == ["job-0"]
        assert (await bench.client.get(kinds.TRAINING, "job", "runai-team")).status.phase == "Pending"

    lives(bench, story)


def test_a_status_refused_by_a_conflict_is_written_after_all() -> None:
    bench = Bench()

    async def story() -> None:
        bench.faulty.faults = Faults(conflict=0.8)
        await bench.client.create(kinds.TRAINING, a_training("job"), "runai-team")
        await bench.clock.sleep(600)
        assert (await bench.client.get(kinds.TRAINING, "job", "runai-team")).status.phase == "Pending"

    lives(bench, story)


def test_pods_of_a_workload_that_is_gone_are_removed_and_those_of_its_successor_stay() -> None:
    bench = Bench()

    async def story() -> None:
        await bench.client.create(kinds.TRAINING, a_training("job"), "runai-team")
        await bench.clock.sleep(5)
        (old,) = (await bench.client.list(kinds.POD, "runai-team")).items
        await bench.client.delete(kinds.TRAINING, "job", "runai-team")
        await bench.client.create(kinds.TRAINING, a_training("job"), "runai-team")
        await bench.clock.sleep(30)
        (new,) = (await bench.client.list(kinds.POD, "runai-team")).items
        assert new.metadata.uid != old.metadata.uid

    lives(bench, story)


def test_a_gang_has_its_group_before_its_pods() -> None:
    bench = Bench()

    async def story() -> None:
        bench.calls.clear()
        spec = WorkloadSpec(image="x", workers=2)
        gang = DistributedTraining(metadata=ObjectMeta(name="gang"), spec=spec)
        await bench.client.create(kinds.DISTRIBUTED_TRAINING, gang, "runai-team")
        await bench.clock.sleep(5)
        assert bench.writes()[:3] == ["POST podgroups", "POST pods", "POST pods"]

    lives(bench, story)


def test_failed_work_is_tried_again_when_its_back_off_is_over() -> None:
    bench = Bench()

    async def story() -> None:
        await bench.client.create(kinds.TRAINING, a_training("job"), "runai-team")
        await bench.clock.sleep(5)
        end = {"exitCode": 1, "finishedAt": text_of(bench.clock.now())}
        status = {"phase": "Failed", "containerStatuses": [{"name": "job", "state": {"terminated": end}}]}
        await bench.client.patch_status(kinds.POD, "job-0", status, "runai-team")
        await bench.clock.sleep(8)
        assert await pods(bench) == ["job-0"]
        assert (await bench.client.get(kinds.TRAINING, "job", "runai-team")).status.next_try_at
        await bench.clock.sleep(4)
        assert await pods(bench) == ["job-0", "job-0-1"]
        assert not (await bench.client.get(kinds.TRAINING, "job", "runai-team")).status.next_try_at

    lives(bench, story)


def test_work_that_completed_is_not_done_again_when_somebody_deletes_its_pod() -> None:
    bench = Bench()

    async def story() -> None:
        await bench.client.create(kinds.TRAINING, a_training("job"), "runai-team")
        await bench.clock.sleep(5)
        await bench.client.patch_status(kinds.POD, "job-0", {"phase": "Succeeded"}, "runai-team")
        await bench.clock.sleep(5)
        await bench.client.delete(kinds.POD, "job-0", "runai-team")
        await bench.clock.sleep(30)
        assert await pods(bench) == []
        assert (await bench.client.get(kinds.TRAINING, "job", "runai-team")).status.phase == "Completed"

    lives(bench, story)


def test_work_whose_pods_are_refused_says_so() -> None:
    bench = Bench()

    async def story() -> None:
        odd = Training(metadata=ObjectMeta(name="odd"), spec=WorkloadSpec(image="x", priority="-5"))
        await bench.client.create(kinds.TRAINING, odd, "runai-team")
        await bench.clock.sleep(5)
        status = (await bench.client.get(kinds.TRAINING, "odd", "runai-team")).status
        assert (status.phase, "refused" in status.phase_message, "-5" in status.phase_message) == (
            "Pending",
            True,
            True,
        )

    lives(bench, story)
