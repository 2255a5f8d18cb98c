"""What a node tells of its devices: to reservation pods, and in its report."""

from __future__ import annotations

import pytest

from fairlead.cluster.node.driver import Device, Reading
from fairlead.cluster.node.mps import Word
from fairlead.cluster.node.report import NO_MPS, status_of, untold
from fairlead.objects import fields
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import Pod, PodStatus

ONE, TWO = Device(index=0, uuid="GPU-1", model="H100", memory_mib=80_000), Device(index=1, uuid="GPU-2")


def a_reservation(name: str, group: str, told: str = "", phase: str = "Running") -> Pod:
    notes = {fields.RESERVED_DEVICE: told} if told else {}
    meta = ObjectMeta(name=name, namespace="res", labels={fields.GPU_GROUP: group}, annotations=notes)
    return Pod(metadata=meta, status=PodStatus(phase=phase))


def test_a_device_is_written_on_whoever_got_it_and_was_not_told() -> None:
    new, told, wrong, none = (
        a_reservation("new", "g1"),
        a_reservation("told", "g2", "GPU-2"),
        a_reservation("wrong", "g3", "GPU-9"),
        a_reservation("none", "g4"),
    )
    given = {
        ("res", "new"): ("GPU-1",),
        ("res", "told"): ("GPU-2",),
        ("res", "wrong"): ("GPU-3",),
        ("x", "none"): ("GPU-4",),
    }
    assert list(untold([new, told, wrong, none], given)) == [
        (new, {fields.RESERVED_DEVICE: "GPU-1"}),
        (wrong, {fields.RESERVED_DEVICE: "GPU-3"}),
    ]


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_a_device_is_told_only_while_its_pod_runs(phase: str) -> None:
    given = {("res", "new"): ("GPU-1",)}
    assert not list(untold([a_reservation("new", "g1", phase=phase)], given)), "a kubelet may give it another yet"
    assert list(untold([a_reservation("new", "g1")], given))


def test_a_device_is_told_only_once_its_daemon_answers_or_failed_and_together_with_that() -> None:
    pod, given = a_reservation("new", "g1"), {("res", "new"): ("GPU-1",)}
    assert not list(untold([pod], given, lambda _: Word(why="it is being started", is_settled=False)))
    (_, living), (_, failed) = (
        *untold([pod], given, lambda _: Word(since=1_767_225_600.7)),
        *untold([pod], given, lambda _: Word(why="it ended with exit code 1")),
    )
    assert living == {fields.RESERVED_DEVICE: "GPU-1", fields.MPS_SINCE: "2026-01-01T00:00:00Z"}
    away = "the MPS daemon of its GPU is away: it ended with exit code 1"
    assert failed == {fields.RESERVED_DEVICE: "GPU-1", fields.ENFORCEMENT_REASON: away}


@pytest.mark.parametrize("word", [Word(why="it is being started", is_settled=False), NO_MPS])
def test_what_an_earlier_agent_said_of_a_daemon_is_taken_back(word: Word) -> None:
    pod = a_reservation("told", "g1", "GPU-1")
    pod.metadata.annotations[fields.MPS_SINCE] = "2026-01-01T00:00:00Z"
    ((_, notes),) = untold([pod], {("res", "told"): ("GPU-1",)}, lambda _: word)
    assert notes[fields.MPS_SINCE] is None
    assert fields.RESERVED_DEVICE not in notes


def test_a_report_says_mps_only_where_nothing_of_it_is_missing() -> None:
    reading, given = Reading(devices=(ONE,)), ("GPU-1",)
    missing = ("The memory of GPU-1 is not kept apart.",)
    said = [status_of(reading, given, {}, [], m) for m in (None, (), missing)]
    assert [s.enforcement for s in said] == ["none", "mps", "none"]
    assert [s.findings for s in said] == [(), (), missing]


def test_a_report_joins_what_the_driver_and_the_kubelet_say() -> None:
    reading = Reading(version="550.54", devices=(ONE, TWO))
    status = status_of(
        reading, ("GPU-1",), {("res", "r"): ("GPU-1",), ("ns", "w"): ("GPU-2",)}, [a_reservation("r", "g1", "GPU-1")]
    )
    first, second = status.devices
    assert (first.uuid, first.healthy, first.gpu_groups, first.memory_mib) == ("GPU-1", True, ("g1",), 80_000)
    assert (first.pods, second.pods) == ((), ("ns/w",))
    assert (second.healthy, second.health_message) == (False, "The kubelet does not give it out.")
    assert (status.driver_version, status.findings) == ("550.54", ())


def test_a_node_that_gives_out_devices_which_are_not_there_is_found_out() -> None:
    status = status_of(Reading(version="1", devices=(ONE,)), ("GPU-1", "GPU-8", "GPU-9"), {}, [])
    (finding,) = status.findings
    assert finding.startswith("The kubelet gives out 2 GPUs that the driver does not know (GPU-8, GPU-9)")
    assert [d.uuid for d in status.devices] == ["GPU-1", "GPU-8", "GPU-9"]


def test_without_a_driver_devices_are_known_by_their_ids() -> None:
    status = status_of(Reading(findings=("No library.",)), ("GPU-1",), {}, [])
    assert ([d.uuid for d in status.devices], status.findings) == (["GPU-1"], ("No library.",))
