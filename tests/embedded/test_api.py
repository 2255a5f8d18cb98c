"""The embedded API on its loopback port: our own client and kubectl on the same store."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest
from tests.embedded.worlds import a_map, a_pod

from fairlead.embedded.api import Api
from fairlead.embedded.store import Store, bad_request
from fairlead.kube.client import Client, LogOptions
from fairlead.kube.credentials import from_kubeconfig
from fairlead.kube.http import HttpTransport
from fairlead.kube.transport import Duplex
from fairlead.objects.builtin import Node
from fairlead.objects.kinds import CONFIG_MAP, NODE, POD, TRAINING
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.workload import Training, WorkloadSpec
from fairlead.runtime.clock import SystemClock
from fairlead.runtime.errors import Invalid, SignedOut

KUBECTL = shutil.which("kubectl")
needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on PATH")

POD_FILE = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers: [{name: main, image: "x:1"}]
"""
TRAINING_FILE = """
apiVersion: fairlead.dev/v1alpha1
kind: Training
metadata: {name: big}
spec: {image: "x:1", gpuDevices: 2, priority: train}
"""


class Echo:
    """A command that says back what it hears, and ends when its input ends."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def send(self, message: bytes) -> None:
        if message == b"\xff\x00":
            await self.queue.put(b"\x03" + json.dumps({"status": "Success"}).encode())
            await self.queue.put(None)
        else:
            await self.queue.put(b"\x01" + message[1:])

    async def receive(self) -> bytes | None:
        return await self.queue.get()

    async def close(self) -> None:
        await self.queue.put(None)


class Pods:
    """Nodes on which every pod prints two lines."""

    async def logs(self, pod: dict[str, Any], options: LogOptions) -> AsyncIterator[bytes]:
        if options.previous:
            raise bad_request("previous terminated container not found")
        yield b"first\n"
        yield f"second of {pod['metadata']['name']}\n".encode()

    async def exec(self, pod: dict[str, Any], container: str, command: list[str], query: dict[str, str]) -> Duplex:
        return Echo()

    async def port_forward(self, pod: dict[str, Any], port: int) -> Duplex:
        return Echo()


class Served:
    """A store that is served, and what reaches it."""

    def __init__(self, api: Api, kubeconfig: Path, client: Client) -> None:
        self.api = api
        self.kubeconfig = kubeconfig
        self.client = client

    async def kubectl(self, *words: str, stdin: str = "") -> tuple[int, str]:
        """Give (exit status, what was printed)."""
        env = os.environ | {"HOME": str(self.kubeconfig.parent)}
        process = await asyncio.create_subprocess_exec(
            str(KUBECTL),
            f"--kubeconfig={self.kubeconfig}",
            *words,
            env=env,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(90):
            out, _ = await process.communicate(stdin.encode())
        return process.returncode or 0, out.decode()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A store on a loopback port."""
    clock = SystemClock()
    store = Store(clock, Random(2))
    store.door = Pods()
    api = Api(store, "test-token", tmp_path / "tls")
    await api.start()
    kubeconfig = tmp_path / "kubeconfig"
    api.write_kubeconfig(kubeconfig)
    async with HttpTransport(from_kubeconfig(kubeconfig), clock) as transport:
        yield Served(api, kubeconfig, Client(transport, clock, Random(3)))
    await api.stop()


async def test_our_client_works_over_https(served: Served) -> None:
    start = (await served.client.list(CONFIG_MAP, "default")).revision
    await served.client.create(CONFIG_MAP, a_map("a"), "default")
    await served.client.patch(CONFIG_MAP, "a", {"data": {"k": "v"}}, "default")
    events = []
    async with asyncio.timeout(90):
        async for event in served.client.watch(CONFIG_MAP, start, "default"):
            events.append(event.change)
            if len(events) == 2:
                break
    assert events == ["ADDED", "MODIFIED"]


async def test_the_kubeconfig_is_for_its_owner_alone_and_the_certificate_stays(served: Served, tmp_path: Path) -> None:
    assert served.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "tls" / "api.key").stat().st_mode & 0o777 == 0o600
    again = Api(Store(SystemClock(), Random(1)), "t", tmp_path / "tls")
    await again.start()
    try:
        same = json.loads(again.kubeconfig())["clusters"][0]["cluster"]["certificate-authority-data"]
        assert same == json.loads(served.api.kubeconfig())["clusters"][0]["cluster"]["certificate-authority-data"]
    finally:
        await again.stop()


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic dGVzdA=="}])
async def test_nobody_gets_in_without_the_token(served: Served, header: dict[str, str]) -> None:
    context = ssl.create_default_context(cadata=from_kubeconfig(served.kubeconfig).ca.decode())
    async with (
        aiohttp.ClientSession(headers=header) as session,
        session.get(f"{served.api.url}/api/v1/pods", ssl=context) as answer,
    ):
        assert answer.status == 401
        assert (await answer.json())["reason"] == "Unauthorized"


async def test_a_wrong_token_is_our_error(served: Served, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text(served.kubeconfig.read_text().replace("test-token", "other"))
    async with HttpTransport(from_kubeconfig(wrong), SystemClock()) as transport:
        with pytest.raises(SignedOut):
            await Client(transport, SystemClock(), Random(1)).list(POD)


async def test_logs_and_commands_go_through(served: Served) -> None:
    await served.client.create(POD, a_pod("web"), "default")
    with pytest.raises(Invalid, match="does not have a host"):
        await served.client.exec("web", "default", ["cat"])
    await served.client.bind("web", "default", "n1")
    assert b"".join([piece async for piece in served.client.logs("web", "default")]) == b"first\nsecond of web\n"
    with pytest.raises(Invalid, match="previous"):
        [piece async for piece in served.client.logs("web", "default", LogOptions(previous=True))]
    session = await served.client.exec("web", "default", ["cat"])
    await session.send(b"hello")
    await session.end_input()
    async with asyncio.timeout(90):
        assert [data async for _, data in session.output()] == [b"hello"]
    assert session.exit_code == 0
    await session.close()


@needs_kubectl
async def test_kubectl_applies_shows_and_deletes(served: Served) -> None:
    for file in (POD_FILE, TRAINING_FILE):
        assert (await served.kubectl("apply", "--validate=false", "-f", "-", stdin=file))[0] == 0
    changed = TRAINING_FILE.replace("gpuDevices: 2", "gpuDevices: 3")
    assert "configured" in (await served.kubectl("apply", "--validate=false", "-f", "-", stdin=changed))[1]
    relabelled = POD_FILE.replace("app: web", "app: shop")
    assert "configured" in (await served.kubectl("apply", "--validate=false", "-f", "-", stdin=relabelled))[1]
    assert (await served.client.get(TRAINING, "big", "default")).spec.gpu_devices == 3
    assert (await served.client.get(POD, "web", "default")).metadata.labels == {"app": "shop"}
    status, text = await served.kubectl("delete", "pod/web", "training/big")
    assert (status, text.count("deleted")) == (0, 2)


@needs_kubectl
async def test_kubectl_prints_tables_and_documents(served: Served) -> None:
    await served.client.create(NODE, Node(metadata=ObjectMeta(name="n1", labels={"node-role.kubernetes.io/gpu": ""})))
    await served.client.create(POD, a_pod("web"), "default")
    await served.client.bind("web", "default", "n1")
    spec = WorkloadSpec(image="x", gpu_devices=2)
    await served.client.create(TRAINING, Training(metadata=ObjectMeta(name="big"), spec=spec), "default")
    _, text = await served.kubectl("get", "pods,nodes", "-A", "-o", "wide")
    assert "pod/web" in text
    assert "READY" in text
    assert "n1" in text
    assert "Unknown" in text
    _, text = await served.kubectl("get", "trainings")
    assert text.split()[:5] == ["NAME", "PHASE", "PRIORITY", "GPUS", "PODS"]
    _, text = await served.kubectl("get", "po", "web", "-o", "json")
    assert json.loads(text)["spec"]["nodeName"] == "n1"
    status, text = await served.kubectl("describe", "pod", "web")
    assert status == 0
    assert "Node:" in text
    _, text = await served.kubectl("logs", "web")
    assert text == "first\nsecond of web\n"


@needs_kubectl
async def test_kubectl_waits_and_runs_commands(served: Served) -> None:
    await served.client.create(POD, a_pod("web"), "default")
    await served.client.bind("web", "default", "n1")
    waiting = asyncio.create_task(
        served.kubectl("wait", "pod/web", "--for=jsonpath={.status.phase}=Running", "--timeout=20s")
    )
    await asyncio.sleep(0.3)
    await served.client.patch_status(POD, "web", {"phase": "Running"}, "default")
    assert await waiting == (0, "pod/web condition met\n")
    assert await served.kubectl("exec", "-i", "web", "--", "cat", stdin="hello") == (0, "hello")


@needs_kubectl
async def test_kubectl_is_told_what_is_not_done(served: Served) -> None:
    for words, said in (
        (("explain", "pods"), "not found in OpenAPI schema"),
        (("apply", "--server-side", "--validate=false", "-f", "-"), "unknown format"),
        (("create", "deployment", "x", "--image=x"), "write the object as YAML"),
    ):
        status, text = await served.kubectl(*words, stdin=POD_FILE)
        assert status == 1, words
        assert said in text, words


async def _raw(served: Served, path: str, accept: str = "application/json") -> Any:
    context = ssl.create_default_context(cadata=from_kubeconfig(served.kubeconfig).ca.decode())
    headers = {"Authorization": "Bearer test-token", "Accept": accept}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(served.api.url + path, ssl=context) as answer,
    ):
        return await answer.json(content_type=None)


async def test_discovery_names_every_kind_and_its_subresources(served: Served) -> None:
    core = await _raw(served, "/api/v1/")
    names = {row["name"]: row for row in core["resources"]}
    assert {"pods", "pods/status", "pods/log", "pods/binding", "pods/eviction", "pods/exec", "nodes"} <= set(names)
    assert names["pods"]["shortNames"] == ["po"]
    groups = {group["name"] for group in (await _raw(served, "/apis"))["groups"]}
    assert {"fairlead.dev", "scheduling.run.ai", "apps", "coordination.k8s.io"} <= groups
    crds = await _raw(served, "/apis/apiextensions.k8s.io/v1")
    assert crds["resources"][0]["verbs"] == ["get", "list", "watch"]
    assert (await _raw(served, "/apis/unknown.dev"))["code"] == 404


async def test_tables_have_a_cell_for_every_column(served: Served) -> None:
    await served.client.create(POD, a_pod("web"), "default")
    wanted = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    for path in ("/api/v1/pods", "/api/v1/namespaces", "/apis/fairlead.dev/v1alpha1/trainings", "/api/v1/secrets"):
        table = await _raw(served, path, wanted)
        assert table["kind"] == "Table", path
        assert all(len(row["cells"]) == len(table["columnDefinitions"]) for row in table["rows"]), path
    pods = await _raw(served, "/api/v1/namespaces/default/pods/web", wanted)
    assert pods["rows"][0]["cells"][:4] == ["web", "0/1", "Pending", 0]
