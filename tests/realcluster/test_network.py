"""Pods, Services and the API server reach each other as on any cluster."""

from __future__ import annotations

import pytest
from tests.parts.cluster.cluster import Cluster
from tests.realcluster.pods import a_spec, a_template, in_phase, output, run_on, until

from fairlead.kube.client import Client
from fairlead.objects.builtin import Service, ServicePort, ServiceSpec
from fairlead.objects.kinds import POD, SERVICE
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import Pod

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
SERVES = "mkdir /tmp/www && echo served > /tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www"
HOST = "$WEB_SERVICE_HOST:$WEB_SERVICE_PORT"


async def a_service(client: Client, namespace: str) -> Pod:
    """Give the pod on node-1 behind the Service `web`."""
    spec = ServiceSpec(selector={"app": "web"}, ports=(ServicePort(port=80, target_port=8080),))
    await client.create(SERVICE, Service(metadata=ObjectMeta(name="web"), spec=spec), namespace)
    await run_on(client, "node-1", (namespace, "web"), a_template(SERVES, app="web"))
    return await in_phase(client, namespace, "web", "Running")


async def test_a_pod_reaches_a_service_whose_pod_is_on_the_other_node(client: Client, namespace: str) -> None:
    web = await a_service(client, namespace)
    asks = f"until wget -q -T 2 -O - http://{HOST}; do sleep 0.5; done; wget -q -O - http://{web.status.pod_ip}:8080"
    await run_on(client, "node-2", (namespace, "asks"), a_spec(asks))
    await in_phase(client, namespace, "asks", "Succeeded")
    assert await output(client, namespace, "asks") == "served\nserved\n"


async def test_a_pod_reaches_the_api_server_where_kubernetes_tells_it_to(client: Client, namespace: str) -> None:
    asks = "until nc -w 2 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT </dev/null; do sleep 0.5; done"
    shows = "ls /var/run/secrets/kubernetes.io/serviceaccount"
    await run_on(client, "node-1", (namespace, "asks"), a_spec(f"{asks}; {shows}"))
    await in_phase(client, namespace, "asks", "Succeeded")
    assert (await output(client, namespace, "asks")).split() == ["ca.crt", "namespace", "token"]


async def test_a_command_runs_in_a_pod(client: Client, namespace: str) -> None:
    await run_on(client, "node-2", (namespace, "waits"), a_spec())
    await in_phase(client, namespace, "waits", "Running")
    session = await client.exec("waits", namespace, ("sh", "-c", "echo $HOSTNAME"), stdin=False)
    printed = b"".join([piece.data async for piece in session.frames()])
    assert printed == b"waits\n"
