"""Leadership: never two at once, and never for long nobody."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from random import Random

import msgspec
import pytest

from fairlead.runtime.clock import VirtualClock
from fairlead.runtime.errors import Conflict, Unreachable
from fairlead.runtime.lease import Leader, LeaseRecord


class Shelf:
    """A lease kept in memory, which can be put out of reach for some."""

    def __init__(self) -> None:
        self.record: LeaseRecord | None = None
        self.version = 0

    def write(self, record: LeaseRecord) -> LeaseRecord:
        if record.version != (self.record.version if self.record else ""):
            raise Conflict("changed")
        self.version += 1
        self.record = msgspec.structs.replace(record, version=str(self.version))
        return self.record


class Door:
    """One process's way to the shelf."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.open = True

    async def read(self) -> LeaseRecord | None:
        if not self.open:
            raise Unreachable("no way")
        return self.shelf.record

    async def write(self, record: LeaseRecord) -> LeaseRecord:
        if not self.open:
            raise Unreachable("no way")
        return self.shelf.write(record)


class Process:
    """A campaigner that notes when it led."""

    def __init__(self, name: str, shelf: Shelf, clock: VirtualClock) -> None:
        self.door = Door(shelf)
        self.clock = clock
        self.leader = Leader(self.door, name, clock=clock, rng=Random(name))
        self.spans: list[list[float]] = []

    async def work(self) -> None:
        self.spans.append([self.clock.monotonic(), -1.0])
        try:
            while True:
                await self.clock.sleep(0.5)
                if self.leader.is_leading():
                    self.spans[-1][1] = self.clock.monotonic()
        finally:
            self.spans[-1][1] = max(self.spans[-1])

    async def live(self) -> None:
        while True:
            await self.leader.lead(self.work)


def _simulate(story: dict[float, tuple[int, bool]], until: float) -> list[Process]:
    clock, shelf = VirtualClock(), Shelf()
    processes = [Process(name, shelf, clock) for name in ("a", "b")]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for at, (index, is_open) in story.items():
            loop.call_later(at, setattr, processes[index].door, "open", is_open)
        tasks = [asyncio.create_task(process.live()) for process in processes]
        await clock.sleep(until)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    clock.run(main())
    return processes


def test_one_leads_as_long_as_it_can_renew() -> None:
    first, second = _simulate({}, 300)
    spans = first.spans + second.spans
    assert len(spans) == 1
    assert spans[0][1] - spans[0][0] > 290


def test_a_leader_cut_off_stops_before_the_other_begins() -> None:
    handovers = 0
    for index in (0, 1):  # one of the two leads, and is cut off in its turn
        processes = _simulate({100.0: (index, False), 200.0: (index, True)}, 300)
        spans = sorted(span for process in processes for span in process.spans)
        handovers += len(spans) - 1
        assert all(0 < after[0] - before[1] < 20 for before, after in pairwise(spans))
        assert spans[-1][1] > 290
    assert handovers == 1


def test_a_leader_that_ends_hands_the_lease_over_at_once() -> None:
    clock, shelf = VirtualClock(), Shelf()
    first, second = Process("a", shelf, clock), Process("b", shelf, clock)

    async def main() -> None:
        leading = asyncio.create_task(first.live())
        await clock.sleep(20)
        waiting = asyncio.create_task(second.live())
        await clock.sleep(20)
        leading.cancel()
        await asyncio.wait({leading})
        await clock.sleep(5)
        waiting.cancel()
        await asyncio.wait({waiting})

    clock.run(main())
    assert second.spans[0][0] - first.spans[0][1] < 4


def test_a_failure_of_the_work_comes_out_and_gives_the_lease_back() -> None:
    clock, shelf = VirtualClock(), Shelf()
    leader = Leader(Door(shelf), "a", clock=clock, rng=Random(1))

    async def work() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        clock.run(leader.lead(work))
    assert shelf.record is not None
    assert shelf.record.holder == ""
