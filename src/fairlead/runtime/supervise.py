"""The tasks of a process: named, owned by one group, ended together."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from random import Random

from fairlead.runtime.clock import Clock
from fairlead.runtime.logs import logger
from fairlead.runtime.retry import FOREVER, Backoff

Work = Callable[[], Awaitable[None]]


class Supervisor:
    """Runs named tasks until `stop`, or until one that may not fail fails.

    `add` before or while `run` is under way. A task added with `restart=True` is started again after a failure, with
    back-off; any other failure ends all tasks and comes out of `run`. A task that returns is done.
    """

    def __init__(self, clock: Clock, rng: Random, backoff: Backoff = FOREVER) -> None:
        self._clock = clock
        self._rng = rng
        self._backoff = backoff
        self._waiting: list[tuple[str, Work, bool]] = []
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._failed: dict[str, tuple[float, str]] = {}
        """Task that is started again -> when it failed last, and of what."""
        self._log = logger("supervisor")

    def add(self, name: str, work: Work, *, restart: bool = False) -> None:
        """Have `work` run under that name."""
        if self._group is None:
            self._waiting.append((name, work, restart))
        else:
            self._start(self._group, name, work, restart)

    def failing(self) -> dict[str, str]:
        """Tasks that failed a short while ago -> what of: one that fails again and again is among them all the time."""
        since = self._clock.monotonic() - 2 * self._backoff.most
        return {name: why for name, (at, why) in self._failed.items() if at >= since}

    def stop(self) -> None:
        """End all tasks; `run` returns once they have finished cleaning up."""
        self._stopping.set()

    def stop_on_signals(self) -> None:
        """Have SIGTERM and SIGINT end the process in good order."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    async def run(self) -> None:
        """Return when `stop` was called or every task has ended.

        Raises: ExceptionGroup when a task failed that is not restarted.
        """
        async with asyncio.TaskGroup() as group:
            self._group = group
            for name, work, restart in self._waiting:
                self._start(group, name, work, restart)
            self._waiting.clear()
            watcher = group.create_task(self._watch(), name="supervisor")
            while self._tasks:
                await asyncio.wait(set(self._tasks), return_when=asyncio.FIRST_COMPLETED)
            watcher.cancel()
        self._group = None

    def _start(self, group: asyncio.TaskGroup, name: str, work: Work, restart: bool) -> None:
        task = group.create_task(self._guard(name, work) if restart else self._once(work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self) -> None:
        await self._stopping.wait()
        for task in self._tasks:
            task.cancel()

    async def _once(self, work: Work) -> None:
        await work()

    async def _guard(self, name: str, work: Work) -> None:
        failures = 0
        while True:
            began = self._clock.monotonic()
            try:
                return await work()
            except Exception as error:  # noqa: BLE001  # the edge: any failure of a task becomes a restart
                self._failed[name] = (self._clock.monotonic(), f"it failed: {type(error).__name__}: {error}")
                lasted = self._clock.monotonic() - began
                failures = 1 if lasted > self._backoff.most else failures + 1
                self._log.exception("task.failed", task=name, failures=failures)
            await self._clock.sleep(self._backoff.wait(failures, self._rng))
