"""The scheduler as a process."""

from __future__ import annotations

import asyncio

from fairlead.cli.roles.process import Parts, live
from fairlead.cli.roles.settings import RoleTree
from fairlead.cluster.scheduler.door import Door
from fairlead.cluster.scheduler.main import Scheduler, SchedulerOptions
from fairlead.cluster.scheduler.world import WorldOptions
from fairlead.kube.client import Client
from fairlead.runtime.instruments import serving


class _Told:
    """A scheduler that tells the agent why, and Prometheus what there is."""

    def __init__(self, scheduler: Scheduler, client: Client, settings: RoleTree) -> None:
        mine = settings.scheduler
        self._scheduler = scheduler
        self._door = Door(client, scheduler, mine.explain_port, mine.explain_for)

    async def run(self) -> None:
        measured = self._scheduler.measured
        with serving(measured.samples, *measured.names):
            await self._run()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._door.run(), name="scheduler.door")
            group.create_task(self._scheduler.run(), name="scheduler.decide")


async def main(settings: RoleTree) -> None:
    """Runs until a signal; one of them acts at a time."""
    world = WorldOptions(
        scheduler_names=settings.scheduler.names,
        has_binder=True,
        reservation_namespaces=(settings.reservation.namespace, *settings.reservation.foreign_namespaces),
    )
    options = SchedulerOptions(world=world, shadow=settings.scheduler.mode == "shadow")

    def make(parts: Parts) -> _Told:
        return _Told(Scheduler(parts.client, parts.clock, options), parts.client, settings)

    host = f"[{settings.role.pod_ip}]" if ":" in settings.role.pod_ip else settings.role.pod_ip
    await live("scheduler", settings, make, address=f"{host}:{settings.scheduler.explain_port}")
