"""What admission completes and what it refuses, and in which words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.cluster.admission.review import Place, Request, completions, job_completions, refusals
from fairlead.objects.pod import Pod
from fairlead.workloads import mps
from fairlead.workloads.shares import is_told, with_devices

HERE = Place(queue="nlp", queues=frozenset({"nlp", "nlp-a100"}))


def pod(notes: dict[str, str] | None = None, labels: dict[str, str] | None = None, **spec: Any) -> Pod:
    """A pod of one container without a GPU."""
    written = {"containers": [{"name": "c", "image": "x"}], **spec}
    return msgspec.convert({"metadata": {"labels": labels or {}, "annotations": notes or {}}, "spec": written}, Pod)


def said(asked: Pod, before: Pod | None = None, *, is_ours: bool = False, place: Place = HERE) -> str:
    """Why it is refused."""
    return " ".join(refusals(Request(pod=asked, before=before, is_ours=is_ours, place=place)))


def done(asked: Pod, *, is_ours: bool = False) -> dict[str, Any]:
    """Path -> value of what is completed."""
    changes = completions(Request(pod=asked, before=None, is_ours=is_ours, place=HERE))
    return {str(change["path"]): change["value"] for change in changes}


def gpus(number: str = "1", name: str = "nvidia.com/gpu") -> dict[str, Any]:
    """Resources of a container."""
    return {"limits": {name: number}, "requests": {name: number}}


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        (pod(nodeName="n1"), "spec.nodeName is 'n1'"),
        (pod(labels={"runai-gpu-group": "g"}), "runai-gpu-group is written by Fairlead only"),
        (pod({"runai-gpu-group": "g"}), "runai-gpu-group is written by Fairlead only"),
        (pod(labels={"runai-gpu-group/g": "g"}), "runai-gpu-group/g is written"),
        (pod({"received-resource-type": "Regular"}), "received-resource-type is written"),
        (pod({"received-anything": "1"}), "received-anything is written"),
        (pod({"fairlead.dev/grouped": "alone"}), "fairlead.dev/grouped is written"),
        (pod(labels={"fairlead.dev/workload": "other"}), "fairlead.dev/workload is written"),
        (
            pod(labels={"runai/queue": "vision"}),
            "runai/queue is 'vision', which is not a queue of this namespace's project",
        ),
        (pod(labels={"kai.scheduler/queue": "vision"}), "name one of: nlp, nlp-a100"),
        (pod({"gpu-fraction": "1.5"}), "gpu-fraction='1.5' (a number from 0.001 to below 1 was expected)"),
        (pod({"gpu-fraction": "half"}), "gpu-fraction='half'"),
        (pod({"gpu-memory": "2Gi"}), "gpu-memory='2Gi' (a whole number above 0 was expected)"),
        (pod({"gpu-fraction": "0.5", "gpu-memory": "100"}), "both gpu-fraction and gpu-memory"),
        (
            pod({"gpu-fraction": "0.5"}, containers=[{"name": "c", "image": "x", "resources": gpus()}]),
            "a part of a GPU and whole ones",
        ),
    ],
)
def test_what_would_get_around_quota_or_device_is_refused_by_its_name(asked: Pod, word: str) -> None:
    assert word in said(asked)
    assert said(asked, is_ours=True) == ""


def test_an_ordinary_pod_may_be() -> None:
    ordinary = pod(
        {"gpu-fraction": "0.5"}, {"kai.scheduler/queue": "nlp-a100", "priorityClassName": "build", "app": "x"}
    )
    assert said(ordinary) == ""
    assert said(pod()) == ""


def test_a_group_that_somebody_else_keeps_is_not_joined() -> None:
    place = Place(queue="nlp", queues=frozenset({"nlp"}), foreign_group="PyTorchJob bert")
    joined = pod({"pod-group-name": "pg-bert-1"})
    assert "pod-group-name is 'pg-bert-1', the group of PyTorchJob bert" in said(joined, place=place)
    assert said(joined) == ""
    assert said(joined, joined, place=place) == ""


def test_of_a_change_only_what_it_changes_is_judged() -> None:
    bound = pod({"runai-gpu-group": "g"}, {"fairlead.dev/workload": "w"}, nodeName="n1")
    relabelled = pod({"runai-gpu-group": "g"}, {"fairlead.dev/workload": "w", "mine": "yes"}, nodeName="n1")
    assert said(relabelled, bound) == ""
    moved = pod({"runai-gpu-group": "other"}, {"fairlead.dev/workload": "w"}, nodeName="n1")
    assert "runai-gpu-group is written" in said(moved, bound)
    stripped = pod({}, {"fairlead.dev/workload": "w"}, nodeName="n1")
    assert "runai-gpu-group is written" in said(stripped, bound)


def test_every_refusal_is_said_at_once() -> None:
    text = said(pod({"gpu-fraction": "2"}, {"runai/queue": "vision"}, nodeName="n1"))
    assert all(word in text for word in ("spec.nodeName", "runai/queue", "gpu-fraction"))


def test_the_queue_is_the_namespaces_whatever_the_label_says() -> None:
    assert done(pod(labels={"a": "b"}))["/metadata/labels/kai.scheduler~1queue"] == "nlp"
    assert done(pod())["/metadata/labels"] == {"kai.scheduler/queue": "nlp"}
    foreign = done(pod(labels={"kai.scheduler/queue": "vision", "runai/queue": "vision"}))
    assert foreign["/metadata/labels/kai.scheduler~1queue"] == foreign["/metadata/labels/runai~1queue"] == "nlp"
    assert "/metadata/labels/kai.scheduler~1queue" not in done(pod(labels={"kai.scheduler/queue": "nlp-a100"}))
    assert "/metadata/labels" not in done(pod(), is_ours=True)


def test_containers_without_a_gpu_see_none() -> None:
    void = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}
    containers = [
        {"name": "gpu", "image": "x", "resources": gpus()},
        {"name": "slice", "image": "x", "resources": gpus(name="nvidia.com/mig-1g.10gb")},
        {"name": "plain", "image": "x"},
        {"name": "some", "image": "x", "env": [{"name": "A", "value": "1"}]},
        {"name": "all", "image": "x", "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]},
        {"name": "none", "image": "x", "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}]},
    ]
    found = done(
        pod(labels={"kai.scheduler/queue": "nlp"}, containers=containers, initContainers=[{"name": "i", "image": "x"}])
    )
    assert found == {
        "/spec/initContainers/0/env": [void],
        "/spec/containers/2/env": [void],
        "/spec/containers/3/env/-": void,
        "/spec/containers/4/env/0": void,
    }


def test_a_container_sees_no_more_however_it_says_so() -> None:
    both = [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}, {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]
    every = [{"name": "A", "value": "1"}, {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]
    by_note = {"name": "NVIDIA_VISIBLE_DEVICES", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    containers = [
        {"name": "twice", "image": "x", "env": both},
        {"name": "none-asked", "image": "x", "resources": gpus("0"), "env": every},
        {"name": "whole", "image": "x", "resources": gpus(), "env": every},
        {"name": "from", "image": "x", "env": [by_note]},
    ]
    void = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}
    assert done(pod(labels={"kai.scheduler/queue": "nlp"}, containers=containers)) == {
        "/spec/containers/0/env": [void],
        "/spec/containers/1/env/1": void,
        "/spec/containers/2/env": [{"name": "A", "value": "1"}],
        "/spec/containers/3/env/0": void,
    }


def test_a_container_that_looks_at_a_pod_sees_no_device() -> None:
    before = pod(labels={"kai.scheduler/queue": "nlp"}, ephemeralContainers=[{"name": "old", "image": "x"}])
    every = [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]
    looking = [{"name": "old", "image": "x"}, {"name": "a", "image": "x"}, {"name": "b", "image": "x", "env": every}]
    after = pod(labels={"kai.scheduler/queue": "nlp"}, ephemeralContainers=looking)
    void = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}
    changes = completions(Request(pod=after, before=before, is_ours=False, place=HERE))
    assert {str(change["path"]): change["value"] for change in changes} == {
        "/spec/ephemeralContainers/1/env": [void],
        "/spec/ephemeralContainers/2/env/0": void,
    }


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ({"gpu-fraction": "0.5"}, {"gpu-fraction": "0.1"}, "gpu-fraction"),
        ({"gpu-fraction": "0.5"}, {}, "gpu-fraction"),
        ({}, {"gpu-fraction": "0.5"}, "gpu-fraction"),
        ({"gpu-memory": "2000"}, {"gpu-memory": "20"}, "gpu-memory"),
        (
            {"gpu-fraction": "0.5", "gpu-fraction-num-devices": "2"},
            {"gpu-fraction": "0.5"},
            "gpu-fraction-num-devices",
        ),
    ],
)
def test_what_a_pod_asked_for_is_not_changed_once_it_is_made(
    before: dict[str, str], after: dict[str, str], key: str
) -> None:
    assert f"{key} cannot be changed once a pod is made" in said(pod(after), pod(before))
    assert said(pod(before), pod(before)) == said(pod(after), pod(before), is_ours=True) == ""


@pytest.mark.parametrize(
    ("notes", "blind"),
    [
        ({"gpu-fraction": "0.5"}, {"b"}),
        ({"gpu-memory": "2000"}, {"b"}),
        ({"gpu-fraction": "0.5", "gpu-fraction-container-name": "b"}, {"a"}),
        ({}, {"a", "b"}),
    ],
)
def test_the_container_that_gets_the_part_of_a_device_sees_it(notes: dict[str, str], blind: set[str]) -> None:
    containers = [{"name": name, "image": "x"} for name in "ab"]
    found = done(pod(notes, {"kai.scheduler/queue": "nlp"}, containers=containers))
    void = [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}]
    hidden = {f"/spec/containers/{'ab'.index(name)}/env" for name in blind}
    assert {path for path, value in found.items() if value == void} == hidden


def job(scheduler: str = "fairlead", restart: str = "Never", **spec: Any) -> dict[str, Any]:
    """A Job as somebody writes it."""
    return {"spec": {"template": {"spec": {"schedulerName": scheduler, "restartPolicy": restart}}, **spec}}


def test_pods_of_a_job_that_were_stopped_for_others_are_no_failures() -> None:
    (change,) = job_completions(job(), ("fairlead",))
    condition = {"type": "DisruptionTarget", "status": "True"}
    assert change["path"] == "/spec/podFailurePolicy"
    assert change["value"] == {"rules": [{"action": "Ignore", "onPodConditions": [condition]}]}


@pytest.mark.parametrize(
    "other", [job("default-scheduler"), job(restart="OnFailure"), job(podFailurePolicy={"rules": []})]
)
def test_jobs_of_others_and_those_that_say_what_counts_are_left_as_they_are(other: dict[str, Any]) -> None:
    assert job_completions(other, ("fairlead",)) == ()


def test_a_container_that_shares_a_device_reads_which_from_its_pod() -> None:
    asked = pod({"gpu-fraction": "0.5"}, containers=[_with_env("c", "all"), {"name": "d", "image": "x"}])
    changes = done(asked)
    (first, *_) = [e for e in changes["/spec/containers/0/env"] if e["name"] == "NVIDIA_VISIBLE_DEVICES"]
    assert first["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.annotations['fairlead.dev/visible-devices']"
    assert {e["name"] for e in changes["/spec/containers/0/env"]} >= {"A", "GPU_PORTION", "RUNAI_NUM_OF_GPUS"}
    assert changes["/spec/containers/1/env"] == [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}]
    assert not is_told(asked)
    assert is_told(with_devices(asked))
    assert "/spec/containers/0/env" not in done(with_devices(asked))


def test_a_named_container_gets_the_share_and_the_first_does_not() -> None:
    asked = pod(
        {"gpu-memory": "2000", "gpu-fraction-container-name": "d"},
        containers=[{"name": "c", "image": "x"}, {"name": "d", "image": "x"}],
    )
    assert done(asked)["/spec/containers/0/env"] == [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}]
    assert is_told(with_devices(asked))
    assert with_devices(asked).spec.containers[0] == asked.spec.containers[0]


@pytest.mark.parametrize("forged", [{"fairlead.dev/visible-devices": "GPU-1"}, {"fairlead.dev/gpu-portion": "1.0"}])
def test_nobody_says_himself_which_device_he_gets(forged: dict[str, str]) -> None:
    assert "is written by Fairlead only" in said(pod(forged))


def _with_env(name: str, devices: str) -> dict[str, Any]:
    """A container as many images are: every device is asked for by a variable."""
    variables = [{"name": "A", "value": "1"}, {"name": "NVIDIA_VISIBLE_DEVICES", "value": devices}]
    return {"name": name, "image": "x", "env": variables}


MPS_HERE = Place(queue="nlp", queues=frozenset({"nlp"}), mps_claim="fairlead-mps")


def with_mps(asked: Pod, before: Pod | None = None, place: Place = MPS_HERE) -> list[tuple[str, Any]]:
    """(path, value) of what is completed where all who share a device are clients of MPS."""
    request = Request(pod=asked, before=before, is_ours=False, place=place, mps="all")
    return [(str(change["path"]), change["value"]) for change in completions(request)]


def test_a_container_that_shares_a_device_is_made_a_client_of_mps_and_what_is_written_stays() -> None:
    mounts = [{"name": "d", "mountPath": "/d", "mountPropagation": "HostToContainer"}]
    both = [{"name": "c", "image": "x", "volumeMounts": mounts}, {"name": "d", "image": "x"}]
    asked = pod(
        {"gpu-fraction": "0.5"},
        {"kai.scheduler/queue": "nlp"},
        containers=both,
        volumes=[{"name": "d", "emptyDir": {}}],
    )
    (env_at, env), (other_at, _), (volume_at, volume), (first_at, first), (second_at, second) = with_mps(asked)
    assert (env_at, other_at) == ("/spec/containers/0/env", "/spec/containers/1/env")
    assert {"CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"} <= {e["name"] for e in env}
    assert (volume_at, volume) == (
        "/spec/volumes/-",
        {"name": "fairlead-mps", "persistentVolumeClaim": {"claimName": "fairlead-mps"}},
    )
    assert first_at == second_at == "/spec/containers/0/volumeMounts/-"
    assert (first["mountPath"], second["mountPath"], second["subPath"]) == ("/run/fairlead/mps", "/dev/shm", "shm")


def test_without_a_claim_or_with_something_in_the_way_a_pod_is_made_as_without_mps() -> None:
    asked = pod({"gpu-fraction": "0.5"}, {"kai.scheduler/queue": "nlp"})
    assert [path for path, _ in with_mps(asked, place=HERE)] == ["/spec/containers/0/env"]
    two = pod({"gpu-fraction": "0.5", "gpu-fraction-num-devices": "2"}, {"kai.scheduler/queue": "nlp"})
    assert [path for path, _ in with_mps(two)] == ["/spec/containers/0/env"]


def test_a_pod_that_exists_and_one_that_is_a_client_already_are_left_as_they_are() -> None:
    asked = pod({"gpu-fraction": "0.5"}, {"kai.scheduler/queue": "nlp"})
    assert with_mps(asked, before=asked) == []
    client = mps.with_mps(with_devices(asked), "fairlead-mps")
    assert with_mps(client) == []


def test_mps_without_a_part_of_a_gpu_is_refused() -> None:
    assert "It asks for MPS (mps) and no part of a GPU" in said(pod({"mps": "true"}))
    assert said(pod({"mps": "true", "gpu-fraction": "0.5"})) == ""
    assert "fairlead.dev/gpu-memory-limit is written by Fairlead only" in said(
        pod({"fairlead.dev/gpu-memory-limit": "0=9M"})
    )


def _class_of(asked: Pod, runtime_class: str, before: Pod | None = None) -> object:
    changes = completions(Request(pod=asked, before=before, is_ours=True, place=HERE, runtime_class=runtime_class))
    return {change["path"]: change["value"] for change in changes}.get("/spec/runtimeClassName")


def test_a_pod_with_gpus_runs_by_the_runtime_class_that_is_set_and_by_its_own_where_it_names_one() -> None:
    whole = pod(containers=[{"name": "c", "image": "x", "resources": gpus()}])
    first = pod(initContainers=[{"name": "i", "image": "x", "resources": gpus()}])
    mig = pod(containers=[{"name": "c", "image": "x", "resources": gpus(name="nvidia.com/mig-1g.10gb")}])
    for asked in (whole, first, mig, pod({"gpu-fraction": "0.5"}), pod({"gpu-memory": "2000"})):
        assert _class_of(asked, "nvidia") == "nvidia"
        assert _class_of(asked, "") is None
        assert _class_of(asked, "nvidia", before=asked) is None, "what exists cannot be changed"
    own = pod(containers=[{"name": "c", "image": "x", "resources": gpus()}], runtimeClassName="kata")
    assert _class_of(own, "nvidia") is None
    assert _class_of(pod(), "nvidia") is None, "it asks for no GPU"
