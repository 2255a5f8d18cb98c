"""The APIs the behaviour is checked on: the embedded store, and real kube-apiservers of two versions where they can be had."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from random import Random
from typing import Any

import msgspec
import pytest
from tests.parts.apiserver import ApiServer, api_server
from tests.parts.build import NEWEST, OLDER, Unavailable

from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.kube.client import Client, Limits
from fairlead.kube.credentials import Credentials
from fairlead.kube.errors import AlreadyExists
from fairlead.kube.http import HttpTransport
from fairlead.kube.transport import Transport
from fairlead.objects.builtin import Namespace
from fairlead.objects.crds import definitions
from fairlead.objects.kinds import CUSTOM_KINDS, CUSTOM_RESOURCE_DEFINITION, NAMESPACE, Kind
from fairlead.objects.meta import ObjectMeta
from fairlead.runtime.clock import SystemClock
from fairlead.runtime.errors import FairleadError

CLOCK = SystemClock()
NUMBERS = itertools.count(1)


ON_EACH = pytest.mark.parametrize("server", [NEWEST, OLDER], indirect=True)
"""For tests of what may differ between versions of Kubernetes; all others run on the newest alone."""


@pytest.fixture(scope="package")
def servers() -> Iterator[Callable[[str], ApiServer]]:
    """Real API servers that know our kinds, by version; each is started when it is first asked for."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def running(version: str) -> ApiServer:
            try:
                ready = stack.enter_context(api_server(version=version))
            except Unavailable as reason:
                pytest.skip(str(reason))
            asyncio.run(_teach(ready))
            return ready

        yield running


@pytest.fixture
def server(request: pytest.FixtureRequest, servers: Callable[[str], ApiServer]) -> ApiServer:
    """The real API server of the newest Kubernetes; of another where the test says so."""
    return servers(getattr(request, "param", NEWEST))


@pytest.fixture
async def real(server: ApiServer) -> AsyncIterator[Transport]:
    """A transport to the real API server."""
    async with _transport(server) as transport:
        yield transport


@pytest.fixture
async def older(servers: Callable[[str], ApiServer]) -> AsyncIterator[Transport]:
    """A transport to one of an older Kubernetes."""
    async with _transport(await asyncio.to_thread(servers, OLDER)) as transport:
        yield transport


@pytest.fixture
def embedded() -> Transport:
    """A transport to an embedded store of its own."""
    return EmbeddedTransport(Store(CLOCK, Random(7), accept_unmanaged=True))


@pytest.fixture(params=["embedded", *(pytest.param(name, marks=pytest.mark.kubernetes) for name in ("real", "older"))])
def api(request: pytest.FixtureRequest) -> Transport:
    """Each of the three in turn."""
    transport: Transport = request.getfixturevalue(request.param)
    return transport


@pytest.fixture
def client(api: Transport) -> Client:
    """A typed client on each of them."""
    return Client(api, CLOCK, Random(3), Limits(call=10, watch=20))


@pytest.fixture
async def namespace(client: Client) -> str:
    """A fresh namespace."""
    name = f"ns-{next(NUMBERS)}"
    await client.create(NAMESPACE, Namespace(metadata=ObjectMeta(name=name)))
    return name


def _transport(server: ApiServer) -> HttpTransport:
    return HttpTransport(Credentials(url=server.url, ca=server.ca, token=server.token), CLOCK)


async def _teach(server: ApiServer) -> None:
    async with _transport(server) as transport:
        client = Client(transport, CLOCK, Random(1))
        for definition in definitions():
            try:
                await client.create(CUSTOM_RESOURCE_DEFINITION, definition)
            except AlreadyExists:
                continue
        for kind in CUSTOM_KINDS:
            await served(client, kind)


async def served(client: Client, kind: Kind[Any]) -> None:
    """Return once a new kind can be listed: the server needs a moment."""
    async with asyncio.timeout(90):
        while True:
            try:
                await client.list(kind)
                return
            except (FairleadError, msgspec.DecodeError):
                await asyncio.sleep(0.1)
