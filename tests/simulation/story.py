"""The life of one simulated cluster: bad times and quiet ones in turn, watched all the while."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from tests.simulation import checks
from tests.simulation.people import People
from tests.simulation.world import BAD, CRASH, RESERVATIONS, Cluster

from fairlead.kube.faulty import Faults
from fairlead.model import Plan, Policy, Snapshot
from fairlead.objects import kinds
from fairlead.objects.builtin import Namespace
from fairlead.objects.meta import ObjectMeta
from fairlead.scheduling.invariants import violations

ROUND_SECONDS = 2000.0
QUIET_SECONDS = 300.0
"""Simulated seconds after which everything must have settled once faults have ended."""
AGAIN = 0.05
"""Part of the decisions that are made twice, and once more on the planned state."""
STABLE = "evicts-again"
"""Rule counted, not failed on: it is held, and searched for counterexamples, by tests/scheduling/test_properties.py."""


@dataclass(frozen=True)
class Lived:
    """What a story came to: what was found wrong, and how much happened."""

    wrong: list[str]
    cycles: int
    unstable: int
    acts: dict[str, int]
    injected: dict[str, int]


def live(seed: int, hours: float) -> Lived:
    """A cluster of that seed, for that long or until something is wrong."""
    story = Story(seed)
    story.run(hours)
    return Lived(story.wrong, story.cycles, story.unstable, story.people.acts, story.cluster.injected())


@dataclass
class Story:
    """One simulated cluster and what was found wrong with it."""

    seed: int
    wrong: list[str] = field(default_factory=list)
    cycles: int = 0
    unstable: int = 0

    def __post_init__(self) -> None:
        self.cluster = Cluster(self.seed, witness=self._witness)
        self.rng = Random(self.seed + 1)
        self.people = People(self.cluster, Random(self.seed + 2))

    def run(self, hours: float) -> None:
        """Live that long; stop at the first thing that is wrong."""
        self.cluster.clock.run(self._run(hours * 3600))

    async def _run(self, seconds: float) -> None:
        await self._begin()
        end = self.cluster.clock.now() + seconds
        while self.cluster.clock.now() < end and not self.wrong:
            await self._bad_times()
            await self._quiet()
        await self._end()

    async def _end(self) -> None:
        await self.cluster.stop()

    async def _begin(self) -> None:
        await self.cluster.client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name=RESERVATIONS)))
        self.cluster.start()
        await self.people.found()

    def weather(self, faults: Faults, crashes: float) -> None:
        """How bad the times are from now on."""
        self.cluster.weather(faults, crashes)

    async def _settled(self) -> list[str]:
        """What is wrong although nothing disturbs any more."""
        return await checks.settled(self.people)

    async def _bad_times(self) -> None:
        clock = self.cluster.clock
        self.weather(BAD, CRASH)
        end = clock.now() + ROUND_SECONDS
        while clock.now() < end and not self.wrong:
            await self.people.act()
            await clock.sleep(self.rng.expovariate(1 / 40))
            await self.people.tend()
            self._blame(await checks.look(self.cluster.client))

    async def _quiet(self) -> None:
        self.weather(Faults(), 0.0)
        await self.people.tend(everything=True)
        await self.cluster.clock.sleep(QUIET_SECONDS)
        for _ in range(20):
            found = await self._settled()
            if not found:
                return
            await self.cluster.clock.sleep(1.0)  # something may just have ended
        self._blame(found)

    def _blame(self, found: list[str]) -> None:
        found += [bug for process in self.cluster.processes.values() for bug in process.bugs]
        self.wrong += [f"{self.cluster.clock.monotonic():.3f} s: {text}" for text in found]

    def _witness(self, snapshot: Snapshot, policy: Policy, plan: Plan, now: float) -> None:
        self.cycles += 1
        if plan.commands or self.rng.random() < 0.05:
            found = violations(snapshot, policy, now, plan, again=self.rng.random() < AGAIN)
            self.unstable += any(v.rule == STABLE for v in found)
            self._blame([str(v) for v in found if v.rule != STABLE])
