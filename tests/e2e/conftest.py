"""The whole path on the embedded store, and on a real kube-apiserver where one can be had."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path as Folder
from random import Random

import msgspec
import pytest
from tests.e2e.path import CLOCK, Path, whole_path
from tests.parts.apiserver import ApiServer, api_server
from tests.parts.build import Unavailable

from fairlead.embedded.nodes.kubelet import Kubelet
from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.kube.client import Client
from fairlead.kube.credentials import Credentials
from fairlead.kube.errors import AlreadyExists
from fairlead.kube.http import HttpTransport
from fairlead.objects import kinds
from fairlead.objects.crds import definitions
from fairlead.objects.kinds import CUSTOM_KINDS, CUSTOM_RESOURCE_DEFINITION
from fairlead.runtime.errors import FairleadError


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """A real API server that knows our kinds and notes every call."""
    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(api_server(audit=True))
        except Unavailable as reason:
            pytest.skip(str(reason))
        asyncio.run(_teach(running))
        yield running


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.kubernetes)])
def real(request: pytest.FixtureRequest) -> ApiServer | None:
    """The real API server, or None for the embedded store, in turn."""
    found: ApiServer | None = request.getfixturevalue("server") if request.param == "real" else None
    return found


@pytest.fixture
async def path(real: ApiServer | None) -> AsyncIterator[Path]:
    """Everything running, on each of the two."""
    rng = Random(11)
    with tempfile.TemporaryDirectory(prefix="fairlead-path-") as name:
        folder = Folder(name)
        if real is not None:
            async with transport_to(real) as transport, whole_path(transport, folder, rng, None) as found:
                yield found
                await _sweep(found.roles.client)
            return
        store = Store(CLOCK, rng)

        def attach(kubelet: Kubelet) -> None:
            store.door = kubelet

        async with whole_path(EmbeddedTransport(store), folder, rng, attach) as found:
            yield found


def transport_to(server: ApiServer) -> HttpTransport:
    """A connection as the administrator."""
    return HttpTransport(Credentials(url=server.url, ca=server.ca, token=server.token), CLOCK)


async def _sweep(client: Client) -> None:
    """Leave nothing of ours on the shared server: without a controller manager nobody else collects it."""
    for kind in CUSTOM_KINDS:
        for item in (await client.list(kind)).items:
            with contextlib.suppress(FairleadError):
                await client.delete(kind, item.metadata.name, item.metadata.namespace)
    for pod in (await client.list(kinds.POD)).items:
        with contextlib.suppress(FairleadError):
            await client.delete(kinds.POD, pod.metadata.name, pod.metadata.namespace, grace_seconds=0)


async def _teach(server: ApiServer) -> None:
    async with transport_to(server) as transport:
        client = Client(transport, CLOCK, Random(1))
        for definition in definitions():
            with contextlib.suppress(AlreadyExists):
                await client.create(CUSTOM_RESOURCE_DEFINITION, definition)
        for kind in CUSTOM_KINDS:
            async with asyncio.timeout(90):
                while True:
                    try:
                        await client.list(kind)
                        break
                    except (FairleadError, msgspec.DecodeError):
                        await asyncio.sleep(0.1)
