"""How a role lives: its client, its lease where only one may act, what it says of itself, and its end in good order."""

from __future__ import annotations

import platform
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Final, Protocol, TypeVar
from uuid import uuid4

from msgspec import Struct

import fairlead
from fairlead.kube.client import Client, Limits
from fairlead.kube.credentials import find
from fairlead.kube.http import HttpTransport
from fairlead.kube.leases import LeaseObject
from fairlead.runtime.clock import Clock, SystemClock
from fairlead.runtime.health import READY, Health
from fairlead.runtime.instruments import gauge, info
from fairlead.runtime.lease import Leader, LeaseTimes
from fairlead.runtime.settings import Settings, environment
from fairlead.runtime.supervise import Supervisor

_BUILD: Final = info("fairlead_build_info")
LEADING: Final = gauge("fairlead_leader")


class Role(Protocol):
    """What a process does until it is cancelled."""

    async def run(self) -> None:
        """Work."""
        ...


class Parts(Struct, frozen=True, kw_only=True):
    """What a role is made of."""

    client: Client
    clock: Clock
    rng: Random


Make = Callable[[Parts], Role]
R = TypeVar("R", bound=Role)


@asynccontextmanager
async def client_of(settings: Settings) -> AsyncIterator[Client]:
    """A client of the API server, for what is done once."""
    async with _transport(settings) as transport:
        yield _parts(settings, transport).client


async def live(name: str, settings: Settings, make: Make, *, address: str = "") -> None:
    """Run a role beside others of its kind until SIGTERM or SIGINT. `address`: where others reach it while it leads.

    Raises: what finding the API server raises; ExceptionGroup where the health port is taken.
    """
    async with _transport(settings) as transport:
        parts = _parts(settings, transport)
        leader = _leader(name, settings, parts, address)
        LEADING.labels(name).set_function(leader.is_leading)
        await _supervise(name, settings, parts, lambda: _lead_for_ever(leader, make, parts), lambda: READY)


async def live_beside(name: str, settings: Settings, make: Callable[[Parts], R], waits_for: Callable[[R], str]) -> None:
    """Run a role of which any number may act, until SIGTERM or SIGINT. `waits_for`: what it is not ready without."""
    async with _transport(settings) as transport:
        parts = _parts(settings, transport)
        role = make(parts)
        await _supervise(name, settings, parts, role.run, lambda: waits_for(role))


def tell_version(name: str) -> None:
    """Shows which program this process is, and which role."""
    _BUILD.info({"version": fairlead.__version__, "role": name})


async def _lead_for_ever(leader: Leader, make: Make, parts: Parts) -> None:
    """Each time the lease is won the role is made anew: what it knew is old by then."""
    while True:
        await leader.lead(lambda: make(parts).run())


async def _supervise(
    name: str, settings: Settings, parts: Parts, work: Callable[[], Awaitable[None]], waits_for: Callable[[], str]
) -> None:
    tell_version(name)
    tasks = Supervisor(parts.clock, parts.rng)
    tasks.stop_on_signals()
    tasks.add("health", Health(settings.role.health_host, settings.role.health_port, waits_for).run)
    tasks.add(name, work, restart=True)
    await tasks.run()


def _transport(settings: Settings) -> HttpTransport:
    kube = settings.kube
    credentials = find(environment(), kube.kubeconfig, kube.context)
    return HttpTransport(credentials, SystemClock(), connect_seconds=kube.connect_seconds, in_flight=kube.in_flight)


def _parts(settings: Settings, transport: HttpTransport) -> Parts:
    clock, rng = SystemClock(), Random(settings.role.seed or None)
    limits = Limits(call=settings.kube.timeout_seconds, page=settings.kube.page_size)
    return Parts(client=Client(transport, clock, rng, limits), clock=clock, rng=rng)


def _leader(name: str, settings: Settings, parts: Parts, address: str) -> Leader:
    lease, me = settings.lease, settings.role.pod_name or platform.node()
    return Leader(
        LeaseObject(parts.client, f"fairlead-{name}", lease.namespace),
        f"{me}_{address or uuid4().hex[:8]}",
        clock=parts.clock,
        rng=parts.rng,
        times=LeaseTimes(
            duration=lease.duration_seconds, renew_deadline=lease.renew_deadline_seconds, retry=lease.retry_seconds
        ),
    )
