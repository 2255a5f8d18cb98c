"""Whose memory is enforced by MPS, what its container needs, and what may be said of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.objects import fields
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import Pod
from fairlead.workloads.mps import (
    Choice,
    Statement,
    is_wanted,
    memory_limit,
    obstacle,
    stated,
    takes_part,
    with_mps,
)
from fairlead.workloads.shares import with_devices


def a_pod(notes: dict[str, str] | None = None, **more: Any) -> Pod:
    """A pod that shares a device, unless its annotations say otherwise."""
    container = {"name": "c", "image": "x", **more.pop("container", {})}
    written = {
        "metadata": {"annotations": {"gpu-fraction": "0.5"} if notes is None else notes},
        "spec": {"containers": [container], **more},
    }
    return msgspec.convert(written, Pod)


def a_client(since: str = "") -> Pod:
    """One that takes part; its container runs since then."""
    pod = with_mps(with_devices(a_pod()), "fairlead-mps")
    state = {"running": {"startedAt": since}} if since else {"waiting": {}}
    status = {"containerStatuses": [{"name": "c", "state": state}]}
    return msgspec.convert({**msgspec.to_builtins(pod), "status": status}, Pod)


def a_reservation(**notes: str) -> Pod:
    """What the node's agent wrote."""
    keys = {"since": fields.MPS_SINCE, "why": fields.ENFORCEMENT_REASON}
    return Pod(metadata=ObjectMeta(name="r", annotations={keys[k]: v for k, v in notes.items()}))


@pytest.mark.parametrize(
    ("choice", "notes", "wanted"),
    [
        ("off", {"gpu-fraction": "0.5", "mps": "true"}, False),
        ("asked", {"gpu-fraction": "0.5"}, False),
        ("asked", {"gpu-fraction": "0.5", "mps": "true"}, True),
        ("all", {"gpu-memory": "2000"}, True),
        ("all", {"gpu-memory": "2000", "mps": "false"}, False),
        ("all", {}, False),
        ("all", {"mps": "true"}, False),
    ],
)
def test_who_takes_part_is_said_by_the_cluster_and_by_the_pod(
    choice: Choice, notes: dict[str, str], wanted: bool
) -> None:
    assert is_wanted(a_pod(notes), choice) is wanted


@pytest.mark.parametrize(
    ("pod", "claim", "word"),
    [
        (a_pod(), "", "no volume claim in its namespace"),
        (a_pod({"gpu-fraction": "0.5", "gpu-fraction-num-devices": "2"}), "c", "it shares 2 GPUs"),
        (
            a_pod(volumes=[{"name": "fairlead-mps", "emptyDir": {}}]),
            "c",
            "a volume of its own by the name fairlead-mps",
        ),
        (a_pod({"gpu-fraction": "0.5", "gpu-fraction-container-name": "d"}), "c", "does not exist"),
        (
            a_pod(container={"volumeMounts": [{"name": "s", "mountPath": "/dev/shm/"}]}),
            "c",
            "mounts a /dev/shm of its own",
        ),
    ],
)
def test_what_is_in_the_way_is_named(pod: Pod, claim: str, word: str) -> None:
    assert word in obstacle(pod, claim)
    assert obstacle(a_pod(), "c") == ""


def test_a_client_finds_the_daemon_of_its_device_and_its_limit_and_keeps_what_it_had() -> None:
    mine = {"name": "data", "mountPath": "/data"}
    env = [{"name": "A", "value": "1"}, {"name": "CUDA_MPS_PIPE_DIRECTORY", "value": "/tmp/mine"}]
    pod = with_mps(with_devices(a_pod(container={"volumeMounts": [mine], "env": env})), "claim")
    (container,) = pod.spec.containers
    variables = {e.name: e.value or e.value_from for e in container.env}
    assert variables["CUDA_MPS_PIPE_DIRECTORY"] == "/run/fairlead/mps/$(NVIDIA_VISIBLE_DEVICES)/pipe"
    limit = variables["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"]
    assert isinstance(limit, dict)
    assert limit["fieldRef"]["fieldPath"] == "metadata.annotations['fairlead.dev/gpu-memory-limit']"
    names = [e.name for e in container.env]
    assert names.index("NVIDIA_VISIBLE_DEVICES") < names.index("CUDA_MPS_PIPE_DIRECTORY"), (
        "a path is made of what stands before it"
    )
    assert [(m.mount_path, m.sub_path) for m in container.volume_mounts] == [
        ("/data", ""),
        ("/run/fairlead/mps", ""),
        ("/dev/shm", "shm"),
    ]
    assert pod.spec.volumes[0].persistent_volume_claim == {"claimName": "claim"}
    assert takes_part(pod)
    assert not takes_part(with_devices(a_pod()))


@pytest.mark.parametrize(
    ("notes", "device", "limit"),
    [
        ({"gpu-fraction": "0.5"}, 81559, "0=40779M"),
        ({"gpu-fraction": "0.333"}, 81559, "0=27159M"),
        ({"gpu-memory": "20000"}, 0, "0=20000M"),
        ({"gpu-fraction": "0.5"}, 0, ""),
    ],
)
def test_the_limit_is_the_part_of_the_device_rounded_down(notes: dict[str, str], device: int, limit: str) -> None:
    assert memory_limit(a_pod(notes), device) == limit


def test_memory_is_said_only_while_all_of_it_holds() -> None:
    since, later = "2026-01-01T10:00:00Z", "2026-01-01T10:00:05Z"
    lives = a_reservation(since=since)
    assert stated(a_client(), "0=1M", lives) == Statement("memory")
    assert stated(a_client(later), "0=1M", lives) == Statement("memory")
    assert stated(a_client(since), "0=1M", lives) == Statement("memory")
    for limit, daemon, word in (
        ("", lives, "nvidia.com/gpu.memory"),
        ("0=1M", None, "the agent of its node"),
        ("0=1M", a_reservation(why="the MPS daemon of its GPU is away: x"), "the MPS daemon of its GPU is away: x"),
        ("0=1M", a_reservation(), "keeps no MPS daemon for its GPU"),
    ):
        said = stated(a_client(later), limit, daemon)
        assert (said.enforcement, word in said.reason) == ("none", True), said


def test_what_ran_while_the_daemon_was_away_is_not_promised_anything_until_it_starts_anew() -> None:
    back = a_reservation(since="2026-01-01T10:00:00Z")
    said = stated(a_client("2026-01-01T09:00:00Z"), "0=1M", back)
    assert said.enforcement == "none"
    assert "runs since 2026-01-01T09:00:00Z" in said.reason
    assert "only since 2026-01-01T10:00:00Z" in said.reason
    assert stated(a_client("2026-01-01T10:00:01Z"), "0=1M", back) == Statement("memory")
