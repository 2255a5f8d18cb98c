"""What the scheduler learns of the requests it sees."""

from __future__ import annotations

import asyncio

from tests.build import a_class
from tests.cluster.build import Bench
from tests.cluster.scheduler.test_scheduler_role import a_queue, asks

from fairlead.cluster.scheduler.learned import HALF_LIFE, MOST, Learned
from fairlead.cluster.scheduler.main import Scheduler
from fairlead.model import Plan, Policy, Snapshot


def shares(learned: Learned, pool: str = "default") -> dict[int, float]:
    """Devices asked -> share of the requests."""
    return {row[0].devices: row[3] for row in learned.demand(pool)}


def test_what_was_asked_long_ago_counts_less() -> None:
    learned = Learned()
    for day in range(2):
        learned.saw("default", a_class(1), 0.0 + day)
    learned.saw("default", a_class(8), HALF_LIFE)
    found = shares(learned)
    assert abs(found[1] - 0.5) < 0.01
    assert abs(found[8] - 0.5) < 0.01


def test_pods_without_gpus_and_other_pools_do_not_count() -> None:
    learned = Learned()
    learned.saw("default", a_class(0, cpu=4000), 0.0)
    learned.saw("other", a_class(2), 0.0)
    assert (learned.demand("default"), shares(learned, "other")) == ((), {2: 1.0})


def test_it_stays_the_same_until_enough_new_ones_came() -> None:
    learned = Learned()
    learned.saw("default", a_class(1), 0.0)
    first = learned.demand("default")
    for number in range(19):
        learned.saw("default", a_class(2), float(number))
        assert learned.demand("default") is first
    learned.saw("default", a_class(2), 20.0)
    assert set(shares(learned)) == {1, 2}


def test_it_remembers_a_bounded_number_of_kinds() -> None:
    learned = Learned()
    for number in range(3 * MOST):
        learned.saw("default", a_class(1, cpu=number), float(number))
    assert 0 < len(learned.demand("default")) <= MOST


def test_a_scheduler_that_starts_again_knows_what_the_pods_tell_it() -> None:
    bench, seen = Bench(), list[Snapshot]()

    def note(snapshot: Snapshot, _policy: Policy, _plan: Plan, _now: float) -> None:
        seen.append(snapshot)

    async def story() -> None:
        await bench.a_node("n1")
        await a_queue(bench, "team")
        for number in range(3):
            await asks(bench, f"one-{number}", 1)
        await asks(bench, "four", 4)
        for _ in range(2):
            scheduler = Scheduler(bench.shaky, bench.clock)
            scheduler.witness = note
            running = asyncio.create_task(scheduler.run())
            await bench.clock.sleep(30)
            running.cancel()

    bench.run(story)
    found = [{row[0].devices: round(row[3], 2) for row in snapshot.demand} for snapshot in (seen[0], seen[-1])]
    assert found == [{1: 0.75, 4: 0.25}, {1: 0.75, 4: 0.25}]


def test_pods_that_differ_only_in_their_company_are_one_kind() -> None:
    learned = Learned()
    for app in ("a", "b"):
        learned.saw("default", a_class(1, labels=(("app", app),)), 0.0)
    assert [row[3] for row in learned.demand("default")] == [1.0]
