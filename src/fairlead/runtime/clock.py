"""Time, real or simulated.

Everything that waits does so through asyncio; `VirtualClock.run` drives an event loop whose time jumps to the next timer
as soon as nothing else is ready. Sleeps, timeouts and back-off then take no real time and always happen in the same
order, so that hours of a cluster can be simulated in seconds and a failure found by a seed can be found again.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """What a process may know about time. Units: seconds."""

    def now(self) -> float:
        """Give the time of day as seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Give seconds that never go backwards, for measuring durations."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that long."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Give the time of day as seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Give the machine's monotonic seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after that long."""
        await asyncio.sleep(seconds)


class VirtualClock:
    """A simulated clock: time passes only when every task waits for it.

    Use `run` as `asyncio.run` is used. Work handed to threads runs at once in the loop, so that it is deterministic.
    """

    START: Final = 1_767_225_600.0
    """Default beginning: 2026-01-01T00:00:00Z."""

    def __init__(self, start: float = START) -> None:
        self._start = start
        self._elapsed = 0.0

    def now(self) -> float:
        """Give the simulated time of day."""
        return self._start + self._elapsed

    def monotonic(self) -> float:
        """Give the simulated seconds since the beginning."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Return after that much simulated time."""
        await asyncio.sleep(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass by hand, for code that asks the time but does not wait."""
        self._elapsed += seconds

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Give what `main` returns, run in simulated time.

        Raises: Stalled when every task waits for something that no timer will bring.
        """
        with asyncio.Runner(loop_factory=lambda: _VirtualLoop(self)) as runner:
            return runner.run(main)


class Stalled(RuntimeError):
    """Every task waits, and no timer is set: nothing can ever happen again."""


class _Selector(selectors.DefaultSelector):
    """Polls without blocking; where the loop would block, simulated time passes instead."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise Stalled("every task waits and no timer is set")
        self._clock.advance(max(timeout, 1e-9))
        return []


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(_Selector(clock))
        self._virtual = clock
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._virtual.monotonic()

    def run_in_executor(  # type: ignore[override]  # runs the work itself and gives a finished future
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  # it belongs to whoever awaits the future
            future.set_exception(error)
        return future
