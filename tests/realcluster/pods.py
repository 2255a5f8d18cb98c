"""Pods of a cluster: made, bound by hand where the node is said, waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from tests.parts.cluster.images import BUSYBOX
from tests.parts.cluster.simulated_gpus import RESOURCE

from fairlead.kube.client import Client
from fairlead.objects.kinds import POD, SERVICE_ACCOUNT
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import Container, Pod, PodSpec, PodTemplate, ResourceRequirements

T = TypeVar("T")
SLEEP = "trap 'exit 0' TERM; sleep 3600 & wait"


def a_spec(script: str = SLEEP, gpus: int = 0, restart: str = "Never") -> PodSpec:
    """A pod that runs a shell script."""
    limits = ResourceRequirements(limits={RESOURCE: str(gpus)} if gpus else {})
    container = Container(name="main", image=BUSYBOX, command=("sh", "-c", script), resources=limits)
    return PodSpec(containers=(container,), restart_policy=restart, termination_grace_period_seconds=1)


def a_template(script: str = SLEEP, restart: str = "Never", **labels: str) -> PodTemplate:
    """What a controller makes pods from."""
    return PodTemplate(metadata=ObjectMeta(labels=labels), spec=a_spec(script, restart=restart))


async def run_on(client: Client, node: str, pod: tuple[str, str], spec: PodSpec, **labels: str) -> Pod:
    """Give the pod (namespace, name), made and bound to the node."""
    namespace, name = pod
    await until(lambda: client.list(SERVICE_ACCOUNT, namespace), lambda found: bool(found.items))
    unplaced = msgspec.structs.replace(spec, scheduler_name="nobody")
    made = await client.create(POD, Pod(metadata=ObjectMeta(name=name, labels=labels), spec=unplaced), namespace)
    await client.bind(name, namespace, node, uid=made.metadata.uid)
    return made


async def in_phase(client: Client, namespace: str, name: str, *phases: str) -> Pod:
    """Give the pod once it is in one of the phases."""
    return await until(lambda: client.get(POD, name, namespace), lambda pod: pod.status.phase in phases)


async def output(client: Client, namespace: str, name: str) -> str:
    """Give what the pod has printed."""
    return b"".join([piece async for piece in client.logs(name, namespace)]).decode()


async def until(ask: Callable[[], Awaitable[T]], good: Callable[[T], bool], seconds: float = 180) -> T:
    """Give the first good answer. Raises: AssertionError with the last one when there was none in time."""
    end = time.monotonic() + seconds
    answer = await ask()
    while not good(answer):
        assert time.monotonic() < end, f"not within {seconds:g} s; last seen: {answer}"
        await asyncio.sleep(0.2)
        answer = await ask()
    return answer
