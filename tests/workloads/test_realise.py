"""What a workload's pods should be, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from fairlead.objects.fields import ENDED, GPU_FRACTION, GPU_MEMORY, POD_GROUP, RANK
from fairlead.objects.meta import Condition, ObjectMeta
from fairlead.objects.pod import ContainerState, ContainerStatus, Pod, PodStatus
from fairlead.objects.workload import DistributedTraining, Training, Workload, WorkloadSpec, WorkloadStatus
from fairlead.workloads.pods import Owner, pod_name
from fairlead.workloads.realise import Realised, realise

NOW = "2026-01-01T00:10:00Z"
OWNER = Owner(project="team", queue="team")


def a_training(**spec: Any) -> Training:
    return Training(metadata=ObjectMeta(name="job", namespace="ns", uid="u-1"), spec=WorkloadSpec(image="x", **spec))


def a_gang(workers: int, **spec: Any) -> DistributedTraining:
    made = WorkloadSpec(image="x", workers=workers, **spec)
    return DistributedTraining(metadata=ObjectMeta(name="gang", namespace="ns", uid="u-2"), spec=made)


def plan(workload: Workload, *pods: Pod) -> Realised:
    return realise(workload, OWNER, pods, NOW)


def made_by(workload: Workload, *pods: Pod) -> list[Pod]:
    """The pods it wants beside those, as an API server stores them: waiting."""
    return [
        replace(
            p, metadata=replace(p.metadata, uid=f"uid-{p.metadata.name}", creation_timestamp="2026-01-01T00:00:00Z")
        )
        for p in plan(workload, *pods).create
    ]


def in_phase(pod: Pod, phase: str, *, evicted: bool = False) -> Pod:
    """That pod on a node, running or ended."""
    target = (Condition(type="DisruptionTarget", status="True", message="for somebody"),) if evicted else ()
    status = PodStatus(phase=phase, conditions=target, start_time="2026-01-01T00:01:00Z")
    return replace(pod, spec=replace(pod.spec, node_name="n1"), status=status)


def failed_at(pod: Pod, when: str) -> Pod:
    """That pod, ended by itself with exit code 1 at that time."""
    end = ContainerState(terminated={"exitCode": 1, "finishedAt": when})
    found = in_phase(pod, "Failed")
    containers = (ContainerStatus(name="x", state=end),)
    return replace(found, status=replace(found.status, container_statuses=containers))


def _attempts(job: Workload, count: int) -> list[Pod]:
    pods: list[Pod] = []
    for _ in range(count):
        pods += [in_phase(p, "Failed") for p in realise(job, OWNER, pods, "2026-01-01T09:00:00Z").create]
    return pods


def apart(pods: list[Pod]) -> list[Pod]:
    """Those pods with UIDs that differ from the first letter on, as real ones do."""
    return [replace(p, metadata=replace(p.metadata, uid=f"{at}-{p.metadata.uid}")) for at, p in enumerate(pods)]


def leaving(pod: Pod) -> Pod:
    """That pod on its way out."""
    return replace(pod, metadata=replace(pod.metadata, deletion_timestamp=NOW))


def names(pods: tuple[Pod, ...]) -> list[str]:
    return [p.metadata.name for p in pods]


def test_a_training_is_one_pod_and_needs_no_group() -> None:
    found = plan(a_training())
    assert (names(found.create), found.group, found.status.phase) == (["job-0"], None, "Creating")


def test_a_gang_has_a_group_of_its_minimum_and_ranked_pods() -> None:
    found = plan(a_gang(3, min_workers=2))
    assert found.group is not None
    assert found.group.spec.min_member == 2
    assert [p.metadata.labels[RANK] for p in found.create] == ["0", "1", "2"]
    assert {p.metadata.annotations[POD_GROUP] for p in found.create} == {found.group.metadata.name}


def test_what_exists_is_not_made_again() -> None:
    gang = a_gang(3)
    pods = made_by(gang)
    assert names(plan(gang, *pods[:2]).create) == ["gang-2"]
    assert plan(gang, *pods).create == ()


def test_a_failed_attempt_is_followed_by_the_next_under_another_name() -> None:
    job = a_training()
    (pod,) = made_by(job)
    found = plan(job, in_phase(pod, "Failed"))
    assert (names(found.create), found.status.failures) == (["job-0-1"], 1)


def test_the_next_attempt_waits_longer_after_each_failure_and_says_so() -> None:
    job = a_training()
    pods: list[Pod] = []
    waits = []
    for number in range(6):
        (made,) = realise(job, OWNER, pods, "2026-01-01T09:00:00Z").create
        pods.append(failed_at(made, "2026-01-01T00:10:00Z"))
        found = plan(job, *pods)
        assert (found.create, found.status.phase) == ((), "Pending")
        assert f"Failed {number + 1} time" in found.status.phase_message
        waits.append((found.status.next_try_at or "")[14:19])
        assert f"Backing off, next try at 00:{waits[-1]} UTC" in found.status.phase_message
        after = realise(job, OWNER, pods, found.status.next_try_at or "")
        assert (len(after.create), after.status.next_try_at) == (1, None)
    assert waits == ["10:10", "10:20", "10:40", "11:20", "12:40", "15:20"]
    many = [failed_at(p, "2026-01-01T00:10:00Z") for p in _attempts(a_training(backoff_limit=99), 12)]
    assert plan(a_training(backoff_limit=99), *many).status.next_try_at == "2026-01-01T00:16:00Z"


def test_the_rest_of_a_failed_gang_ends_while_it_waits_for_the_next_attempt() -> None:
    gang = a_gang(2)
    first, second = made_by(gang)
    found = plan(gang, failed_at(first, NOW), in_phase(second, "Running"))
    assert (names(found.delete), found.create, found.status.phase) == (["gang-1"], (), "Pending")


def test_a_later_attempt_of_a_gang_finds_its_own_first_pod() -> None:
    gang = a_gang(2)
    first, second = made_by(gang)
    found = plan(gang, in_phase(first, "Failed"), in_phase(second, "Failed")).create
    assert {e.value for p in found for e in p.spec.containers[0].env if e.name == "MASTER_ADDR"} == {"gang-0-1.gang.ns"}


def test_a_failed_member_ends_the_attempt_of_the_whole_gang() -> None:
    gang = a_gang(2)
    first, second = made_by(gang)
    found = plan(gang, in_phase(first, "Failed"), in_phase(second, "Running"))
    assert (names(found.delete), names(found.create)) == (["gang-1"], ["gang-0-1", "gang-1-1"])


def test_after_the_last_allowed_failure_nothing_is_made() -> None:
    job = a_training(backoff_limit=0)
    (pod,) = made_by(job)
    found = plan(job, in_phase(pod, "Failed"))
    assert (found.create, found.status.phase) == ((), "Failed")


def ended_as(workload: Training, found: Realised) -> Training:
    """That workload once its end and status are written."""
    meta = replace(workload.metadata, annotations={ENDED: found.ended or ""})
    return replace(workload, metadata=meta, status=found.status)


def test_work_that_completed_is_not_done_again_when_its_pods_are_deleted() -> None:
    job = a_training()
    done = plan(job, in_phase(made_by(job)[0], "Succeeded"))
    assert done.ended == "Completed"
    later = plan(ended_as(job, done))
    assert (later.create, later.ended, later.status) == ((), None, done.status)


def test_work_that_failed_is_not_tried_again_when_its_pods_are_deleted() -> None:
    job = a_training(backoff_limit=0)
    failed = plan(job, *_attempts(job, 1))
    assert failed.ended == "Failed"
    later = plan(ended_as(job, failed))
    assert (later.create, later.status.phase_message) == ((), failed.status.phase_message)


def test_an_end_that_is_noted_is_shown_where_the_status_was_lost() -> None:
    job = a_training(backoff_limit=0)
    marked = replace(job, metadata=replace(job.metadata, annotations={ENDED: "Failed"}))
    found = plan(marked).status
    assert (found.phase, found.phase_message) == ("Failed", "Failed; its pods are gone")


def test_six_failures_are_forgiven_unless_said() -> None:
    job = a_training()
    pods: list[Pod] = []
    for _ in range(7):
        pods += [in_phase(p, "Failed") for p in made_by(job, *pods)]
    assert len(pods) == 7
    assert plan(job, *pods).status.phase == "Failed"
    assert plan(job, *pods[:6]).status.phase == "Creating"


def test_an_eviction_is_no_failure_and_the_pod_comes_back_under_its_name() -> None:
    job = a_training(backoff_limit=0)
    (pod,) = made_by(job)
    evicted = leaving(in_phase(pod, "Failed", evicted=True))
    found = plan(job, evicted)
    assert (found.create, found.status.failures, found.status.evictions) == ((), 0, 1)
    assert found.status.phase != "Failed"
    assert names(plan(replace(job, status=found.status)).create) == ["job-0"]


def cut_short(pod: Pod, phase: str, ended: str) -> Pod:
    """That pod, evicted at ten past, whose container ended then."""
    target = Condition(
        type="DisruptionTarget", status="True", message="for somebody", last_transition_time="2026-01-01T00:10:00Z"
    )
    end = ContainerStatus(name="x", state=ContainerState(terminated={"exitCode": 0, "finishedAt": ended}))
    found = in_phase(pod, phase)
    return replace(found, status=replace(found.status, conditions=(target,), container_statuses=(end,)))


def test_a_pod_that_answers_its_eviction_with_exit_code_0_has_not_done_its_work() -> None:
    (pod,) = made_by(a_training())
    found = plan(a_training(), leaving(cut_short(pod, "Succeeded", "2026-01-01T00:10:00Z")))
    assert (found.ended, found.status.phase, found.status.succeeded_pods) == (None, "Creating", 0)
    gone = plan(a_training())
    assert names(gone.create) == [pod.metadata.name]


def test_a_pod_that_had_ended_by_itself_before_it_was_evicted_has_done_its_work() -> None:
    (pod,) = made_by(a_training())
    assert plan(a_training(), leaving(cut_short(pod, "Succeeded", "2026-01-01T00:09:59Z"))).ended == "Completed"


def test_a_pod_that_its_node_has_evicted_and_keeps_as_failed_is_made_anew() -> None:
    (pod,) = made_by(a_training())
    kept = cut_short(pod, "Failed", "2026-01-01T00:10:03Z")
    found = plan(a_training(), kept)
    assert (found.delete, found.create, found.status.failures) == ((kept,), (), 0)


def test_an_eviction_is_counted_once() -> None:
    job = a_training()
    evicted = leaving(in_phase(made_by(job)[0], "Running", evicted=True))
    once = plan(job, evicted).status
    assert plan(replace(job, status=once), evicted).status.evictions == 1


def test_a_gang_that_is_stopped_pod_after_pod_is_stopped_once() -> None:
    gang, status = a_gang(3), a_gang(3).status
    pods = [in_phase(p, "Running") for p in apart(made_by(gang))]
    for stopped in range(1, 4):
        seen = [leaving(in_phase(p, "Running", evicted=True)) for p in pods[:stopped]]
        status = plan(replace(gang, status=status), *seen, *pods[stopped:]).status
    assert status.evictions == 1


def test_a_gang_whose_pods_were_made_anew_is_stopped_again() -> None:
    gang = a_gang(2)
    gone = [leaving(in_phase(p, "Running", evicted=True)) for p in apart(made_by(gang))]
    once = plan(gang, *gone).status
    after = [
        replace(
            p, metadata=replace(p.metadata, uid=f"again-{p.metadata.uid}", creation_timestamp="2026-01-01T00:10:05Z")
        )
        for p in gone
    ]
    again = realise(replace(gang, status=once), OWNER, after, "2026-01-01T00:10:30Z").status
    assert (once.evictions, again.evictions) == (1, 2)


def test_pods_that_are_stopped_long_after_others_of_their_gang_are_another_eviction() -> None:
    gang = a_gang(2)
    first, second = apart(made_by(gang))
    once = plan(gang, leaving(in_phase(first, "Running", evicted=True)), in_phase(second, "Running")).status
    later = leaving(in_phase(second, "Running", evicted=True))
    assert realise(replace(gang, status=once), OWNER, [later], "2026-01-01T01:10:00Z").status.evictions == 2


def _evicted_message(status: WorkloadStatus) -> str:
    return next((c.message for c in status.conditions if c.type == "Evicted"), "")


def test_a_pod_that_vanished_from_its_node_is_an_eviction_with_its_loss_whoever_saw_it_go() -> None:
    job = a_training(gpu_devices=2)
    (pod,) = made_by(job)
    ran = replace(job, status=plan(job, in_phase(pod, "Running")).status)
    found = realise(ran, OWNER, [], "2026-01-01T00:20:00Z")
    assert names(found.create) == ["job-0"]
    assert found.status.evictions == 1
    assert _evicted_message(found.status) == (
        "Gone from n1: removed with its node, or by hand; 1200 GPU-seconds of work are lost"
    )
    again = realise(replace(ran, status=found.status), OWNER, [pod], "2026-01-01T00:20:05Z").status
    assert (again.evictions, _evicted_message(again)) == (1, _evicted_message(found.status))


def test_an_evicted_pod_that_is_gone_already_is_told_with_its_reason_and_once() -> None:
    job = a_training()
    (pod,) = made_by(job)
    ran = replace(job, status=plan(job, in_phase(pod, "Running")).status)
    gone = in_phase(pod, "Running", evicted=True)
    found = realise(ran, OWNER, [], NOW, [gone]).status
    assert (found.evictions, _evicted_message(found)) == (1, "for somebody")
    assert realise(replace(ran, status=found), OWNER, [], NOW).status.evictions == 1


def test_a_pod_that_was_seen_on_its_way_out_has_not_vanished() -> None:
    job = a_training()
    (pod,) = made_by(job)
    for seen in (leaving(in_phase(pod, "Running")), leaving(in_phase(pod, "Running", evicted=True))):
        left = replace(job, status=plan(job, seen).status)
        assert plan(left).status.evictions == left.status.evictions
    waits = replace(job, status=plan(job, pod).status)
    ended = replace(job, status=plan(job, in_phase(pod, "Failed")).status)
    stopped = replace(
        a_training(suspended=True), status=plan(a_training(suspended=True), in_phase(pod, "Running")).status
    )
    assert [plan(one).status.evictions for one in (waits, ended, stopped)] == [0, 0, 0]


@pytest.mark.parametrize("reason", ["InvalidImageName", "ImagePullBackOff", "CreateContainerConfigError"])
def test_what_a_node_tries_in_vain_is_told_in_its_words(reason: str) -> None:
    job = a_training()
    (pod,) = made_by(job)
    waits = ContainerStatus(name="x", state=ContainerState(waiting={"reason": reason, "message": "no such thing"}))
    stuck = in_phase(pod, "Pending")
    found = plan(job, replace(stuck, status=replace(stuck.status, container_statuses=(waits,)))).status
    assert (found.phase, found.phase_message) == ("Initializing", f"Cannot start on n1: {reason}: no such thing")
    making = ContainerStatus(name="x", state=ContainerState(waiting={"reason": "ContainerCreating"}))
    usual = plan(job, replace(stuck, status=replace(stuck.status, container_statuses=(making,)))).status
    assert usual.phase_message == "Starting on n1."


def test_a_suspended_workload_loses_its_pods_and_makes_none() -> None:
    job = a_training(suspended=True)
    (pod,) = made_by(a_training())
    found = plan(job, in_phase(pod, "Running"))
    assert (names(found.delete), found.create, found.status.phase) == (["job-0"], (), "Stopping")
    assert plan(job).status.phase == "Stopped"


def test_a_resumed_workload_is_made_under_the_same_name() -> None:
    assert names(plan(a_training(suspended=False)).create) == ["job-0"]


def test_a_pod_that_does_not_leave_its_node_in_time_is_named_with_what_helps() -> None:
    job = a_training()
    (pod,) = made_by(job)
    going = leaving(in_phase(pod, "Running", evicted=True))
    in_time = realise(job, OWNER, [going], "2026-01-01T00:10:14Z").status
    assert (in_time.phase, in_time.phase_message) == ("Pending", "for somebody")
    late = realise(job, OWNER, [going], "2026-01-01T00:10:15Z").status
    assert (late.phase, late.evictions) == ("Pending", 1)
    assert late.phase_message == (
        "for somebody. job-0 was to have left n1 by 00:10:00 UTC; if n1 is lost for good, kubectl delete node n1 lets it start elsewhere"
    )


def test_a_pod_that_is_leaving_already_is_not_deleted_again() -> None:
    (pod,) = made_by(a_training())
    assert plan(a_training(suspended=True), leaving(in_phase(pod, "Running"))).delete == ()


def test_a_gang_is_complete_when_all_its_pods_are() -> None:
    gang = a_gang(2)
    first, second = made_by(gang)
    half = plan(gang, in_phase(first, "Succeeded"), in_phase(second, "Running"))
    assert half.status.phase == "Running"
    whole = plan(gang, in_phase(first, "Succeeded"), in_phase(second, "Succeeded"))
    assert (whole.status.phase, whole.status.completed_at) == ("Completed", NOW)


def test_a_surplus_pod_that_never_got_a_place_is_not_waited_for() -> None:
    gang = a_gang(3, min_workers=2)
    first, second, third = made_by(gang)
    found = plan(gang, in_phase(first, "Succeeded"), in_phase(second, "Succeeded"), third)
    assert (found.status.phase, names(found.delete)) == ("Completed", ["gang-2"])


def test_a_gang_that_lost_a_member_after_another_succeeded_runs_again_whole() -> None:
    gang = a_gang(3)
    first, second, _ = made_by(gang)
    found = plan(gang, in_phase(first, "Succeeded"), in_phase(second, "Running"))
    assert (names(found.delete), names(found.create)) == (["gang-0", "gang-1"], ["gang-2"])


def test_a_member_that_merely_has_yet_to_get_its_place_ends_nothing() -> None:
    gang = a_gang(3)
    first, second, third = made_by(gang)
    found = plan(gang, in_phase(first, "Succeeded"), in_phase(second, "Running"), third)
    assert (found.delete, found.create) == ((), ())


def test_parts_of_a_device_are_asked_by_annotation_and_whole_ones_by_resource() -> None:
    (half,) = plan(a_training(gpu_devices=1, gpu_milli=500)).create
    (memory,) = plan(a_training(gpu_devices=1, gpu_memory_mib=4096)).create
    (whole,) = plan(a_training(gpu_devices=2)).create
    assert half.metadata.annotations[GPU_FRACTION] == "0.5"
    assert memory.metadata.annotations[GPU_MEMORY] == "4096"
    assert dict(half.spec.containers[0].resources.limits) == {}
    assert dict(whole.spec.containers[0].resources.limits) == {"nvidia.com/gpu": "2"}


def test_names_of_pods_stay_within_what_a_host_name_may_hold() -> None:
    job = Training(metadata=ObjectMeta(name="x" * 63, namespace="ns"), spec=WorkloadSpec(image="x"))
    found = {pod_name(job, rank, attempt) for rank in (0, 11) for attempt in (0, 7)}
    assert len(found) == 4
    assert {len(name) for name in found} == {63}


def test_a_deleted_workload_loses_its_pods() -> None:
    job = a_training()
    (pod,) = made_by(job)
    going = replace(job, metadata=replace(job.metadata, deletion_timestamp=NOW))
    assert (names(plan(going, pod).delete), plan(going, pod).status.phase) == (["job-0"], "Deleting")
