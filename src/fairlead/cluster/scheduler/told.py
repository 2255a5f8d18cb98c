"""What people read of decisions, written beside them so that no decision waits for it: events, reasons, statuses of queues."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from fairlead.cluster.scheduler.apply import Applier, Known
from fairlead.cluster.scheduler.queues import QueueStatuses
from fairlead.cluster.scheduler.verdicts import Verdicts
from fairlead.model import Outcome, Plan, Quota, Snapshot


class _News(Struct, frozen=True, kw_only=True):
    """The newest decision of a node pool, and the newest outcome of each group of the decisions before it."""

    snapshot: Snapshot
    known: Known
    fair_share: tuple[tuple[str, Quota], ...]
    outcomes: dict[str, Outcome]


class Told:
    """The one that writes them. What a newer decision has overtaken is not written."""

    def __init__(self, applier: Applier, verdicts: Verdicts, queues: QueueStatuses) -> None:
        self._applier = applier
        self._verdicts = verdicts
        self._queues = queues
        self._news: dict[str, _News] = {}
        self._is_new = asyncio.Event()

    def note(self, pool: str, snapshot: Snapshot, plan: Plan, known: Known) -> None:
        """Has it written soon."""
        outcomes: dict[str, Outcome] = dict(self._news[pool].outcomes) if pool in self._news else {}
        outcomes |= {each.group: each for each in plan.outcomes}
        self._news[pool] = _News(snapshot=snapshot, known=known, fair_share=plan.fair_share, outcomes=outcomes)
        self._is_new.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._is_new.wait()
            self._is_new.clear()
            await self._applier.tell()
            for pool in sorted(self._news):
                news = self._news.pop(pool)
                await self._verdicts.write(pool, news.outcomes.values(), news.known)
                await self._queues.write(news.snapshot, news.fair_share)
