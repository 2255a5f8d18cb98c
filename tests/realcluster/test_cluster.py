"""The test cluster is what it says: real nodes that run, count, lose and keep pods as Kubernetes does."""

from __future__ import annotations

import asyncio
from functools import partial

import msgspec
import pytest
from tests.parts.cluster import podresources
from tests.parts.cluster.cluster import Cluster
from tests.parts.cluster.nodes import GPU_LABELS, GPUS
from tests.parts.cluster.simulated_gpus import RESOURCE
from tests.realcluster.pods import SLEEP, a_spec, a_template, in_phase, output, run_on, until

from fairlead.kube.client import Client
from fairlead.objects.builtin import Job, JobSpec, Node
from fairlead.objects.json import JsonObject, as_object
from fairlead.objects.kinds import DEPLOYMENT, JOB, NODE, POD
from fairlead.objects.meta import ObjectMeta

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
VISIBLE = 'echo "sees $NVIDIA_VISIBLE_DEVICES"'


async def test_both_nodes_are_ready_with_eight_gpus_and_their_labels(client: Client) -> None:
    nodes = (await client.list(NODE)).items
    assert [node.metadata.name for node in nodes] == ["node-1", "node-2"]
    for node in nodes:
        assert condition(node, "Ready") == "True"
        assert node.status.allocatable[RESOURCE] == str(GPUS)
        assert GPU_LABELS.items() <= node.metadata.labels.items()


async def test_the_pods_of_a_deployment_run_and_log(client: Client, namespace: str) -> None:
    template = as_object(msgspec.to_builtins(a_template(f"echo hello; {SLEEP}", restart="Always", app="web")))
    spec: JsonObject = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    web: JsonObject = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    await client.create(DEPLOYMENT, web, namespace)
    made = await until(lambda: client.list(POD, namespace), lambda found: len(found.items) == 2)
    for pod in made.items:
        await in_phase(client, namespace, pod.metadata.name, "Running")
        assert await until(partial(output, client, namespace, pod.metadata.name), bool) == "hello\n"
    await until(
        lambda: client.get(DEPLOYMENT, "web", namespace), lambda it: as_object(it["status"]).get("readyReplicas") == 2
    )


async def test_a_gpu_pod_sees_exactly_one_uuid_and_the_kubelet_tells_whose_it_is(
    real_cluster: Cluster, client: Client, namespace: str
) -> None:
    node = real_cluster.nodes["node-1"]
    await run_on(client, node.name, (namespace, "one"), a_spec(f"{VISIBLE}; {SLEEP}", gpus=1))
    await in_phase(client, namespace, "one", "Running")
    seen = (await until(lambda: output(client, namespace, "one"), bool)).removeprefix("sees ").strip()
    assert seen in node.gpus.uuids
    assert podresources.devices(node.pod_resources_socket, RESOURCE) == {(namespace, "one"): [seen]}


async def test_the_ninth_gpu_pod_of_a_node_with_eight_is_refused_by_the_kubelet(client: Client, namespace: str) -> None:
    for number in range(GPUS):
        await run_on(client, "node-2", (namespace, f"pod-{number}"), a_spec(gpus=1))
    for number in range(GPUS):
        await in_phase(client, namespace, f"pod-{number}", "Running")
    await run_on(client, "node-2", (namespace, "ninth"), a_spec(gpus=1))
    refused = await in_phase(client, namespace, "ninth", "Failed")
    assert refused.status.reason == "UnexpectedAdmissionError"


async def test_a_gpu_that_becomes_unhealthy_is_no_longer_offered(real_cluster: Cluster, client: Client) -> None:
    node = real_cluster.nodes["node-1"]
    node.gpus.set_unhealthy(*node.gpus.uuids[:2])
    await until(lambda: client.get(NODE, node.name), lambda it: it.status.allocatable[RESOURCE] == "6")
    node.gpus.set_unhealthy()
    await until(lambda: client.get(NODE, node.name), lambda it: it.status.allocatable[RESOURCE] == "8")


async def test_a_kubelet_that_is_killed_and_started_again_keeps_its_pods(
    real_cluster: Cluster, client: Client, namespace: str
) -> None:
    node = real_cluster.nodes["node-1"]
    await run_on(client, node.name, (namespace, "stays"), a_spec(gpus=1))
    before = await in_phase(client, namespace, "stays", "Running")
    registrations = node.gpus.registrations
    node.kubelet.restart()
    await until(partial(asyncio.to_thread, lambda: node.gpus.registrations), lambda count: count > registrations)
    await until(lambda: client.get(NODE, node.name), lambda it: it.status.allocatable[RESOURCE] == "8")
    await run_on(client, node.name, (namespace, "later"), a_spec("true"))
    await in_phase(client, namespace, "later", "Succeeded")
    after = await client.get(POD, "stays", namespace)
    assert after.status.phase == "Running"
    assert after.status.container_statuses == before.status.container_statuses, "neither ended nor started again"
    assert (namespace, "stays") in podresources.devices(node.pod_resources_socket, RESOURCE)


async def test_a_node_whose_kubelet_is_gone_becomes_not_ready(real_cluster: Cluster, client: Client) -> None:
    node = real_cluster.nodes["node-2"]
    node.kubelet.kill()
    try:
        await until(lambda: client.get(NODE, node.name), lambda it: condition(it, "Ready") == "Unknown", 90)
        unreachable = "node.kubernetes.io/unreachable"  # written by another loop, a moment later
        await until(lambda: client.get(NODE, node.name), lambda it: any(t.key == unreachable for t in it.spec.taints))
    finally:
        node.kubelet.start()
        await until(lambda: client.get(NODE, node.name), lambda it: condition(it, "Ready") == "True")


async def test_a_job_completes(client: Client, namespace: str) -> None:
    job = Job(metadata=ObjectMeta(name="sums"), spec=JobSpec(completions=1, template=a_template("expr 1 + 1")))
    await client.create(JOB, job, namespace)
    made = await until(lambda: client.list(POD, namespace), lambda found: bool(found.items))
    done = await until(lambda: client.get(JOB, "sums", namespace), lambda it: it.status.succeeded == 1)
    await until(
        lambda: client.get(JOB, "sums", namespace),
        lambda it: any(one.type == "Complete" for one in it.status.conditions),
    )
    assert done.status.failed == 0
    assert await output(client, namespace, made.items[0].metadata.name) == "2\n"


def condition(node: Node, type_: str) -> str:
    """Give the status of one of a node's conditions."""
    return next(one.status for one in node.status.conditions if one.type == type_)
