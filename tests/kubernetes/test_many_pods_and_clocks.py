"""What needs a real API server and the scheduler as a process, and no real node: many pods at once, and a clock that is wrong."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from tests.kubernetes.conftest import CLOCK, _teach, _transport
from tests.kubernetes.processes import Cluster, Process, processes, until
from tests.kubernetes.roles import until as eventually
from tests.parts.apiserver import ApiServer, api_server, free_ports
from tests.parts.build import Unavailable
from tests.parts.clocks import clock_off_by

from fairlead.kube.client import Client, Limits
from fairlead.objects import fields, kinds
from fairlead.objects.builtin import Namespace, Node
from fairlead.objects.json import JsonObject
from fairlead.objects.kai import Queue, QueueResource, QueueResources, QueueSpec
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import Container, Pod, PodSpec, ResourceRequirements

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow, pytest.mark.timeout(900)]

MANY = 1000
NODES = 10
FOLLOWED_WITHIN = 20.0
_STILL_SECONDS = 13.0
_LEASE = {"durationSeconds": 6, "renewDeadlineSeconds": 4, "retrySeconds": 1}
"""Clocks are what is wrong here, not a machine so busy that a leader comes too late."""
"""More than twice as long as a lease of these tests lasts."""


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """An API server that notes every call."""
    try:
        with api_server(audit=True) as running:
            asyncio.run(_teach(running))
            yield running
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
async def client(server: ApiServer) -> AsyncIterator[Client]:
    """An administrator's client; nodes and a queue are there."""
    async with _transport(server) as transport:
        client = Client(transport, CLOCK, Random(5), Limits(call=60, watch=60))
        if await client.find(kinds.NAMESPACE, "fairlead") is None:
            for name in ("fairlead", "work"):
                await client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name=name)))
            every = QueueResource(quota=-1, limit=-1, over_quota_weight=1)
            resources = QueueResources(gpu=every, cpu=every, memory=every)
            await client.create(kinds.QUEUE, Queue(metadata=ObjectMeta(name="q"), spec=QueueSpec(resources=resources)))
            for number in range(NODES):
                await _a_node(client, f"n{number}")
        yield client


@pytest.fixture
def cluster(server: ApiServer, tmp_path: Path, client: Client) -> Iterator[Cluster]:
    """No process yet."""
    with processes(server.write_kubeconfig(tmp_path / "kubeconfig"), tmp_path) as found:
        yield found


async def test_a_thousand_pods_made_at_once_are_each_bound_once_and_no_node_is_overfull(
    server: ApiServer, client: Client, cluster: Cluster
) -> None:
    del cluster.settings["lease"]  # as long as a lease lasts where nobody says so
    _start(cluster)
    began = time.monotonic()
    limit = asyncio.Semaphore(64)

    async def make(number: int) -> None:
        async with limit:
            await _a_pod(client, f"p{number}")

    await asyncio.gather(*(make(number) for number in range(MANY)))
    made = time.monotonic() - began

    async def all_placed() -> dict[str, str]:
        found = await _placed(client)
        return found if len(found) == MANY else {}

    pods = await eventually(all_placed, 300)
    print(f"{MANY} pods were made in {made:.0f} s and all bound after {time.monotonic() - began:.0f} s")
    assert max(Counter(pods.values()).values()) <= MANY // NODES
    assert _binds(server) == {name: 1 for name in pods}


@pytest.mark.parametrize("shift", ["+30s", "-30s"])
async def test_a_scheduler_whose_clock_faketime_shifts_by_30_seconds_keeps_to_the_lease_and_follows(
    client: Client, cluster: Cluster, shift: str
) -> None:
    wrong = _off_by(shift)
    cluster.settings["lease"] = _LEASE
    right = _start(cluster)
    until(right.leads)
    off = _start(cluster, **wrong)
    until(lambda: off.says("/readyz"))
    assert await _remains(lambda: right.leads() and not off.leads()), "the lease of a living leader was taken"
    right.popen.kill()
    killed = time.monotonic()
    name = f"after-{'late' if shift[0] == '-' else 'early'}"
    await _a_pod(client, name)
    until(off.leads)

    async def is_placed() -> bool:
        return name in await _placed(client)

    await eventually(is_placed, 60)
    assert time.monotonic() - killed <= FOLLOWED_WITHIN
    third = _start(cluster)
    until(lambda: third.says("/readyz"))
    assert await _remains(lambda: off.leads() and not third.leads()), "a leader whose clock is wrong lost its lease"


def _start(cluster: Cluster, **env: str) -> Process:
    """One more scheduler, at an address of its own, by which it is known."""
    (port,) = free_ports(1)
    return cluster.start("scheduler", FAIRLEAD_SCHEDULER_EXPLAIN_PORT=str(port), **env)


async def _remains(holds: Callable[[], bool]) -> bool:
    """Whether it holds for some leases."""
    end = time.monotonic() + _STILL_SECONDS
    while time.monotonic() < end:
        if not holds():
            return False
        await asyncio.sleep(0.5)
    return True


def _off_by(shift: str) -> dict[str, str]:
    """Environment of a process whose clock is off."""
    try:
        return clock_off_by(shift)
    except Unavailable as reason:
        pytest.skip(str(reason))


async def _a_node(client: Client, name: str) -> None:
    await client.create(kinds.NODE, Node(metadata=ObjectMeta(name=name)))
    amounts: JsonObject = {"cpu": "64", "memory": "512Gi", "pods": "110", "nvidia.com/gpu": str(MANY // NODES)}
    ready: JsonObject = {"type": "Ready", "status": "True"}
    await client.patch_status(
        kinds.NODE, name, {"capacity": amounts, "allocatable": {**amounts}, "conditions": [ready]}
    )
    await client.patch(kinds.NODE, name, {"spec": {"taints": None}})


async def _a_pod(client: Client, name: str) -> None:
    """One GPU in the queue; none for those that come after the many."""
    limits = {"nvidia.com/gpu": "1"} if name.startswith("p") else {}
    container = Container(name="c", image="x", resources=ResourceRequirements(limits=limits))
    meta = ObjectMeta(name=name, labels={fields.QUEUE: "q"})
    spec = PodSpec(containers=(container,), scheduler_name="fairlead")
    await client.create(kinds.POD, Pod(metadata=meta, spec=spec), "work")


async def _placed(client: Client) -> dict[str, str]:
    """Node of each pod that has one."""
    return {p.metadata.name: p.spec.node_name for p in (await client.list(kinds.POD, "work")).items if p.spec.node_name}


def _binds(server: ApiServer) -> dict[str, int]:
    """How often each pod was bound, as the API server noted."""
    assert server.audit_log is not None
    found: Counter[str] = Counter()
    for line in server.audit_log.read_text().splitlines():
        entry = json.loads(line)
        ref = entry.get("objectRef", {})
        if entry["responseStatus"]["code"] == 201 and (ref.get("resource"), ref.get("subresource")) == (
            "pods",
            "binding",
        ):
            found[ref["name"]] += 1
    return dict(found)
