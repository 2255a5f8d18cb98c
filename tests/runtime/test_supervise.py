"""Tasks of a process: ended together, started again where asked."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from fairlead.runtime.clock import VirtualClock
from fairlead.runtime.retry import Backoff
from fairlead.runtime.supervise import Supervisor


def _supervisor(clock: VirtualClock) -> Supervisor:
    return Supervisor(clock, Random(1), Backoff(first=1, jitter=0))


def test_a_failure_ends_all_tasks_and_comes_out() -> None:
    clock = VirtualClock()
    cleaned: list[str] = []

    async def patient() -> None:
        try:
            await clock.sleep(1000)
        finally:
            cleaned.append("patient")

    async def failing() -> None:
        await clock.sleep(5)
        raise ValueError("broken")

    async def main() -> None:
        tasks = _supervisor(clock)
        tasks.add("patient", patient)
        tasks.add("failing", failing)
        await tasks.run()

    with pytest.raises(ExceptionGroup) as caught:
        clock.run(main())
    assert caught.group_contains(ValueError)
    assert cleaned == ["patient"]
    assert clock.monotonic() == pytest.approx(5)


def test_a_restarted_task_is_started_again_with_growing_waits() -> None:
    clock = VirtualClock()
    starts: list[float] = []

    async def flaky() -> None:
        starts.append(clock.monotonic())
        if len(starts) < 4:
            raise ValueError("again")

    async def main() -> None:
        tasks = _supervisor(clock)
        tasks.add("flaky", flaky, restart=True)
        await tasks.run()
        assert tasks.failing() == {"flaky": "it failed: ValueError: again"}
        await clock.sleep(3600)
        assert tasks.failing() == {}

    clock.run(main())
    assert starts == pytest.approx([0, 1, 3, 7])


def test_stop_ends_everything_and_tasks_can_be_added_meanwhile() -> None:
    clock = VirtualClock()
    seen: list[str | None] = []

    async def worker() -> None:
        task = asyncio.current_task()
        seen.append(task.get_name() if task else None)
        await clock.sleep(10_000)

    async def main() -> None:
        tasks = _supervisor(clock)

        async def first() -> None:
            tasks.add("late", worker)
            await clock.sleep(3)
            tasks.stop()
            await clock.sleep(10_000)

        tasks.add("first", first)
        await tasks.run()

    clock.run(main())
    assert seen == ["late"]
    assert clock.monotonic() == pytest.approx(3)
