"""A small cluster in simulated time: every role on the embedded store, each behind a transport that fails on purpose.

A role ends when a `Crash` strikes between any two of its calls, and is started again a while later, as a process would be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from fairlead.cluster.controllers.main import Controllers, ControllersOptions
from fairlead.cluster.controllers.reservations import ReservationOptions
from fairlead.cluster.scheduler.main import Scheduler, SchedulerOptions
from fairlead.cluster.scheduler.world import WorldOptions
from fairlead.embedded.nodes.kubelet import Kubelet
from fairlead.embedded.nodes.machine import NodeSpec, simulated_nodes
from fairlead.embedded.nodes.simulated import SimulatedRuntime
from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.kube.client import Client
from fairlead.kube.faulty import Crash, Faults, FaultyTransport, Moment
from fairlead.kube.transport import Request
from fairlead.runtime.clock import VirtualClock
from fairlead.runtime.errors import FairleadError

BAD = Faults(
    conflict=0.02,
    throttled=0.01,
    broken=0.01,
    lost=0.02,
    refused_watch=0.05,
    cut=0.02,
    expired=0.01,
    doubled=0.03,
    late=0.03,
    late_seconds=5.0,
)
CRASH = 0.002
"""Chance of the end of a process at each of its calls, before it is done and after."""
RESERVATIONS = "fairlead-reservation"
DESCRIPTION = ("2x4", "2x2", "1x8")
"""Machines: each line of nodes is one process, lost and found together."""


class Role(Protocol):
    """What can be run."""

    async def run(self) -> None:
        """Runs until cancelled."""
        ...


@dataclass
class Process:
    """A role that is started again whenever it has ended."""

    name: str
    make: Callable[[Client], Role]
    clock: VirtualClock
    rng: Random
    transport: FaultyTransport = field(init=False)
    client: Client = field(init=False)
    crashes: float = 0.0
    dead: bool = False
    stopped: bool = False
    """Asked to end for good: a crash on the way, which may swallow the cancellation, does not start it again."""
    task: asyncio.Task[None] | None = None
    ended: dict[str, int] = field(default_factory=dict)
    """How often it ended, by why."""
    bugs: list[str] = field(default_factory=list)

    def connect(self, store: Store) -> None:
        """Its own connection to the API."""
        self.transport = FaultyTransport(EmbeddedTransport(store), self.rng, self.clock, Faults(), self._crash)
        self.client = Client(self.transport, self.clock, self.rng)

    def start(self) -> None:
        """Have it run from now on."""
        self.stopped = False
        self.task = asyncio.create_task(self._live(), name=self.name)

    async def stop(self) -> None:
        """End it until `start`."""
        if self.task is not None:
            self.dead = self.stopped = True
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
            self.task = None

    def _crash(self, moment: Moment, request: Request) -> None:
        if self.dead or (self.crashes and self.rng.random() < self.crashes):
            self.dead = True
            raise Crash(f"{self.name} ends {moment} {request.method} {request.path}")

    async def _live(self) -> None:
        while not self.stopped:
            self.dead = False
            try:
                await self.make(self.client).run()
                self.bugs.append(f"{self.name} returned")
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # noqa: BLE001  # the simulated operating system
                for one in _leaves(error):
                    self._note(one)
            self.dead = True
            if not self.stopped:
                await self.clock.sleep(0.1 + 15 * self.rng.random())

    def _note(self, error: BaseException) -> None:
        why = type(error).__name__
        self.ended[why] = self.ended.get(why, 0) + 1
        if not isinstance(error, Crash | FairleadError):
            self.bugs.append(f"{self.name} failed: {error!r}")


@dataclass
class Cluster:
    """The store, the roles and the machines."""

    seed: int
    clock: VirtualClock = field(default_factory=VirtualClock)
    processes: dict[str, Process] = field(default_factory=dict)
    nodes: dict[str, tuple[NodeSpec, ...]] = field(default_factory=dict)
    runtimes: dict[str, SimulatedRuntime] = field(default_factory=dict)
    scheduler: Scheduler | None = None
    witness: Any = None

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.store = Store(self.clock, Random(self.rng.random()))
        self.client = Client(EmbeddedTransport(self.store), self.clock, Random(self.rng.random()))
        self.reserves = self.seed % 4 < 2
        """Whether reservation pods hold shared devices, as on a cluster, or the nodes share them out themselves."""
        self.add("controllers", self._controllers)
        self.add("scheduler", self._scheduler)
        for number, text in enumerate(DESCRIPTION):
            name = f"machine-{number}"
            self.nodes[name] = tuple(_renamed(spec, f"m{number}-{spec.name}") for spec in simulated_nodes(text))
            self.runtimes[name] = SimulatedRuntime(self.clock)
            self.add(name, lambda client, name=name: self._kubelet(client, name))

    def start(self) -> None:
        """Start every process."""
        for process in self.processes.values():
            process.start()

    async def stop(self) -> None:
        """End every process."""
        for process in self.processes.values():
            await process.stop()

    def weather(self, faults: Faults, crashes: float) -> None:
        """How bad the times are from now on."""
        for process in self.processes.values():
            process.transport.faults = faults
            process.crashes = crashes

    def injected(self) -> dict[str, int]:
        """How often each fault struck, and how often processes ended."""
        found: dict[str, int] = {}
        for process in self.processes.values():
            for why, count in (*process.transport.injected.items(), *process.ended.items()):
                found[why] = found.get(why, 0) + count
        return found

    def add(self, name: str, make: Callable[[Client], Role]) -> None:
        """One more role."""
        process = Process(name, make, self.clock, self._fork())
        process.connect(self.store)
        self.processes[name] = process

    def _fork(self) -> Random:
        return Random(self.rng.random())

    def _controllers(self, client: Client) -> Role:
        reservations = ReservationOptions(namespace=RESERVATIONS, image="any", timeout=60.0)
        options = ControllersOptions(reservations=reservations if self.reserves else None)
        return Controllers(client, self.clock, self._fork(), options)

    def _scheduler(self, client: Client) -> Role:
        world = WorldOptions(has_binder=self.reserves, reservation_namespaces=(RESERVATIONS,))
        self.scheduler = Scheduler(client, self.clock, SchedulerOptions(world=world, longest=60.0))
        self.scheduler.witness = self.witness
        return self.scheduler

    def _kubelet(self, client: Client, name: str) -> Role:
        return Kubelet(client, self.clock, self._fork(), self.nodes[name], {"simulated": self.runtimes[name]})


def _renamed(spec: NodeSpec, name: str) -> NodeSpec:
    from msgspec.structs import replace

    return replace(spec, name=name, cpu_milli=16_000, memory_bytes=64 << 30)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
