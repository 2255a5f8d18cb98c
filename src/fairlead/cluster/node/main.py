"""The node role: one on each node with GPUs.

It has no say in anything: it reads the kubelet and the driver, and writes down what they say. While it is away shared devices that are in
use go on, and new ones wait. Where MPS is on it also keeps the daemons of shared devices; those end with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import msgspec
from msgspec import Struct

from fairlead.cluster.node import machine
from fairlead.cluster.node.daemon import MpsOptions
from fairlead.cluster.node.driver import Reading, read
from fairlead.cluster.node.mps import Mps
from fairlead.cluster.node.report import NO_MPS, reserved, status_of, untold
from fairlead.cluster.node.series import Devices
from fairlead.kube import podresources
from fairlead.kube.cache import Cache
from fairlead.kube.client import Client
from fairlead.kube.errors import AlreadyExists
from fairlead.objects import fields, kinds
from fairlead.objects.json import JsonObject
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.organisation import NodeReport, NodeReportStatus
from fairlead.objects.pod import Pod, has_ended
from fairlead.objects.times import text_of
from fairlead.runtime.clock import Clock
from fairlead.runtime.errors import Conflict, FairleadError, NotFound
from fairlead.runtime.logs import logger


class NodeOptions(Struct, frozen=True, kw_only=True):
    """Which node, and how often it looks. Units: seconds."""

    node: str
    reservations: str = "fairlead-reservation"
    """Namespace of the reservation pods."""
    socket: str = podresources.SOCKET
    soon: float = 0.5
    """Between looks at the kubelet while a reservation pod waits to be told its device."""
    report: float = 10.0
    """Between looks at the driver."""
    mps: MpsOptions | None = None
    """How MPS daemons are run; None for no MPS."""


class NodeAgent:
    """Runs until cancelled."""

    def __init__(
        self, client: Client, clock: Clock, rng: Random, options: NodeOptions, driver: Callable[[], Reading] = read
    ) -> None:
        self._client = client
        self._clock = clock
        self._options = options
        self._driver = driver
        where = f"spec.nodeName={options.node}"
        self._pods: Cache[Pod] = Cache(client, kinds.POD, options.reservations, fields=where)
        self._changed = asyncio.Event()
        self._pods.on_change(lambda _key, _before, _after: self._changed.set())
        self._mps = Mps(options.mps, clock, rng, self._changed.set) if options.mps else None
        self._written: NodeReportStatus | None = None
        self.devices = Devices(options.node, clock.now())
        self.has_told = False
        """Whether the kubelet has answered, and what was written before on reservation pods is put right."""
        self._log = logger("node", node=options.node)

    async def run(self) -> None:
        """Tell devices as they are given, and report now and then."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pods.run(), name="node.cache.pods")
            await self._pods.synced.wait()
            if self._mps is not None:
                group.create_task(self._mps.run(), name="node.mps")
            group.create_task(self._report_for_ever(), name="node.report")
            group.create_task(self._tell_for_ever(), name="node.tell")

    async def _tell_for_ever(self) -> None:
        while True:
            self._changed.clear()
            waiting = await self._guarded(self._tell)
            try:
                async with asyncio.timeout(self._options.soon if waiting else self._options.report):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _report_for_ever(self) -> None:
        while True:
            await self._guarded(self._report)
            await self._clock.sleep(self._options.report)

    async def _guarded(self, work: Callable[[], Awaitable[object]]) -> bool:
        """What the work says; a failure is reported, and tried again soon."""
        try:
            return bool(await work())
        except FairleadError as error:
            self._log.warning("node.again", code=error.code, message=str(error))
            return True

    async def _tell(self) -> bool:
        """Writes on each reservation pod which device it got, and of its daemon; True while one waits to be told its device."""
        given = await podresources.devices(fields.GPU_RESOURCE, self._options.socket)
        if self._mps is not None:
            self._mps.keep({device for _, device in reserved(self._pods.values(), given)})
        for pod, notes in untold(self._pods.values(), given, self._mps.of if self._mps else lambda _: NO_MPS):
            meta = pod.metadata
            patch: JsonObject = {"metadata": {"annotations": notes}}
            try:
                await self._client.patch(kinds.POD, meta.name, patch, meta.namespace, uid=meta.uid)
            except (NotFound, Conflict):
                continue
            self._log.info("reservation.told", pod=meta.name, **notes)
        self.has_told = True
        live = [p for p in self._pods.values() if not has_ended(p)]
        return any(fields.RESERVED_DEVICE not in p.metadata.annotations for p in live)

    async def _report(self) -> None:
        """The node's report, where it says something new."""
        reading = await asyncio.to_thread(self._driver)
        given = await podresources.allocatable(fields.GPU_RESOURCE, self._options.socket)
        holders = await podresources.devices(fields.GPU_RESOURCE, self._options.socket)
        missing = self._mps.findings() if self._mps else None
        status = status_of(reading, given, holders, self._pods.values(), missing)
        self.devices.note(status, self._clock.now(), machine.look())
        if status == self._written:
            return
        dated = msgspec.structs.replace(status, observed_at=text_of(self._clock.now()))
        name = self._options.node
        try:
            await self._client.create(kinds.NODE_REPORT, NodeReport(metadata=ObjectMeta(name=name), status=dated))
        except AlreadyExists:
            await self._client.patch(kinds.NODE_REPORT, name, {"status": {**_EMPTY, **msgspec.to_builtins(dated)}})
        self._written = status


_EMPTY: JsonObject = {
    name: None for name in ("driverVersion", "cudaVersion", "enforcement", "devices", "findings", "simulated")
}
"""Fields left out because they hold their default must be removed by the merge patch, not kept."""
