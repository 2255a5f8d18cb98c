"""The proof of an installation whose namespaces administrators make."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random
from typing import Any

import pytest

from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.install.verify import NAME, NAMESPACE, Verifier, VerifyImage
from fairlead.kube.client import Client
from fairlead.objects import kinds
from fairlead.objects.builtin import Namespace, Node, NodeStatus, Secret, ServiceAccount
from fairlead.objects.meta import ObjectMeta
from fairlead.preflight.gather.api import Api
from fairlead.runtime.clock import VirtualClock
from fairlead.runtime.errors import FairleadError

IMAGE = VerifyImage(reference="fairlead:1", policy="IfNotPresent", namespace="fairlead", secrets=("pull",))
LABELS = {"fairlead.dev/project": NAME, "kai.scheduler/queue": NAME, "runai/queue": NAME}


async def of_cluster(client: Client, clock: VirtualClock, waits: float, copied: set[str]) -> None:
    """What controllers, scheduler and kubelet do once the namespace is there. `copied`: secrets that were seen in it."""
    while True:
        space = await client.find(kinds.NAMESPACE, NAMESPACE)
        if space is not None and LABELS.items() <= space.metadata.labels.items():
            account = ServiceAccount(metadata=ObjectMeta(name="default", namespace=NAMESPACE))
            with contextlib.suppress(FairleadError):
                await client.create(kinds.SERVICE_ACCOUNT, account, NAMESPACE)
            if clock.monotonic() > waits and await client.find(kinds.PROJECT, NAME) is not None:
                await client.patch_status(kinds.PROJECT, NAME, {"phase": "Ready"})
            copied |= {each.metadata.name for each in (await client.list(kinds.SECRET, NAMESPACE)).items}
            for pod in (await client.list(kinds.POD, NAMESPACE)).items:
                if pod.status.phase == "Pending":
                    await client.bind(pod.metadata.name, NAMESPACE, "n1")
                    await client.patch_status(kinds.POD, pod.metadata.name, {"phase": "Succeeded"}, NAMESPACE)
        await clock.sleep(1)


def proven(*, there: bool, waits: float = 0.0) -> tuple[str, Namespace | None]:
    """(what is told, the namespace afterwards). `there`: an administrator made it; `waits`: seconds until the project is ready."""
    clock = VirtualClock()
    client = Client(EmbeddedTransport(Store(clock, Random(1))), clock, Random(2))
    copied: set[str] = set()

    async def prove() -> tuple[str, Namespace | None]:
        await client.create(kinds.NODE, Node(metadata=ObjectMeta(name="n1"), status=NodeStatus()))
        if there:
            meta = ObjectMeta(name=NAMESPACE, labels=LABELS)
            await client.create(kinds.NAMESPACE, Namespace(metadata=meta))
        await client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name="fairlead")))
        secret = Secret(metadata=ObjectMeta(name="pull", namespace="fairlead"), type="Opaque", data={"a": "eA=="})
        await client.create(kinds.SECRET, secret, "fairlead")
        at_work = asyncio.create_task(of_cluster(client, clock, waits, copied))
        told: list[Any] = []
        verifier = Verifier(Api(client), IMAGE, "fairlead", told.append, 60, makes_namespace=True)
        said = await verifier.verify()
        if at_work.done():
            at_work.result()
        at_work.cancel()
        assert copied == {"pull"}, "pods pull with secrets of their own namespace"
        assert await client.find(kinds.SECRET, "pull", NAMESPACE) is None, "no copy of a credential is left"
        assert await client.find(kinds.PROJECT, NAME) is None
        return said, await client.find(kinds.NAMESPACE, NAMESPACE)

    return clock.run(prove())


@pytest.mark.parametrize("waits", [0.0, 30.0])
def test_a_namespace_that_an_administrator_made_stays(waits: float) -> None:
    said, space = proven(there=True, waits=waits)
    assert said == "a workload ran on n1, without a GPU"
    assert space is not None
    assert space.metadata.deletion_timestamp is None


def test_whoever_may_make_one_makes_it_and_takes_it_away() -> None:
    said, space = proven(there=False)
    assert (said, space) == ("a workload ran on n1, without a GPU", None)
