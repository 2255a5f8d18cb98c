"""A thousand nodes, in virtual time on the embedded store: waves of probes, bad nodes among them.

What runs the pods is a stand-in: it says of each pod what a kubelet would say, and plays the probe's part of the conversation.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from random import Random
from typing import Any

from msgspec import json as wire
from msgspec.structs import replace

from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.kube.client import Client
from fairlead.kube.transport import Duplex, Request, Response
from fairlead.objects import kinds
from fairlead.objects.builtin import Event, Namespace
from fairlead.objects.json import JsonObject
from fairlead.objects.meta import ObjectMeta, ObjectReference
from fairlead.preflight.gather.api import Api
from fairlead.preflight.gather.look import LARGE_BYTES, Looked, Name, Orders, encoded
from fairlead.preflight.gather.pods import NODE_ANNOTATION, Place
from fairlead.preflight.gather.probes import Limits, Probed, Probes, events_of
from fairlead.runtime.clock import VirtualClock

NODES = 1000
SPACE = "fairlead-preflight-1"
BROKEN_NETWORK = {f"n{number}" for number in range(7, NODES, 101)}
NO_IMAGE = {f"n{number}" for number in range(13, NODES, 203)}
SILENT = {f"n{number}" for number in range(29, NODES, 307)}


class StandInProbe:
    """The far end of an exec: a probe that looks for a while, or never answers."""

    def __init__(self, clock: VirtualClock, rng: Random, *, silent: bool) -> None:
        self._clock = clock
        self._rng = rng
        self._silent = silent
        self._asked = asyncio.Event()
        self._said = 0

    async def send(self, message: bytes) -> None:
        self._asked.set()

    async def receive(self) -> bytes | None:
        self._said += 1
        if self._said == 1:
            await self._clock.sleep(self._rng.uniform(0.3, 1.0))
            return b"\x01ready\n"
        await self._asked.wait()
        if self._silent:
            await self._clock.sleep(1e6)
        if self._said == 2:
            return b"\x01" + json.dumps({"time": self._clock.now()}).encode() + b"\n"
        await self._clock.sleep(self._rng.uniform(1, 6))
        seen = Looked(names={"a": Name(plain="ok", with_dot="ok", same=True)})
        return b"\x01" + encoded(seen) + b"\n"

    async def close(self) -> None:
        """Nothing is held."""


class StandInKubelets:
    """A transport under which pods come to life."""

    def __init__(self, inner: EmbeddedTransport, clock: VirtualClock, rng: Random) -> None:
        self._inner = inner
        self._clock = clock
        self._rng = rng
        self.node_of: dict[str, str] = {}

    async def request(self, request: Request) -> Response:
        return await self._inner.request(request)

    def stream(self, request: Request) -> AsyncIterator[bytes]:
        return self._inner.stream(request)

    async def upgrade(self, request: Request) -> Duplex:
        pod = request.path.split("/")[-2]
        return StandInProbe(self._clock, self._rng, silent=self.node_of[pod] in SILENT)


async def keep_pods(client: Client, kubelets: StandInKubelets, rng: Random, most: Counter[str]) -> None:
    """Give each pod its state once its node has had the time for it."""
    due: dict[str, float] = {}
    told: set[str] = set()
    while True:
        listed = (await client.list(kinds.POD, SPACE)).items
        most["pods"] = max(most["pods"], len(listed))
        for pod in listed:
            name, node = pod.metadata.name, pod.metadata.annotations[NODE_ANNOTATION]
            if pod.metadata.deletion_timestamp:
                await client.delete(kinds.POD, name, SPACE, grace_seconds=0)
                continue
            kubelets.node_of[name] = node
            at = due.setdefault(name, client.clock.monotonic() + rng.uniform(2, 9))
            if name not in told and client.clock.monotonic() >= at:
                told.add(name)
                await client.patch_status(kinds.POD, name, _status(node), SPACE)
                if node in BROKEN_NETWORK:
                    await client.create(kinds.EVENT, _no_sandbox(name), SPACE)
        await client.clock.sleep(0.5)


def _no_sandbox(pod: str) -> Event:
    about = ObjectReference(kind="Pod", name=pod, namespace=SPACE)
    return Event(
        metadata=ObjectMeta(name=pod),
        involved_object=about,
        type="Warning",
        reason="FailedCreatePodSandBox",
        message="failed (add)",
    )


def _status(node: str) -> JsonObject:
    state: JsonObject = {"running": {}}
    if node in BROKEN_NETWORK:
        state = {"waiting": {"reason": "ContainerCreating"}}
    if node in NO_IMAGE:
        state = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    runs = "running" in state
    container: JsonObject = {"name": "probe", "state": state}
    return {"phase": "Running" if runs else "Pending", "podIP": "10.0.0.1", "containerStatuses": [container]}


def probed() -> tuple[dict[str, Probed], float, Counter[str], list[dict[str, Any]]]:
    """(results, seconds of virtual time, most pods at once, orders as they were sent)."""
    clock, most = VirtualClock(), Counter[str]()
    inner = EmbeddedTransport(Store(clock, Random(1)))
    kubelets = StandInKubelets(inner, clock, Random(2))
    client = Client(kubelets, clock, Random(3))
    place = Place(run="1", namespace=SPACE, image="x", expires=0, seconds=300, pulls=False)
    probes = Probes(Api(client), place, Limits(), lambda _: None)
    asked: list[dict[str, Any]] = []

    def orders(node: str) -> Orders:
        asked.append({"node": node})
        return Orders()

    async def story() -> float:
        await client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name=SPACE)))
        keeper = asyncio.create_task(keep_pods(client, kubelets, Random(4), most))
        began = clock.monotonic()
        await probes.run([f"n{number}" for number in range(NODES)], orders)
        keeper.cancel()
        return clock.monotonic() - began

    took = clock.run(story())
    return probes.results, took, most, asked


def test_a_thousand_nodes_are_probed_in_less_than_five_minutes_and_bad_ones_hold_up_nobody() -> None:
    results, took, most, asked = probed()
    assert len(results) == NODES
    assert took < 300
    assert most["pods"] <= 150, "so many that start, look and are taken away at a time"
    states = Counter(each.state for each in results.values())
    assert states == {
        "finished": NODES - len(BROKEN_NETWORK | NO_IMAGE | SILENT),
        "not_started": len(BROKEN_NETWORK),
        "image_pull_failed": len(NO_IMAGE),
        "timeout": len(SILENT),
    }
    assert {node for node, each in results.items() if each.state == "not_started"} == BROKEN_NETWORK
    told = {(each.event, each.message) for each in results.values() if each.state == "not_started"}
    assert told == {("FailedCreatePodSandBox", "failed (add)")}
    assert all(abs(each.offset or 0) < 1 for each in results.values() if each.looked)
    assert len(asked) == NODES - len(BROKEN_NETWORK | NO_IMAGE), "each is asked once"


def test_what_travels_between_us_and_a_probe_is_read_back_as_it_was() -> None:
    orders = Orders(names=("a", "b"))
    assert wire.decode(encoded(orders), type=Orders) == orders
    assert LARGE_BYTES > 1400


def test_of_a_pod_s_warnings_the_last_that_tells_a_cause_counts() -> None:
    clock = VirtualClock()
    client = Client(EmbeddedTransport(Store(clock, Random(1))), clock, Random(3))
    pulled = 'Failed to pull image "x/y:1": lookup x: no such host'
    told = (
        ("Failed", pulled),
        ("Failed", "Error: ErrImagePull"),
        ("BackOff", 'Back-off pulling image "x/y:1"'),
        ("MissingClusterDNS", "kubelet does not have ClusterDNS IP configured"),
    )

    async def story() -> dict[str, tuple[str, str]]:
        await client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name=SPACE)))
        for number, (reason, message) in enumerate(told):
            event = replace(_no_sandbox("p"), metadata=ObjectMeta(name=f"p.{number}"), reason=reason, message=message)
            await client.create(kinds.EVENT, event, SPACE)
            await clock.sleep(1)
        return await events_of(Api(client), SPACE)

    assert clock.run(story()) == {"p": ("Failed", pulled)}
