"""The table of foreign kinds: which of their pods are one gang, how many start at once, in which queue and class."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.objects import fields
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import Container, Pod, PodSpec
from fairlead.workloads.grouping import Chain, Grouped, Malformed
from fairlead.workloads.table import decider_of, group


def owner(kind: str, spec: dict[str, Any], *, version: str = "", name: str = "job", **labels: str) -> dict[str, Any]:
    """An owner's object as an API server gives it."""
    groups = {
        "PyTorchJob": "kubeflow.org/v1",
        "TFJob": "kubeflow.org/v1",
        "MPIJob": "kubeflow.org/v2beta1",
        "RayCluster": "ray.io/v1",
        "RayJob": "ray.io/v1",
        "RayService": "ray.io/v1",
        "JobSet": "jobset.x-k8s.io/v1alpha2",
        "LeaderWorkerSet": "leaderworkerset.x-k8s.io/v1",
        "Job": "batch/v1",
        "CronJob": "batch/v1",
        "Deployment": "apps/v1",
        "ReplicaSet": "apps/v1",
        "StatefulSet": "apps/v1",
        "Notebook": "kubeflow.org/v1",
        "TrainJob": "trainer.kubeflow.org/v1alpha1",
    }
    meta = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "labels": labels}
    return {"apiVersion": version or groups[kind], "kind": kind, "metadata": meta, "spec": spec}


def pod(name: str = "p", *, priority: str = "", **labels: str) -> Pod:
    """A pod with these labels."""
    spec = PodSpec(containers=(Container(name="c", image="x"),), priority_class_name=priority)
    return Pod(metadata=ObjectMeta(name=name, namespace="ns", labels=labels), spec=spec)


def of(
    *owners: dict[str, Any], labels: dict[str, str] | None = None, siblings: tuple[Pod, ...] = (), place: str = "q"
) -> Grouped:
    """What follows for a pod with those labels and owners, nearest first."""
    return group(Chain(pod=pod(**(labels or {})), owners=owners, siblings=siblings), place)


def parts(found: Grouped) -> dict[str, int]:
    """Subgroup -> minimum."""
    assert found.group is not None
    return {part.name: part.min_member for part in found.group.spec.sub_groups}


def minimum(found: Grouped) -> int:
    """How many start at once."""
    assert found.group is not None
    return found.group.spec.min_member


@pytest.mark.parametrize(
    ("owners", "class_"),
    [
        ((owner("Job", {}),), "train"),
        ((owner("Job", {}), owner("CronJob", {}, name="nightly")), "train"),
        ((owner("ReplicaSet", {}), owner("Deployment", {}, name="web")), "inference"),
        ((owner("StatefulSet", {}),), "train"),
        ((owner("StatefulSet", {}), owner("Notebook", {}, name="mine")), "build"),
        ((), "train"),
    ],
)
def test_pods_of_single_kinds_are_their_own_gangs_with_the_class_of_their_outermost_owner(
    owners: tuple[dict[str, Any], ...], class_: str
) -> None:
    found = of(*owners)
    assert (found.group, found.annotations) == (None, {fields.GROUPED: "alone"})
    assert found.labels == {fields.PRIORITY_CLASS: class_, fields.QUEUE: "q"}


def test_a_training_job_starts_with_all_replicas_of_all_sorts() -> None:
    spec = {"tfReplicaSpecs": {"PS": {"replicas": 2}, "Worker": {"replicas": 3}, "Chief": {}}}
    found = of(owner("TFJob", spec))
    assert (minimum(found), parts(found)) == (6, {})
    assert found.group is not None
    assert found.group.metadata.name == "pg-job-uid-job"
    assert found.annotations == {fields.POD_GROUP: "pg-job-uid-job"}
    (reference,) = found.group.metadata.owner_references
    assert (reference.api_version, reference.kind, reference.uid) == ("kubeflow.org/v1", "TFJob", "uid-job")
    assert "kind: TFJob" in found.group.metadata.annotations[fields.TOP_OWNER]


def test_a_training_job_starts_with_as_many_as_its_scheduling_policy_says() -> None:
    for kind, key in (("TFJob", "tf"), ("PyTorchJob", "pytorch"), ("MPIJob", "mpi")):
        spec = {
            f"{key}ReplicaSpecs": {"Worker": {"replicas": 9}},
            "runPolicy": {"schedulingPolicy": {"minAvailable": 4}},
        }
        assert minimum(of(owner(kind, spec))) == 4


def test_an_elastic_pytorch_job_needs_its_master_and_its_least_workers() -> None:
    spec = {
        "pytorchReplicaSpecs": {"Master": {"replicas": 1}, "Worker": {"replicas": 4}},
        "elasticPolicy": {"minReplicas": 2},
    }
    role = "training.kubeflow.org/replica-type"
    found = of(owner("PyTorchJob", spec), labels={role: "worker"})
    assert (minimum(found), parts(found)) == (3, {"master": 1, "worker": 2})
    assert found.labels[fields.SUBGROUP] == "worker"
    assert of(owner("PyTorchJob", spec), labels={role: "master"}).labels[fields.SUBGROUP] == "master"


def test_an_mpi_launcher_that_is_made_late_is_waited_for_only_once_it_is_there() -> None:
    spec = {
        "launcherCreationPolicy": "WaitForWorkersReady",
        "mpiReplicaSpecs": {"Launcher": {"replicas": 1}, "Worker": {"replicas": 3}},
    }
    job = owner("MPIJob", spec)
    assert minimum(of(job)) == 3
    launcher = pod("l", **{"training.kubeflow.org/job-role": "launcher"})
    assert minimum(of(job, siblings=(launcher,))) == 4
    spec.pop("launcherCreationPolicy")
    assert minimum(of(job)) == 4


RAY = {
    "workerGroupSpecs": [
        {"groupName": "a", "replicas": 5, "minReplicas": 2, "numOfHosts": 2},
        {"groupName": "b", "minReplicas": 0},
    ]
}


def test_a_ray_cluster_starts_with_its_head_and_the_least_of_each_worker_group() -> None:
    worker = {"ray.io/node-type": "worker", "ray.io/group": "a", "ray.io/cluster": "c1"}
    found = of(owner("RayCluster", RAY), labels=worker)
    assert (minimum(found), parts(found)) == (5, {"headgroup": 1, "a": 4})
    assert found.labels[fields.SUBGROUP] == "a"
    head = of(owner("RayCluster", RAY), labels={"ray.io/node-type": "head", "ray.io/group": "headgroup"})
    assert head.labels[fields.SUBGROUP] == "headgroup"


def test_a_ray_job_is_its_cluster_and_the_pod_that_submits_it_waits_for_nobody() -> None:
    job = owner("RayJob", {"rayClusterSpec": RAY}, name="rj")
    worker = {"ray.io/node-type": "worker", "ray.io/group": "a", "ray.io/cluster": "rj-x1"}
    found = of(owner("RayCluster", RAY, name="rj-x1"), job, labels=worker)
    assert found.group is not None
    assert (found.group.metadata.name, minimum(found)) == ("pg-rj-uid-rj-rj-x1", 5)
    assert of(owner("Job", {}), job).group is None


def test_the_two_clusters_of_a_ray_service_that_is_renewed_are_two_gangs() -> None:
    service = owner("RayService", {"rayClusterConfig": RAY}, name="rs")
    names = set()
    for cluster in ("rs-old", "rs-new"):
        labels = {"ray.io/node-type": "head", "ray.io/cluster": cluster}
        found = of(owner("RayCluster", RAY, name=cluster), service, labels=labels)
        assert found.group is not None
        names.add(found.group.metadata.name)
        assert found.group.spec.priority_class_name == "inference"
    assert names == {"pg-rs-uid-rs-rs-old", "pg-rs-uid-rs-rs-new"}


JOBS = {
    "replicatedJobs": [
        {"name": "driver", "template": {"spec": {}}},
        {"name": "workers", "replicas": 2, "template": {"spec": {"parallelism": 4, "completions": 3}}},
    ]
}


def test_a_job_set_is_one_gang_or_one_for_each_job_where_they_start_in_order() -> None:
    labels = {"jobset.sigs.k8s.io/replicatedjob-name": "workers"}
    assert minimum(of(owner("Job", {}), owner("JobSet", JOBS, name="js"), labels=labels)) == 7
    ordered = owner("JobSet", {**JOBS, "startupPolicy": {"startupPolicyOrder": "InOrder"}}, name="js")
    found = of(owner("Job", {}), ordered, labels=labels)
    assert found.group is not None
    assert (found.group.metadata.name, minimum(found)) == ("pg-js-uid-js-workers", 6)


def test_each_replica_of_a_leader_worker_set_is_a_gang() -> None:
    spec = {"replicas": 2, "leaderWorkerTemplate": {"size": 3}}
    index, worker = "leaderworkerset.sigs.k8s.io/group-index", "leaderworkerset.sigs.k8s.io/worker-index"
    found = of(owner("StatefulSet", {}), owner("LeaderWorkerSet", spec, name="lws"), labels={index: "1", worker: "2"})
    assert found.group is not None
    assert (found.group.metadata.name, minimum(found)) == ("pg-lws-uid-lws-group-1", 3)
    assert (parts(found), found.labels[fields.SUBGROUP]) == ({"leader": 1, "workers": 2}, "workers")


def test_a_leader_whose_workers_are_made_once_it_is_ready_starts_alone_until_they_are_there() -> None:
    spec = {"leaderWorkerTemplate": {"size": 3}, "startupPolicy": "LeaderReady"}
    index, worker = "leaderworkerset.sigs.k8s.io/group-index", "leaderworkerset.sigs.k8s.io/worker-index"
    there = tuple(pod(f"lws-{i}", **{index: "0", worker: str(i)}) for i in range(3))
    labels = {index: "0", worker: "0"}
    assert minimum(of(owner("LeaderWorkerSet", spec), labels=labels, siblings=there[:1])) == 1
    assert minimum(of(owner("LeaderWorkerSet", spec), labels=labels, siblings=there)) == 3


def test_the_outermost_owner_that_is_known_decides_and_wrappers_that_are_not_do_no_harm() -> None:
    wrapper = owner("TrainJob", {"anything": 1}, name="tj")
    chain = Chain(pod=pod(), owners=(owner("Job", {}), owner("JobSet", JOBS, name="js"), wrapper))
    assert decider_of(chain) == "uid-js"
    assert minimum(group(chain, "q")) == 7


@pytest.mark.parametrize(
    ("labels", "place", "queue"),
    [
        ({"project": "nlp"}, "", "nlp"),
        ({"project": "nlp", "kai.scheduler/node-pool": "a100"}, "", "nlp-a100"),
        ({"runai/queue": "old"}, "", "old"),
        ({"kai.scheduler/queue": "new", "runai/queue": "old"}, "", "new"),
        ({"kai.scheduler/queue": "somebody-elses"}, "mine", "mine"),
        ({}, "", "default-queue"),
    ],
)
def test_the_queue_is_that_of_the_namespace_else_what_owner_or_pod_are_labelled_with(
    labels: dict[str, str], place: str, queue: str
) -> None:
    of_owner = group(
        Chain(pod=pod(), owners=({**owner("Job", {}), "metadata": {"name": "j", "uid": "u", "labels": labels}},)), place
    )
    assert of_owner.labels[fields.QUEUE] == queue
    of_pod = group(Chain(pod=pod(**labels), owners=(owner("Job", {}),)), place)
    assert of_pod.labels.get(fields.QUEUE, labels.get(fields.QUEUE)) == queue


def test_class_and_preemptibility_are_the_owners_else_the_pods_else_the_priority_class_of_the_pod() -> None:
    spec = {"tfReplicaSpecs": {"Worker": {"replicas": 2}}}
    job = owner("TFJob", spec, **{"priorityClassName": "build", "kai.scheduler/preemptibility": "preemptible"})
    found = of(job, labels={"priorityClassName": "inference"})
    assert found.group is not None
    assert (found.group.spec.priority_class_name, found.group.spec.preemptibility) == ("build", "preemptible")
    named = group(Chain(pod=pod(priority="build"), owners=(owner("Job", {}),)), "q")
    assert named.labels[fields.PRIORITY_CLASS] == "build"


def test_nearness_that_an_owner_asks_for_is_the_groups() -> None:
    job = owner("TFJob", {"tfReplicaSpecs": {"Worker": {"replicas": 2}}})
    job["metadata"]["annotations"] = {
        "kai.scheduler/topology": "racks",
        "kai.scheduler/topology-required-placement": "rack",
    }
    found = of(job).group
    assert found is not None
    assert found.spec.topology_constraint is not None
    assert (found.spec.topology_constraint.topology, found.spec.topology_constraint.required_topology_level) == (
        "racks",
        "rack",
    )


@pytest.mark.parametrize(
    ("kind", "spec", "said"),
    [
        ("TFJob", {"tfReplicaSpecs": {"Worker": {"replicas": "many"}}}, "replicas"),
        ("TFJob", {"tfReplicaSpecs": {"Worker": {"replicas": 0}}}, "at least one replica"),
        ("TFJob", {}, "at least one replica"),
        ("JobSet", {"replicatedJobs": []}, "at least one pod"),
        ("JobSet", {"replicatedJobs": 3}, "replicatedJobs"),
        ("RayCluster", {"workerGroupSpecs": [{"minReplicas": "x"}]}, "minReplicas"),
    ],
)
def test_an_owner_that_cannot_be_read_is_said_with_its_name_and_the_field(
    kind: str, spec: dict[str, Any], said: str
) -> None:
    with pytest.raises(Malformed, match=said) as refused:
        of(owner(kind, spec, name="odd"), labels={"ray.io/node-type": "head"})
    assert f"{kind} odd: " in str(refused.value)


def test_what_the_pod_already_says_is_not_written_again() -> None:
    labels = {fields.PRIORITY_CLASS: "train", fields.QUEUE: "q"}
    assert of(owner("Job", {}), labels=labels).labels == {}
