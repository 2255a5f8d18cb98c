"""Who makes the cluster and the pods of the end-to-end rows: nodes that nobody keeps, an organisation, work."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

import msgspec

from fairlead.kube.client import Client
from fairlead.kube.errors import AlreadyExists
from fairlead.objects import fields, kinds
from fairlead.objects.builtin import Namespace, Node
from fairlead.objects.crds import definitions
from fairlead.objects.json import JsonObject
from fairlead.objects.kai import PodGroup, PodGroupSpec
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.organisation import Department, DepartmentSpec, PoolResources, Project, ProjectSpec, Share
from fairlead.objects.pod import Pod, PodSpec
from fairlead.runtime.errors import FairleadError

NODES, DEPARTMENTS, PROJECTS = 500, 4, 20
PODS, GANG = 2000, 4
IN_FLIGHT = 64
PATIENCE = 300.0
"""Units: seconds."""
_GPUS = 8
_LOOK = 0.25
"""How often it is looked whether all pods are placed. Units: seconds."""

_QUIET = 3.0
"""After so long without a new event there come none. Units: seconds."""


async def nodes(client: Client) -> None:
    """500 of 8 GPUs, Ready."""
    await _all(_node(client, f"n{number:05d}") for number in range(NODES))


async def namespaces(client: Client) -> None:
    """Those of the projects, for a scheduler that knows none."""
    made = (Namespace(metadata=ObjectMeta(name=_namespace(number))) for number in range(PROJECTS))
    await _all(client.create(kinds.NAMESPACE, one) for one in made)


async def kinds_of_ours(client: Client) -> None:
    """Our definitions, once they are served, and the namespace of the leases."""
    for name in ("fairlead", "kube-system"):
        with contextlib.suppress(AlreadyExists):
            await client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name=name)))
    for made in definitions():
        await client.create(kinds.CUSTOM_RESOURCE_DEFINITION, made)
    for kind in kinds.CUSTOM_KINDS:
        await until(lambda kind=kind: _is_served(client, kind))


async def organisation(client: Client) -> None:
    """4 departments and 20 projects that share all GPUs evenly; returns once there are their namespaces and queues."""
    total = NODES * _GPUS * 1000
    for number in range(DEPARTMENTS):
        spec = DepartmentSpec(resources=(_share(total // DEPARTMENTS),))
        made = Department(metadata=ObjectMeta(name=f"department-{number}"), spec=spec)
        await client.create(kinds.DEPARTMENT, made)
    for number in range(PROJECTS):
        mine = ProjectSpec(department=f"department-{number % DEPARTMENTS}", resources=(_share(total // PROJECTS),))
        await client.create(kinds.PROJECT, Project(metadata=ObjectMeta(name=f"p{number:02d}"), spec=mine))
    await until(lambda: _is_organised(client))


async def single_pods(client: Client, scheduler: str) -> None:
    """2,000 pods of one GPU."""
    await _all(client.create(kinds.POD, _pod(f"one-{number}", scheduler), _namespace(number)) for number in range(PODS))


async def gangs(client: Client) -> None:
    """500 pod groups of 4 pods of one GPU."""
    await _all(_gang(client, number) for number in range(PODS // GANG))


async def all_placed(client: Client) -> None:
    """Returns once no pod waits, and what is written about them beside has been. Raises: TimeoutError."""
    await until(lambda: _nobody_waits(client))
    await until(lambda: _is_quiet(client))


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    """Returns once that is so. Raises: TimeoutError."""
    end = time.monotonic() + PATIENCE
    while not await look():
        if time.monotonic() > end:
            raise TimeoutError(f"what the benchmark waits for has not come within {PATIENCE:.0f} s")
        await asyncio.sleep(_LOOK)


async def _nobody_waits(client: Client) -> bool:
    return not (await client.list(kinds.POD, fields="spec.nodeName=")).items


async def _is_quiet(client: Client) -> bool:
    before = len((await client.list(kinds.EVENT)).items)
    await asyncio.sleep(_QUIET)
    return before == len((await client.list(kinds.EVENT)).items)


async def _is_served(client: Client, kind: kinds.Kind[Any]) -> bool:
    try:
        await client.list(kind)
    except (FairleadError, msgspec.DecodeError):
        return False
    return True


async def _is_organised(client: Client) -> bool:
    names = {each.metadata.name for each in (await client.list(kinds.NAMESPACE)).items}
    queues = (await client.list(kinds.QUEUE)).items
    return names >= {_namespace(n) for n in range(PROJECTS)} and len(queues) >= PROJECTS + DEPARTMENTS


async def _node(client: Client, name: str) -> None:
    await client.create(kinds.NODE, Node(metadata=ObjectMeta(name=name)))
    amounts: JsonObject = {"cpu": "64", "memory": "512Gi", "pods": "110", fields.GPU_RESOURCE: str(_GPUS)}
    condition: JsonObject = {"type": "Ready", "status": "True"}
    await client.patch_status(
        kinds.NODE, name, {"capacity": amounts, "allocatable": {**amounts}, "conditions": [condition]}
    )
    await client.patch(kinds.NODE, name, {"spec": {"taints": None}})  # as the node controller does once it is ready


async def _gang(client: Client, number: int) -> None:
    name, namespace = f"gang-{number}", _namespace(number)
    group = PodGroup(
        metadata=ObjectMeta(name=name), spec=PodGroupSpec(min_member=GANG, queue=namespace.removeprefix("runai-"))
    )
    await client.create(kinds.POD_GROUP, group, namespace)
    for rank in range(GANG):
        await client.create(kinds.POD, _pod(f"{name}-{rank}", "fairlead", group=name), namespace)


def _pod(name: str, scheduler: str, group: str = "") -> Pod:
    amounts = {"cpu": "1", fields.GPU_RESOURCE: "1"}
    container = {"name": "c", "image": "x", "resources": {"requests": amounts, "limits": amounts}}
    spec = msgspec.convert({"containers": [container], "schedulerName": scheduler}, PodSpec)
    return Pod(metadata=ObjectMeta(name=name, annotations={fields.POD_GROUP: group} if group else {}), spec=spec)


def _namespace(number: int) -> str:
    return f"runai-p{number % PROJECTS:02d}"


def _share(gpu: int) -> PoolResources:
    every = Share(deserved=-1, limit=-1)
    return PoolResources(gpu=Share(deserved=gpu, limit=-1), cpu=every, memory=every)


async def _all(calls: Iterable[Coroutine[Any, Any, object]]) -> None:
    busy = asyncio.Semaphore(IN_FLIGHT)

    async def one(call: Coroutine[Any, Any, object]) -> None:
        async with busy:
            await call

    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(one(call), name="driver.call")
