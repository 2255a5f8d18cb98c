"""What people read of an eviction: who, why, and what was lost."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fairlead.objects.fields import EVICTION_REASON
from fairlead.objects.meta import Condition, ObjectMeta
from fairlead.objects.pod import Container, Pod, PodSpec, PodStatus, ResourceRequirements
from fairlead.workloads.evictions import lost, spent_by, told


def a_pod(reason: str = "", message: str = "", gpus: int = 2) -> Pod:
    """A pod on node n1 since midnight, evicted 90 s later for that reason; for none where it is empty."""
    container = Container(name="c", resources=ResourceRequirements(limits={"nvidia.com/gpu": str(gpus)}))
    target = Condition(
        type="DisruptionTarget",
        status="True",
        reason=reason,
        message=message,
        last_transition_time="2026-01-01T00:01:30Z",
    )
    status = PodStatus(start_time="2026-01-01T00:00:00Z", conditions=(target,) if reason else ())
    return Pod(metadata=ObjectMeta(name="p"), spec=PodSpec(containers=(container,), node_name="n1"), status=status)


def test_what_the_scheduler_said_is_told_as_it_is() -> None:
    assert told(a_pod("PreemptionByScheduler", "Stopped for x of y")) == "Stopped for x of y"


@pytest.mark.parametrize(
    ("reason", "begins"),
    [
        ("EvictionByEvictionAPI", "Evicted from n1 through the eviction API"),
        ("DeletionByTaintManager", "Stopped: n1 was lost"),
        ("DeletionByPodGC", "Lost with n1"),
    ],
)
def test_of_what_kubernetes_evicts_the_node_and_the_loss_are_told(reason: str, begins: str) -> None:
    said = told(a_pod(reason, "Eviction API: evicting"))
    assert said.startswith(begins)
    assert said.endswith("; 180 GPU-seconds of work are lost")


def test_of_a_move_the_scheduler_s_words_are_told_and_not_those_of_the_api() -> None:
    pod = a_pod("EvictionByEvictionAPI", "Eviction API: evicting")
    meta = replace(pod.metadata, annotations={EVICTION_REASON: "Moved to n2"})
    assert told(replace(pod, metadata=meta)) == "Moved to n2"


def test_of_a_pod_that_nobody_evicts_nothing_is_told() -> None:
    assert told(a_pod()) == ""


def test_a_loss_is_told_in_hours_from_one_hour_on() -> None:
    assert lost(1_000) == "; 1 GPU-second of work is lost"
    assert lost(3_599_999) == "; 3599 GPU-seconds of work are lost"
    assert lost(5_400_000) == "; 1.5 GPU-hours of work are lost"
    assert lost(999) == ""


def test_a_pod_that_had_not_begun_loses_nothing() -> None:
    assert spent_by(Pod(metadata=ObjectMeta(name="p")), 1e9) == 0
