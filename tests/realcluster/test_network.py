"""Pods, Services and the API server reach each other as on any cluster."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from tests.parts import certificates
from tests.parts.certificates import Leaf
from tests.parts.cluster.cluster import Cluster
from tests.realcluster.pods import a_spec, in_phase, output, run_on, until

from fairlead.kube.client import Client
from fairlead.kube.sessions import STDOUT
from fairlead.objects import kinds
from fairlead.objects.builtin import ConfigMap, Service, ServicePort, ServiceSpec
from fairlead.objects.json import JsonObject
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import Pod, PodSpec
from fairlead.runtime.errors import FairleadError

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
SERVES = "mkdir /tmp/www && echo served > /tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www"


async def a_service(client: Client, namespace: str, name: str, port: ServicePort, spec: PodSpec) -> Pod:
    """Give the pod on node-1 behind the Service."""
    wanted = ServiceSpec(selector={"app": name}, ports=(port,))
    await client.create(kinds.SERVICE, Service(metadata=ObjectMeta(name=name), spec=wanted), namespace)
    await run_on(client, "node-1", (namespace, name), spec, app=name)
    return await in_phase(client, namespace, name, "Running")


async def test_a_pod_reaches_a_service_whose_pod_is_on_the_other_node(client: Client, namespace: str) -> None:
    pod = await a_service(client, namespace, "web", ServicePort(port=80, target_port=8080), a_spec(SERVES))
    service = await client.get(kinds.SERVICE, "web", namespace)
    addresses = (f"http://{service.spec.cluster_ip}", f"http://{pod.status.pod_ip}:8080")
    asks = "; ".join(f"until wget -q -O - {address}; do sleep 0.5; done" for address in addresses)
    await run_on(client, "node-2", (namespace, "asks"), a_spec(asks))
    await in_phase(client, namespace, "asks", "Succeeded")
    assert await output(client, namespace, "asks") == "served\nserved\n"


async def test_a_pod_reaches_the_api_server_where_kubernetes_tells_it_to(client: Client, namespace: str) -> None:
    asks = "until nc -w 2 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT </dev/null; do sleep 0.5; done"
    shows = "ls /var/run/secrets/kubernetes.io/serviceaccount"
    await run_on(client, "node-1", (namespace, "asks"), a_spec(f"{asks}; {shows}"))
    await in_phase(client, namespace, "asks", "Succeeded")
    assert (await output(client, namespace, "asks")).split() == ["ca.crt", "namespace", "token"]


async def test_ports_of_a_pod_are_reached_several_at_once_with_much_to_say(client: Client, namespace: str) -> None:
    spec = a_spec("mkdir /tmp/www && head -c 8388608 /dev/zero > /tmp/www/zeros && exec httpd -f -p 8080 -h /tmp/www")
    await run_on(client, "node-2", (namespace, "serves"), spec)

    async def asked() -> bytes:
        session = await client.port_forward("serves", namespace, 8080)
        answer = b""
        try:
            await session.send(b"GET /zeros HTTP/1.0\r\n\r\n")
            while piece := await session.receive():
                answer += piece
        finally:
            await session.close()
        return answer

    async def failure() -> str:
        try:
            return "" if await asked() else "it said nothing"
        except FairleadError as error:
            return str(error)

    async def unheard() -> str:
        session = await client.port_forward("serves", namespace, 8081)
        try:
            return str(await session.receive())
        except FairleadError as error:
            return str(error)
        finally:
            await session.close()

    await in_phase(client, namespace, "serves", "Running")
    await until(failure, lambda told: not told)
    for answer in await asyncio.gather(asked(), asked(), asked()):
        head, _, body = answer.partition(b"\r\n\r\n")
        assert (b" 200 OK" in head, body.count(0), len(body)) == (True, 8 << 20, 8 << 20)
    assert "8081" in await unheard()


async def test_a_command_runs_in_a_pod(client: Client, namespace: str) -> None:
    await run_on(client, "node-2", (namespace, "waits"), a_spec())
    await in_phase(client, namespace, "waits", "Running")
    session = await client.exec("waits", namespace, ("sh", "-c", "echo $HOSTNAME"), stdin=False)
    assert [piece async for piece in session.output()] == [(STDOUT, b"waits\n")]
    assert session.exit_code == 0
    await session.close()


async def test_the_api_server_asks_a_webhook_at_a_service(
    real_cluster: Cluster, client: Client, namespace: str, tmp_path: Path
) -> None:
    """The pod behind the Service hands each connection on to this test."""
    certificates.write(tmp_path, {"hook": Leaf("hook", names=(f"hook.{namespace}.svc",))})
    outside = real_cluster.addresses.outside
    async with a_webhook(tmp_path, outside) as port:
        spec = a_spec(f"exec nc -ll -p 8443 -e nc {outside} {port}")
        await a_service(client, namespace, "hook", ServicePort(port=443, target_port=8443), spec)
        await client.create(kinds.VALIDATING_WEBHOOK, configuration(tmp_path, namespace))
        try:
            await until(lambda: refusal(client, namespace), lambda text: "the test does not like it" in text)
        finally:
            await client.delete(kinds.VALIDATING_WEBHOOK, "refuses")


@contextlib.asynccontextmanager
async def a_webhook(folder: Path, address: str) -> AsyncIterator[int]:
    """Give the port of a server that refuses what it is asked about."""

    async def refuse(request: web.Request) -> web.Response:
        asked = await request.json()
        answer = {"uid": asked["request"]["uid"], "allowed": False, "status": {"message": "the test does not like it"}}
        return web.json_response({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer})

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "hook.crt", folder / "hook.key")
    app = web.Application()
    app.router.add_post("/", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, 0, ssl_context=context).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def configuration(folder: Path, namespace: str) -> JsonObject:
    """Config maps of the namespace are asked about."""
    service: JsonObject = {"name": "hook", "namespace": namespace, "path": "/"}
    authority = base64.b64encode((folder / "ca.crt").read_bytes()).decode()
    rules: JsonObject = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["configmaps"],
    }
    hook: JsonObject = {
        "name": "refuses.fairlead.test",
        "clientConfig": {"service": service, "caBundle": authority},
        "rules": [rules],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 5,
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "refuses"},
        "webhooks": [hook],
    }


async def refusal(client: Client, namespace: str) -> str:
    """Give why a config map may not be made, if it may not."""
    try:
        made = ConfigMap(metadata=ObjectMeta(generate_name="asked-"))
        await client.create(kinds.CONFIG_MAP, made, namespace)
    except FairleadError as error:
        return str(error)
    return ""
