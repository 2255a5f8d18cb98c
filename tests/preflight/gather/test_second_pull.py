"""A kubelet that has not read the pull secret yet asks the registry without it: what it is told then is no verdict on the secret."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from tests.preflight.gather.test_thousand_nodes import SPACE, StandInKubelets

from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.kube.client import Client
from fairlead.objects import kinds
from fairlead.objects.builtin import Namespace
from fairlead.objects.meta import ObjectMeta
from fairlead.preflight.gather.api import Api
from fairlead.preflight.gather.look import Orders
from fairlead.preflight.gather.pods import NODE_ANNOTATION, Place
from fairlead.preflight.gather.probes import Limits, Probed, Probes
from fairlead.runtime.clock import VirtualClock

REFUSED = {"reason": "ErrImagePull", "message": "pulling from host r failed: 401 Unauthorized"}
UNTRUSTED = {"reason": "ErrImagePull", "message": "tls: failed to verify certificate: x509: unknown authority"}
AGAIN = 12.0
"""So long after it was made a pod of `late` has its image. Units: seconds."""


async def keep(client: Client, kubelets: StandInKubelets, refused: dict[str, str]) -> None:
    made: dict[str, float] = {}
    while True:
        for pod in (await client.list(kinds.POD, SPACE)).items:
            node = kubelets.node_of[pod.metadata.name] = pod.metadata.annotations[NODE_ANNOTATION]
            age = client.clock.monotonic() - made.setdefault(pod.metadata.name, client.clock.monotonic())
            runs = node == "late" and age >= AGAIN
            state = {"running": {}} if runs else {"waiting": refused}
            status = {"phase": "Pending", "podIP": "10.0.0.1", "containerStatuses": [{"name": "probe", "state": state}]}
            await client.patch_status(kinds.POD, pod.metadata.name, status, SPACE)
        await client.clock.sleep(0.5)


def probed(pull_secret: str, refused: dict[str, str] = REFUSED) -> tuple[dict[str, Probed], float]:
    """What came of a node whose first pull is refused, and of one whose every pull is; and how long it took in virtual time."""
    clock = VirtualClock()
    kubelets = StandInKubelets(EmbeddedTransport(Store(clock, Random(1))), clock, Random(2))
    client = Client(kubelets, clock, Random(3))
    place = Place(run="1", namespace=SPACE, image="x", expires=0, seconds=300, pulls=False, pull_secret=pull_secret)
    probes = Probes(Api(client), place, Limits(), lambda _: None)

    async def story() -> float:
        await client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name=SPACE)))
        keeper = asyncio.create_task(keep(client, kubelets, refused))
        began = clock.monotonic()
        await probes.run(["late", "never"], lambda _: Orders())
        keeper.cancel()
        return clock.monotonic() - began

    return probes.results, clock.run(story())


def test_with_a_secret_the_second_pull_counts() -> None:
    results, took = probed("mine")
    assert {node: each.state for node, each in results.items()} == {"late": "finished", "never": "image_pull_failed"}
    assert "401" in results["never"].message
    assert took < Limits().start / 2


@pytest.mark.parametrize("node", ["late", "never"])
def test_without_one_the_first_pull_counts(node: str) -> None:
    results, took = probed("")
    assert results[node].state == "image_pull_failed"
    assert took < AGAIN


def test_what_has_nothing_to_do_with_the_secret_is_not_waited_for() -> None:
    results, took = probed("mine", UNTRUSTED)
    assert {each.state for each in results.values()} == {"image_pull_failed"}
    assert took < AGAIN
