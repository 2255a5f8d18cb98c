"""Our controllers and scheduler on a real API server, with a node that nobody keeps and a project: as much cluster as decisions need."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

import msgspec
from tests.kubernetes.conftest import CLOCK, NUMBERS

from fairlead.cluster.controllers.main import Controllers
from fairlead.cluster.scheduler.main import Scheduler
from fairlead.kube.client import Client, Limits
from fairlead.kube.errors import AlreadyExists
from fairlead.kube.transport import Transport
from fairlead.objects import fields, kinds
from fairlead.objects.builtin import Node
from fairlead.objects.json import JsonObject
from fairlead.objects.kai import Queue, QueueResource, QueueResources, QueueSpec
from fairlead.objects.meta import ObjectMeta, OwnerReference
from fairlead.objects.organisation import Department, DepartmentSpec, PoolResources, Project, ProjectSpec, Share
from fairlead.objects.pod import Pod, PodSpec
from fairlead.runtime.errors import FairleadError

T = TypeVar("T")
PATIENCE = 60.0
"""Seconds to wait for anything."""


async def until(look: Callable[[], Awaitable[T]], patience: float = PATIENCE) -> T:
    """What `look` gives, once it gives anything."""
    async with asyncio.timeout(patience):
        while not (found := await look()):  # noqa: ASYNC110  # a server is asked, nothing here sets an event
            await asyncio.sleep(0.05)
    return found


@dataclass
class Team:
    """A project, its namespace, and the roles that work for it."""

    client: Client
    project: str
    node: str
    roles: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        """Where its pods live."""
        return f"runai-{self.project}"

    def start(self, role: str) -> None:
        """Have it run, made anew."""
        made = Controllers(self.client, CLOCK, Random(6)) if role == "controllers" else Scheduler(self.client, CLOCK)
        self.roles[role] = asyncio.create_task(made.run(), name=role)

    async def stop(self, *roles: str) -> None:
        """End them, or all, where they stand."""
        ended = [self.roles.pop(role) for role in roles or tuple(self.roles)]
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)

    async def offers(self, amounts: dict[str, str], *, ready: bool = True) -> None:
        """What the node has, beside much CPU and memory."""
        every: JsonObject = {"cpu": "64", "memory": "512Gi", "pods": "110", **amounts}
        condition: JsonObject = {"type": "Ready", "status": str(ready)}
        status: JsonObject = {"capacity": every, "allocatable": {**every}, "conditions": [condition]}
        await self.client.patch_status(kinds.NODE, self.node, status)

    async def pod(
        self,
        name: str,
        gpus: int = 1,
        *,
        namespace: str = "",
        owner: JsonObject | None = None,
        notes: dict[str, str] | None = None,
        labels: dict[str, str] | None = None,
        asks: dict[str, str] | None = None,
        **spec: Any,
    ) -> Pod:
        """A pod that asks for that many GPUs and for `asks` beside; the specification in the words of its object."""
        amounts = {fields.GPU_RESOURCE: str(gpus), **(asks or {})}
        container = {"name": "c", "image": "x", "resources": {"requests": amounts, "limits": amounts}}
        written = {"containers": [container], "schedulerName": "fairlead", **spec}
        meta = ObjectMeta(
            name=name,
            labels=labels or {},
            annotations=notes or {},
            owner_references=(msgspec.convert(reference(owner), OwnerReference),) if owner else (),
        )
        made = Pod(metadata=meta, spec=msgspec.convert(written, PodSpec))
        return await self.client.create(kinds.POD, made, namespace or self.namespace)

    async def placed(self, namespace: str = "") -> set[str]:
        """Names of the pods that have a node."""
        pods = (await self.client.list(kinds.POD, namespace or self.namespace)).items
        return {p.metadata.name for p in pods if p.spec.node_name}

    async def places(self, *names: str, namespace: str = "") -> None:
        """Returns once exactly these have one."""

        async def all_have() -> bool:
            return await self.placed(namespace) == set(names)

        with contextlib.suppress(TimeoutError):
            await until(all_have)
        pods = (await self.client.list(kinds.POD, namespace or self.namespace)).items
        told = {p.metadata.name: [c.message for c in p.status.conditions] for p in pods}
        assert await self.placed(namespace) == set(names), told

    async def why(self, name: str) -> str:
        """What the pod says of why it waits; empty for nothing."""
        pod = await self.client.get(kinds.POD, name, self.namespace)
        return "".join(c.message for c in pod.status.conditions if c.type == "PodScheduled" and c.status == "False")

    async def remove(self, name: str) -> None:
        """As a kubelet that has ended its container does."""
        await self.client.delete(kinds.POD, name, self.namespace, grace_seconds=0)

    async def queue(self, name: str, gpus: float, limit: float = -1, parent: str = "") -> None:
        """A queue beside those of projects."""
        every = QueueResource(quota=-1, limit=-1, over_quota_weight=1)
        gpu = QueueResource(quota=gpus, limit=limit, over_quota_weight=1)
        spec = QueueSpec(parent_queue=parent, resources=QueueResources(gpu=gpu, cpu=every, memory=every))
        await self.client.create(kinds.QUEUE, Queue(metadata=ObjectMeta(name=name), spec=spec))


def reference(owner: JsonObject) -> JsonObject:
    """The owner as its controller writes it on what it makes."""
    meta: Any = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
    }


@contextlib.asynccontextmanager
async def a_team(real: Transport, gpus: int) -> AsyncIterator[Team]:
    """A node with that many GPUs, a project that deserves all, and the roles; gone afterwards."""
    client = Client(real, CLOCK, Random(5), Limits(call=10, watch=60))
    number = next(NUMBERS)
    team = Team(client, f"team-{number}", f"node-{number}")
    await client.create(kinds.NODE, Node(metadata=ObjectMeta(name=team.node)))
    await team.offers({fields.GPU_RESOURCE: str(gpus)})
    await client.patch(
        kinds.NODE, team.node, {"spec": {"taints": None}}
    )  # as the node controller does once it is ready
    every = Share(deserved=-1, limit=-1)
    share = PoolResources(gpu=Share(deserved=gpus * 1000, limit=-1), cpu=every, memory=every)
    with contextlib.suppress(AlreadyExists):
        large = PoolResources(gpu=every, cpu=every, memory=every)
        await client.create(
            kinds.DEPARTMENT, Department(metadata=ObjectMeta(name="all"), spec=DepartmentSpec(resources=(large,)))
        )
    spec = ProjectSpec(department="all", resources=(share,))
    await client.create(kinds.PROJECT, Project(metadata=ObjectMeta(name=team.project), spec=spec))
    team.start("controllers")
    team.start("scheduler")
    try:
        await until(lambda: client.find(kinds.NAMESPACE, team.namespace))
        yield team
    finally:
        await team.stop()
        for pod in (await client.list(kinds.POD)).items:
            with contextlib.suppress(FairleadError):
                await client.delete(kinds.POD, pod.metadata.name, pod.metadata.namespace, grace_seconds=0)
        await client.delete(kinds.NODE, team.node)
        await client.delete(kinds.PROJECT, team.project)
