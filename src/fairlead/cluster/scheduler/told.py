"""What people read of decisions, written beside them so that no decision waits for it: events, reasons, statuses of queues."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from fairlead.cluster.scheduler.apply import Applier, Known
from fairlead.cluster.scheduler.queues import QueueStatuses
from fairlead.cluster.scheduler.verdicts import Verdicts
from fairlead.model import Outcome, Plan, Quota, Snapshot
from fairlead.runtime.clock import Clock

QUEUES_SECONDS = 1.0
"""At least so long from one writing of queue statuses to the next: they follow the time, not the number of pods."""


class _News(Struct, frozen=True, kw_only=True):
    """The objects of the newest decision of a node pool, and the newest outcome of each group of the decisions before it."""

    known: Known
    outcomes: dict[str, Outcome]


class Told:
    """The one that writes them. What a newer decision has overtaken is not written."""

    def __init__(self, applier: Applier, verdicts: Verdicts, queues: QueueStatuses, clock: Clock) -> None:
        self._applier = applier
        self._clock = clock
        self._verdicts = verdicts
        self._queues = queues
        self._news: dict[str, _News] = {}
        self._use: dict[str, tuple[Snapshot, tuple[tuple[str, Quota], ...]]] = {}
        self._is_new, self._has_use = asyncio.Event(), asyncio.Event()

    def note(self, pool: str, snapshot: Snapshot, plan: Plan, known: Known) -> None:
        """Has it written soon."""
        outcomes: dict[str, Outcome] = dict(self._news[pool].outcomes) if pool in self._news else {}
        outcomes |= {each.group: each for each in plan.outcomes}
        self._news[pool] = _News(known=known, outcomes=outcomes)
        self._use[pool] = (snapshot, plan.fair_share)
        self._is_new.set()
        self._has_use.set()

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell_of_work(), name="scheduler.told.work")
            group.create_task(self._tell_of_queues(), name="scheduler.told.queues")

    async def _tell_of_work(self) -> None:
        while True:
            await self._is_new.wait()
            self._is_new.clear()
            await self._applier.tell()
            for pool in sorted(self._news):
                news = self._news.pop(pool)
                await self._verdicts.write(pool, news.outcomes.values(), news.known)
            await self._applier.tell()

    async def _tell_of_queues(self) -> None:
        while True:
            await self._has_use.wait()
            self._has_use.clear()
            for pool in sorted(self._use):
                await self._queues.write(*self._use.pop(pool))
            await self._clock.sleep(QUEUES_SECONDS)
