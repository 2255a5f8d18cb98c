"""Every part of Fairlead on one API: control plane, agent, controllers, scheduler and one node of real processes.

Nothing but the Transport differs between the embedded store and a real kube-apiserver. Roles are made anew at each
start, as processes would be, so that one may be killed and started again at any time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path as Folder
from random import Random
from typing import Any

import aiohttp
import uvicorn

from fairlead.cluster.agent.links import AgentOptions
from fairlead.cluster.agent.main import Agent
from fairlead.cluster.controllers.main import Controllers
from fairlead.cluster.scheduler.main import Scheduler
from fairlead.embedded.nodes.kubelet import Kubelet
from fairlead.embedded.nodes.machine import NodeSpec, simulated_devices
from fairlead.embedded.nodes.process import ProcessRuntime
from fairlead.kube.client import Client
from fairlead.kube.errors import AlreadyExists
from fairlead.kube.transport import Transport
from fairlead.objects import kinds
from fairlead.objects.builtin import Namespace
from fairlead.objects.meta import ObjectMeta
from fairlead.runtime.clock import SystemClock
from fairlead.server.api.application import create_app, create_context
from fairlead.server.auth.permissions import administrator
from fairlead.server.config import ServerConfig
from fairlead.server.services import accounts, clusters
from fairlead.server.services.accounts import ADMINISTRATOR

CLOCK = SystemClock()
PASSWORD = "correct horse battery staple"
SECRET = "cluster-secret"
ROLES = ("controllers", "scheduler", "kubelet", "agent")
PATIENCE = 120.0
"""Seconds to wait for anything."""


@dataclass
class Roles:
    """The roles of one cluster as tasks."""

    client: Client
    node: NodeSpec
    runtime: ProcessRuntime
    agent: AgentOptions
    rng: Random
    scheduler: Scheduler = field(init=False)
    kubelet: Kubelet = field(init=False)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    on_kubelet: Callable[[Kubelet], None] = lambda kubelet: None

    async def explain(self, namespace: str, workload: str) -> bytes:
        """What the scheduler of the moment says."""
        return await self.scheduler.explain(namespace, workload)

    def start(self, role: str) -> None:
        """Have it run, made anew."""
        self.tasks[role] = asyncio.create_task(self._made(role), name=role)

    async def kill(self, role: str) -> None:
        """End it where it stands."""
        task = self.tasks.pop(role)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def _made(self, role: str) -> Any:
        if role == "controllers":
            return Controllers(self.client, CLOCK, self.rng).run()
        if role == "scheduler":
            self.scheduler = Scheduler(self.client, CLOCK)
            return self.scheduler.run()
        if role == "agent":
            return Agent(self.client, self, self.agent, self.rng).run()
        self.kubelet = Kubelet(self.client, CLOCK, self.rng, [self.node], {"process": self.runtime})
        self.on_kubelet(self.kubelet)
        return self.kubelet.run()


@dataclass
class Path:
    """A whole installation, and a person who speaks REST with it."""

    session: aiohttp.ClientSession
    url: str
    cluster: str
    roles: Roles
    logs_by_api: bool
    """Whether logs travel through the API: a real API server fetches them from a kubelet's own server."""

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The body of an answer that must not be a refusal."""
        async with self.session.request(method, self.url + path, json=body) as answer:
            text = await answer.text()
            assert answer.status < 300, (method, path, answer.status, text)
            return await answer.json() if text else None

    async def project(self, name: str, gpus: float) -> str:
        """A project with that quota, unlimited above."""
        pools = (await self.call("GET", "/api/v1/node-pools"))["nodepools"]
        pool = {"id": pools[0]["id"], "name": pools[0]["name"]}
        gpu = {"deserved": gpus, "limit": -1, "overQuotaWeight": 2}
        body = {
            "name": name,
            "clusterId": self.cluster,
            "resources": [{"nodePool": pool, "gpu": gpu}],
        }
        made = await self.call("POST", "/api/v1/org-unit/projects", body)
        return str(made["id"])

    async def submit(self, kind: str, name: str, project: str, command: str, **spec: Any) -> str:
        """The id of a workload: `gpu` in devices (or a part of one); the rest as REST spells it."""
        gpu = spec.pop("gpu", 0)
        compute = {"gpuDevicesRequest": max(int(gpu), 1), "gpuRequestType": "portion"} if gpu else {}
        compute |= {"gpuPortionRequest": min(gpu, 1)} if gpu else {}
        body = {
            "name": name,
            "projectId": project,
            "clusterId": self.cluster,
            "spec": {"image": "any", "command": command, "compute": compute, **spec},
        }
        made = await self.call("POST", f"/api/v1/workloads/{kind}", body)
        return str(made["workloadId"])

    async def get(self, workload: str) -> Any:
        """The workload as people see it."""
        return await self.call("GET", f"/api/v1/workloads/{workload}")

    async def pods(self, workload: str) -> list[Any]:
        """Its pods as people see them."""
        return list((await self.call("GET", f"/api/v1/workloads/{workload}/pods"))["pods"])

    async def phase(self, workload: str, *wanted: str) -> Any:
        """The workload once it is in one of these phases."""
        seen: Any = None
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            seen = await self.get(workload)
            if seen["phase"] in wanted:
                return seen
            await asyncio.sleep(0.05)
        raise AssertionError((wanted, seen["name"], seen["phase"], seen["phaseMessage"], seen["history"]))

    async def log(self, workload: str) -> str:
        """What it printed."""
        if self.logs_by_api:
            async with self.session.get(f"{self.url}/api/fairlead/v1/workloads/{workload}/logs") as answer:
                return await answer.text()
        from fairlead.kube.client import LogOptions

        uid = (await self.pods(workload))[0]["id"]
        return b"".join([piece async for piece in self.roles.runtime.logs(uid, LogOptions())]).decode()


@contextlib.asynccontextmanager
async def whole_path(
    transport: Transport, folder: Folder, rng: Random, attach: Callable[[Kubelet], None] | None
) -> AsyncIterator[Path]:
    """Everything running on that API. `attach` is given each node's door, where the API has use for it."""
    context = create_context(
        ServerConfig(database_url=f"sqlite+aiosqlite:///{folder}/fairlead.db", signing_key=b"k" * 32), time.time
    )
    server = uvicorn.Server(uvicorn.Config(create_app(context), port=0, log_config=None, ws="websockets-sansio"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn has no event to wait for
        await asyncio.sleep(0.01)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    await accounts.ensure_administrator(context, PASSWORD)
    root = administrator("test")
    cluster, _ = await clusters.create_cluster(context, root, "here", secret=SECRET)
    client = Client(transport, CLOCK, rng)
    await _system_namespace(client)
    node = NodeSpec(
        name="machine",
        cpu_milli=16_000,
        memory_bytes=64 << 30,
        devices=simulated_devices("machine", 4),
        simulated=True,
        runtime="process",
    )
    runtime = ProcessRuntime(folder / "pods", os.environ)
    roles = Roles(client, node, runtime, AgentOptions(url=url, cluster=cluster.id, secret=SECRET), rng)
    roles.on_kubelet = attach or roles.on_kubelet
    for role in ROLES:
        roles.start(role)
    await _welcome(client, node.name)
    try:
        async with aiohttp.ClientSession(headers=await _sign_in(url)) as session:
            yield Path(session, url, cluster.id, roles, attach is not None)
    finally:
        for role in reversed(list(roles.tasks)):
            await roles.kill(role)
        for uid in runtime.known():
            await runtime.stop(uid, 0)
        await asyncio.sleep(0.1)  # the loop lets go of processes that have just ended
        server.should_exit = True
        await serving


async def _sign_in(url: str) -> dict[str, str]:
    body = {"grantType": "password", "username": ADMINISTRATOR, "password": PASSWORD}
    async with aiohttp.ClientSession() as session, session.post(f"{url}/api/v1/token", json=body) as answer:
        return {"Authorization": f"Bearer {(await answer.json())['accessToken']}"}


async def _system_namespace(client: Client) -> None:
    """A real API server makes it a moment after it has become ready."""
    with contextlib.suppress(AlreadyExists):
        await client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name="kube-system")))


async def _welcome(client: Client, node: str) -> None:
    """What a controller manager does with a new node that is ready: the taint `not-ready` of admission is taken off."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = await client.find(kinds.NODE, node)
        if found is not None and found.status.conditions:
            if found.spec.taints:
                await client.patch(kinds.NODE, node, {"spec": {"taints": None}})
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the node was not registered")
