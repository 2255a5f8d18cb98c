"""Simulated time passes only when everybody waits."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.runtime.clock import Stalled, VirtualClock


def test_sleeps_take_no_real_time_and_happen_in_order() -> None:
    clock = VirtualClock()
    heard: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        heard.append((name, clock.monotonic()))

    async def main() -> float:
        async with asyncio.TaskGroup() as group:
            for name, seconds in (("day", 86_400.0), ("hour", 3_600.0), ("second", 1.0)):
                group.create_task(sleeper(name, seconds))
        return clock.now() - VirtualClock.START

    assert clock.run(main()) == pytest.approx(86_400)
    assert [name for name, _ in heard] == ["second", "hour", "day"]


def test_timeouts_strike_in_simulated_time() -> None:
    clock = VirtualClock()

    async def main() -> None:
        async with asyncio.timeout(600):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        clock.run(main())
    assert clock.monotonic() == pytest.approx(600)


def test_work_for_threads_runs_at_once() -> None:
    clock = VirtualClock()

    async def main() -> int:
        return await asyncio.to_thread(lambda: 42)

    assert clock.run(main()) == 42
    assert clock.monotonic() == 0


def test_a_world_in_which_nothing_can_happen_is_named() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stalled):
        VirtualClock().run(main())
