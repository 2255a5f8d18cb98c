"""A real cluster for the tests in this folder: started once, and skipped with the reason where none can run."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from random import Random

import pytest
from tests.kubernetes.processes import until as until_sync
from tests.parts.build import Unavailable
from tests.parts.cluster.cluster import Cluster, cluster
from tests.realcluster.pods import until
from tests.realcluster.product import Installed, product_on

from fairlead.kube.client import Client, Limits
from fairlead.kube.credentials import find
from fairlead.kube.http import HttpTransport
from fairlead.objects.builtin import Namespace
from fairlead.objects.kinds import NAMESPACE, POD
from fairlead.objects.meta import ObjectMeta
from fairlead.runtime.clock import SystemClock
from fairlead.runtime.errors import NotFound

CLOCK = SystemClock()
NUMBERS = itertools.count(1)


@pytest.fixture(scope="package")
def real_cluster() -> Iterator[Cluster]:
    """A control plane and two nodes with eight simulated GPUs each."""
    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(cluster())
        except Unavailable as reason:
            pytest.skip(str(reason))
        yield running


@pytest.fixture(scope="package")
def installed(real_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The product, and a project `team` that deserves all GPUs; installed once: the last file's last test uninstalls it."""
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(product_on(real_cluster, tmp_path_factory.mktemp("product")))
        except Unavailable as reason:
            pytest.skip(str(reason))
        yield found


@pytest.fixture
def no_work_left(installed: Installed) -> Iterator[None]:
    """What a test that fails leaves of its work in the project goes: the next one counts all that is there."""
    yield
    left = [each["name"] for each in installed.product.json("list", "-p", "team")]
    if left:
        installed.product.run("delete", *left, "-p", "team")
        until_sync(lambda: not installed.objects("pods", "runai-team"))


@pytest.fixture
async def client(real_cluster: Cluster) -> AsyncIterator[Client]:
    """An administrator's client."""
    async with HttpTransport(find({}, str(real_cluster.kubeconfig)), CLOCK) as transport:
        yield Client(transport, CLOCK, Random(3), Limits(call=10, watch=20))


@pytest.fixture
async def namespace(client: Client) -> AsyncIterator[str]:
    """A fresh namespace; when the test ends its pods go, and with them their hold on GPUs."""
    name = f"ns-{next(NUMBERS)}"
    await client.create(NAMESPACE, Namespace(metadata=ObjectMeta(name=name)))
    yield name
    await client.delete(NAMESPACE, name)
    for pod in (await client.list(POD, name)).items:  # the namespace's own end takes longer
        with contextlib.suppress(NotFound):
            await client.delete(POD, pod.metadata.name, name)
    await until(lambda: client.list(POD, name), lambda left: not left.items)
