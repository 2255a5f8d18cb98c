"""Leadership by Lease objects on a bad network: never two leaders at once, and somebody again once it is over."""

from __future__ import annotations

import asyncio
from functools import partial
from random import Random

import pytest

from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.kube.client import Client, Limits
from fairlead.kube.faulty import Faults, FaultyTransport
from fairlead.kube.leases import LeaseObject
from fairlead.runtime.clock import VirtualClock
from fairlead.runtime.lease import Leader
from fairlead.runtime.retry import Backoff

BAD = Faults(conflict=0.1, throttled=0.1, broken=0.2, lost=0.3)
GONE = Faults(broken=1.0)


class Campaign:
    """Three processes that want to lead, each with a network of its own."""

    def __init__(self, seed: int) -> None:
        self.clock, self.rng = VirtualClock(), Random(seed)
        inner = EmbeddedTransport(Store(self.clock, Random(seed)))
        self.nets = {name: FaultyTransport(inner, self.rng, self.clock, BAD) for name in ("a", "b", "c")}
        self.leading: dict[str, Leader] = {}
        self.terms: list[str] = []

    async def live(self, name: str) -> None:
        """Lead whenever possible."""
        client = Client(self.nets[name], self.clock, self.rng, Limits(call=5, backoff=Backoff(tries=2)))
        while True:
            leader = Leader(LeaseObject(client, "test", "default"), name, clock=self.clock, rng=self.rng)
            await leader.lead(partial(self.work, name, leader))

    async def work(self, name: str, leader: Leader) -> None:
        """Look around while leading."""
        self.leading[name] = leader
        self.terms.append(name)
        try:
            while True:
                assert sum(found.is_leading() for found in self.leading.values()) <= 1
                await self.clock.sleep(0.3)
        finally:
            del self.leading[name]

    async def story(self) -> None:
        """Twenty minutes of changing weather, then calm."""
        tasks = [asyncio.create_task(self.live(name)) for name in self.nets]
        for _ in range(20):
            await self.clock.sleep(60)
            for net in self.nets.values():
                net.faults = self.rng.choice((BAD, GONE, Faults()))
        for net in self.nets.values():
            net.faults = Faults()
        await self.clock.sleep(120)
        assert len(self.leading) == 1
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)


@pytest.mark.parametrize("seed", range(10))
def test_two_never_lead_at_once_and_one_leads_in_the_end(seed: int) -> None:
    campaign = Campaign(seed)
    campaign.clock.run(campaign.story())
    assert len(campaign.terms) > 1
