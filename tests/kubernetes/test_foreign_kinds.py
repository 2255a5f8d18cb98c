"""Pods of other people's kinds on a real API server: made here as their controllers make them, grouped and placed by our roles.

On both versions of Kubernetes: Jobs, ReplicaSets and StatefulSets are the same v1 there, and so are definitions of kinds of others.
With the controllers that Kubernetes has itself: `tests/realcluster/test_foreign_kinds.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from tests.kubernetes.conftest import ON_EACH, served
from tests.kubernetes.roles import Team, a_team, reference, until

from fairlead.kube.errors import AlreadyExists
from fairlead.kube.transport import Transport
from fairlead.objects import fields, kinds
from fairlead.objects.json import JsonObject
from fairlead.objects.kai import PodGroup
from fairlead.objects.kinds import CUSTOM_RESOURCE_DEFINITION, Kind, foreign
from fairlead.workloads.table import TABLE

pytestmark = [pytest.mark.kubernetes, ON_EACH]
VERSIONS = {"jobset.x-k8s.io": "v1alpha2", "kubeflow.org": "v1"}
BUILT_IN = ("apps", "batch")
CUSTOM = [row for row in TABLE.values() if row.group not in BUILT_IN]


def kind_of(name: str) -> Kind[JsonObject]:
    """The kind of that name, in the version the tests serve."""
    row = next(row for row in TABLE.values() if row.kind == name)
    return foreign(row.group, VERSIONS.get(row.group, "v1"), row.kind, row.plural)


def definition(name: str) -> JsonObject:
    """A custom resource definition that takes any object of that kind: their authors' schemas are not ours to copy."""
    kind = kind_of(name)
    names: JsonObject = {"kind": kind.kind, "plural": kind.plural, "singular": kind.kind.lower()}
    schema: JsonObject = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version: JsonObject = {"name": kind.version, "served": True, "storage": True, "schema": schema}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{kind.group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, serves a test only"},
        },
        "spec": {"group": kind.group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


@dataclass
class Makers:
    """Other people's controllers, played by the test, for a team."""

    team: Team

    async def owner(
        self, kind: str, name: str, spec: JsonObject, above: JsonObject | None = None, **labels: str
    ) -> JsonObject:
        """An object of that kind, controlled by the one above it."""
        meta: JsonObject = {"name": name, "labels": {**labels}}
        if above is not None:
            meta["ownerReferences"] = [reference(above)]
        body: JsonObject = {
            "apiVersion": kind_of(kind).api_version,
            "kind": kind,
            "metadata": meta,
            "spec": spec,
        }
        return await self.team.client.create(kind_of(kind), body, self.team.namespace)

    async def pod(self, name: str, owner: JsonObject, gpus: int = 1, **labels: str) -> None:
        """A pod that this owner made."""
        await self.team.pod(name, gpus, owner=owner, labels=labels)

    async def group(self) -> PodGroup:
        """The one pod group of the namespace, once it is there."""

        async def groups() -> tuple[PodGroup, ...]:
            return (await self.team.client.list(kinds.POD_GROUP, self.team.namespace)).items

        (only,) = await until(groups)
        return only


@pytest.fixture
async def makers(real: Transport) -> AsyncIterator[Makers]:
    """Roles running, a project with 64 GPUs, and the kinds that others define."""
    async with a_team(real, 64) as team:
        for row in CUSTOM:
            with contextlib.suppress(AlreadyExists):
                await team.client.create(CUSTOM_RESOURCE_DEFINITION, definition(row.kind))
            await served(team.client, kind_of(row.kind))
        yield Makers(team)


async def test_a_pytorch_job_starts_whole_in_the_queue_of_its_namespace(makers: Makers) -> None:
    role = "training.kubeflow.org/replica-type"
    spec: JsonObject = {"pytorchReplicaSpecs": {"Master": {"replicas": 1}, "Worker": {"replicas": 2}}}
    job = await makers.owner(
        "PyTorchJob", "bert", spec, **{fields.QUEUE: "somebody-elses", fields.PRIORITY_CLASS: "build"}
    )
    for number in range(2):
        await makers.pod(f"bert-worker-{number}", job, **{role: "worker"})
    group = await makers.group()
    assert (group.spec.min_member, group.spec.queue, group.spec.priority_class_name) == (
        3,
        makers.team.project,
        "build",
    )
    assert {s.name: s.min_member for s in group.spec.sub_groups} == {"master": 1, "worker": 2}
    await asyncio.sleep(1)
    assert await makers.team.placed() == set()
    await makers.pod("bert-master-0", job, **{role: "master"})
    await makers.team.places("bert-master-0", "bert-worker-0", "bert-worker-1")


async def test_the_workers_of_an_mpi_job_start_before_a_launcher_that_is_made_late(makers: Makers) -> None:
    role = "training.kubeflow.org/job-role"
    spec: JsonObject = {
        "launcherCreationPolicy": "WaitForWorkersReady",
        "mpiReplicaSpecs": {"Launcher": {"replicas": 1}, "Worker": {"replicas": 2}},
    }
    job = await makers.owner("MPIJob", "mpi", spec)
    await makers.pod("mpi-worker-0", job, **{role: "worker"})
    group = await makers.group()
    assert (group.spec.min_member, group.spec.queue, group.spec.priority_class_name) == (
        2,
        makers.team.project,
        "train",
    )
    await asyncio.sleep(1)
    assert await makers.team.placed() == set()
    await makers.pod("mpi-worker-1", job, **{role: "worker"})
    await makers.team.places("mpi-worker-0", "mpi-worker-1")
    launcher = await makers.owner("Job", "mpi-launcher", {"suspend": True, "template": _template()}, job)
    await makers.pod("mpi-launcher-x", launcher, gpus=0, **{role: "launcher"})
    await makers.team.places("mpi-launcher-x", "mpi-worker-0", "mpi-worker-1")


RAY: JsonObject = {"workerGroupSpecs": [{"groupName": "a", "replicas": 3, "minReplicas": 1}]}


async def test_a_ray_cluster_starts_with_its_head_and_the_least_of_its_workers(makers: Makers) -> None:
    above = await makers.owner("RayCluster", "rc", RAY, **{fields.PRIORITY_CLASS: "inference"})
    await _a_ray_cluster(makers, above)
    group = await makers.group()
    assert (group.spec.queue, group.spec.priority_class_name) == (makers.team.project, "inference")


async def test_a_ray_job_is_found_behind_the_cluster_it_makes_and_waits_not_for_who_submits_it(makers: Makers) -> None:
    above = await makers.owner("RayJob", "rj", {"rayClusterSpec": RAY})
    await _a_ray_cluster(makers, await makers.owner("RayCluster", "rj-x1", RAY, above))
    submits = await makers.owner("Job", "rj", {"suspend": True, "template": _template()}, above)
    await makers.pod("rj-submits", submits, gpus=0)
    await makers.team.places("head", "worker", "rj-submits")
    assert (await makers.group()).spec.priority_class_name == "train"


async def _a_ray_cluster(makers: Makers, owner: JsonObject) -> None:
    """Its pods as KubeRay makes them: they start once head and worker are there."""
    labels = {"ray.io/cluster": "c"}
    await makers.pod("head", owner, **labels, **{"ray.io/node-type": "head", "ray.io/group": "headgroup"})
    group = await makers.group()
    assert group.spec.min_member == 2
    assert {s.name: s.min_member for s in group.spec.sub_groups} == {"headgroup": 1, "a": 1}
    await asyncio.sleep(1)
    assert await makers.team.placed() == set()
    await makers.pod("worker", owner, **labels, **{"ray.io/node-type": "worker", "ray.io/group": "a"})
    await makers.team.places("head", "worker")


def _template() -> JsonObject:
    return {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]}}


async def test_a_job_set_is_found_behind_its_jobs(makers: Makers) -> None:
    template: JsonObject = {"spec": {"parallelism": 1, "completions": 1}}
    jobs: list[JsonObject] = [{"name": "a", "replicas": 2, "template": template}]
    above = await makers.owner("JobSet", "js", {"replicatedJobs": jobs})
    for number in range(2):
        assert await makers.team.placed() == set()
        job = await makers.owner("Job", f"js-a-{number}", {"suspend": True, "template": _template()}, above)
        await makers.pod(f"js-a-{number}", job, **{"jobset.sigs.k8s.io/replicatedjob-name": "a"})
    await makers.team.places("js-a-0", "js-a-1")
    assert (await makers.group()).spec.min_member == 2


async def test_workers_of_a_leader_worker_set_are_found_behind_their_leader(makers: Makers) -> None:
    labels = {"leaderworkerset.sigs.k8s.io/group-index": "0"}
    worker = "leaderworkerset.sigs.k8s.io/worker-index"
    above = await makers.owner("LeaderWorkerSet", "lws", {"replicas": 1, "leaderWorkerTemplate": {"size": 2}})
    leaders = await makers.owner("StatefulSet", "lws", _stateful(), above)
    await makers.pod("lws-0", leaders, **labels, **{worker: "0"})
    await asyncio.sleep(1)
    assert await makers.team.placed() == set()
    leader = await makers.team.client.get(foreign("", "v1", "Pod", "pods"), "lws-0", makers.team.namespace)
    workers = await makers.owner("StatefulSet", "lws-0", _stateful(), leader)
    await makers.pod("lws-0-1", workers, **labels, **{worker: "1"})
    await makers.team.places("lws-0", "lws-0-1")
    assert (await makers.group()).metadata.name.endswith("-group-0")


def _stateful() -> JsonObject:
    pods: JsonObject = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    return {"replicas": 0, "serviceName": "s", "selector": {"matchLabels": {"a": "b"}}, "template": pods}


async def test_pods_of_a_deployment_start_one_by_one_and_count_as_inference(makers: Makers) -> None:
    pods: JsonObject = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    spec: JsonObject = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": pods}
    above = await makers.owner("Deployment", "web", spec)
    replicas = await makers.owner("ReplicaSet", "web-1", spec, above)
    await makers.pod("web-1-a", replicas)
    await makers.pod("web-1-b", replicas, gpus=65)
    await makers.team.places("web-1-a")
    assert (await makers.team.client.list(kinds.POD_GROUP, makers.team.namespace)).items == ()
    placed = await makers.team.client.get(kinds.POD, "web-1-a", makers.team.namespace)
    assert placed.metadata.labels[fields.PRIORITY_CLASS] == "inference"
    assert placed.metadata.labels[fields.QUEUE] == makers.team.project


async def test_a_kind_nobody_knows_does_no_harm(makers: Makers) -> None:
    strange: JsonObject = {"apiVersion": "example.com/v1", "kind": "Swarm", "metadata": {"name": "s", "uid": "1-2-3"}}
    await makers.pod("drone", strange)
    await makers.team.places("drone")


async def test_an_owner_that_cannot_be_read_keeps_its_pods_waiting_with_the_field_and_starts_them_once_mended(
    makers: Makers,
) -> None:
    job = await makers.owner("TFJob", "odd", {"tfReplicaSpecs": {"Worker": {"replicas": "two"}}})
    await makers.pod("odd-0", job)
    told = await until(lambda: makers.team.why("odd-0"))
    assert "Cannot be grouped: TFJob odd: Expected `int`, got `str`" in told
    assert "replicas" in told
    mended: JsonObject = {"spec": {"tfReplicaSpecs": {"Worker": {"replicas": 1}}}}
    await makers.team.client.patch(kind_of("TFJob"), "odd", mended, makers.team.namespace)
    await makers.team.places("odd-0")
