"""The work queue: coalescing, one at a time a key, errors into waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

import pytest

from fairlead.runtime.clock import VirtualClock
from fairlead.runtime.errors import Conflict, Denied, Retryable
from fairlead.runtime.reconcile import Reconciler
from fairlead.runtime.retry import Backoff

FAST = Backoff(first=1, most=60, jitter=0)


class Handled:
    """A handler that notes when it was called for what, and does as it is told."""

    def __init__(self, clock: VirtualClock, seconds: float = 0.0) -> None:
        self.clock = clock
        self.seconds = seconds
        self.calls: list[tuple[str, float]] = []
        self.active = 0
        self.most_active = 0
        self.outcomes: list[Exception | float | None] = []

    async def __call__(self, key: str) -> float | None:
        self.calls.append((key, self.clock.monotonic()))
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        await self.clock.sleep(self.seconds)
        self.active -= 1
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def _run(handled: Handled, clock: VirtualClock, story: Callable[[Reconciler[str]], object], until: float) -> None:
    async def main() -> None:
        loop = Reconciler("test", handled, clock=clock, rng=Random(1), backoff=FAST, workers=3)
        task = asyncio.create_task(loop.run())
        story(loop)
        await clock.sleep(until)
        assert loop.idle
        task.cancel()
        await asyncio.wait({task})

    clock.run(main())


def test_marks_before_the_work_count_once() -> None:
    clock = VirtualClock()
    handled = Handled(clock)
    _run(handled, clock, lambda loop: loop.mark_all(["a"] * 5 + ["b"]), 1)
    assert sorted(key for key, _ in handled.calls) == ["a", "b"]


def test_a_mark_during_the_work_brings_it_once_more_and_never_at_the_same_time() -> None:
    clock = VirtualClock()
    handled = Handled(clock, seconds=10)

    def story(loop: Reconciler[str]) -> None:
        loop.mark("a")
        for delay in (3, 5, 7):
            asyncio.get_running_loop().call_later(delay, loop.mark, "a")

    _run(handled, clock, story, 60)
    assert [key for key, _ in handled.calls] == ["a", "a"]
    assert handled.most_active == 1


@pytest.mark.parametrize(
    ("outcomes", "times"),
    [
        ([Retryable("x"), Retryable("x"), None], [0, 1, 3]),
        ([Retryable("x", after=30), None], [0, 30]),
        ([Conflict("x"), None], [0, 1]),
        ([ZeroDivisionError("a bug"), None], [0, 1]),
        ([Denied("no")], [0]),
        ([7.0, None], [0, 7]),
    ],
)
def test_an_outcome_decides_when_the_key_is_handled_again(
    outcomes: list[Exception | float | None], times: list[float]
) -> None:
    clock = VirtualClock()
    handled = Handled(clock)
    handled.outcomes = list(outcomes)
    _run(handled, clock, lambda loop: loop.mark("a"), 100)
    assert [at for _, at in handled.calls] == pytest.approx(times)


def test_a_mark_ends_a_wait_and_success_ends_the_back_off() -> None:
    clock = VirtualClock()
    handled = Handled(clock)
    handled.outcomes = [Retryable("x", after=50), None, Retryable("x"), None]

    def story(loop: Reconciler[str]) -> None:
        loop.mark("a")
        for delay in (5, 10):
            asyncio.get_running_loop().call_later(delay, loop.mark, "a")

    _run(handled, clock, story, 100)
    assert [at for _, at in handled.calls] == pytest.approx([0, 5, 10, 11])


def test_the_sooner_of_two_waits_stays() -> None:
    clock = VirtualClock()
    handled = Handled(clock)

    def story(loop: Reconciler[str]) -> None:
        loop.mark_later("a", 20)
        loop.mark_later("a", 5)
        loop.mark_later("a", 40)

    _run(handled, clock, story, 100)
    assert [at for _, at in handled.calls] == pytest.approx([5])
