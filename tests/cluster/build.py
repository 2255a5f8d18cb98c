"""A store in simulated time with the objects that cluster roles work on."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.kube.client import Client
from fairlead.kube.faulty import Faults, FaultyTransport, Moment
from fairlead.kube.transport import Request
from fairlead.objects import kinds
from fairlead.objects.builtin import Namespace, Node
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import Container, Pod, PodSpec
from fairlead.runtime.clock import VirtualClock

T = TypeVar("T")


@dataclass
class Bench:
    """A store, a client without faults, and one with them. `calls`: methods and paths the second one sent."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    calls: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = Store(self.clock, Random(1))
        self.client = Client(EmbeddedTransport(self.store), self.clock, Random(2))
        self.faulty = FaultyTransport(EmbeddedTransport(self.store), Random(3), self.clock, Faults(), self._note)
        self.shaky = Client(self.faulty, self.clock, Random(4))

    def run(self, story: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What the story returns."""
        return self.clock.run(story())

    async def a_pod(self, name: str, namespace: str = "ns", **labels: str) -> Pod:
        """A stored pod that waits."""
        if await self.client.find(kinds.NAMESPACE, namespace) is None:
            await self.client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name=namespace)))
        spec = PodSpec(containers=(Container(name="main", image="x"),), scheduler_name="fairlead")
        return await self.client.create(
            kinds.POD, Pod(metadata=ObjectMeta(name=name, labels=labels), spec=spec), namespace
        )

    async def a_node(self, name: str, gpus: int = 4) -> None:
        """A node that is ready."""
        await self.client.create(kinds.NODE, Node(metadata=ObjectMeta(name=name)))
        amounts = {"cpu": "16", "memory": "64Gi", "pods": "110", "nvidia.com/gpu": str(gpus)}
        ready = [{"type": "Ready", "status": "True"}]
        await self.client.patch_status(
            kinds.NODE, name, {"capacity": amounts, "allocatable": {**amounts}, "conditions": ready}
        )

    def writes(self) -> list[str]:
        """The writes so far: method and the last part of the path."""
        return [f"{method} {path.rsplit('/', 1)[-1]}" for method, path in self.calls if method != "GET"]

    def _note(self, moment: Moment, request: Request) -> None:
        if moment == "before":
            self.calls.append((request.method, request.path))
