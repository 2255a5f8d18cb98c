"""Builders for tests of the embedded store."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.kube.client import Client
from fairlead.kube.transport import Request
from fairlead.objects.builtin import ConfigMap, Namespace
from fairlead.objects.kinds import NAMESPACE
from fairlead.objects.meta import ObjectMeta, OwnerReference
from fairlead.objects.pod import Container, Pod, PodSpec
from fairlead.runtime.clock import VirtualClock

T = TypeVar("T")


@dataclass
class World:
    """A store in simulated time."""

    clock: VirtualClock
    store: Store
    client: Client

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        """Give what the story returns."""
        return self.clock.run(story)

    async def namespace(self, name: str = "ns") -> None:
        """Create a namespace."""
        await self.client.create(NAMESPACE, Namespace(metadata=ObjectMeta(name=name)))

    async def say(self, method: str, path: str, body: Any = None, media: str = "application/json") -> tuple[int, Any]:
        """Give (status, body) of a raw call; `path` may carry a query."""
        path, _, query = path.partition("?")
        pairs = tuple((key, value) for key, _, value in (part.partition("=") for part in query.split("&") if part))
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"content-type": media} if data else {}
        response = await EmbeddedTransport(self.store).request(
            Request(method=method, path=path, query=pairs, headers=headers, body=data)
        )
        return response.status, json.loads(response.body) if response.body else {}


def a_map(name: str, *owners: OwnerReference, **data: str) -> ConfigMap:
    """Give a config map."""
    return ConfigMap(metadata=ObjectMeta(name=name, owner_references=owners), data=data)


def a_pod(name: str, **labels: str) -> Pod:
    """Give a small pod."""
    spec = PodSpec(containers=(Container(name="main", image="x:1"),))
    return Pod(metadata=ObjectMeta(name=name, labels=labels), spec=spec)


def owned_by(owner: ConfigMap) -> OwnerReference:
    """Give a reference to an owner."""
    return OwnerReference(api_version="v1", kind="ConfigMap", name=owner.metadata.name, uid=owner.metadata.uid)
