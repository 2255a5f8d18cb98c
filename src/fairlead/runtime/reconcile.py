"""Level-triggered reconciling: keys are marked dirty, each is handled by one worker at a time, failures wait and return.

A key marked while it is being handled is handled once more afterwards; marked often while waiting, only once. The
handler reads the present state itself, so a lost or doubled mark does no harm beyond delay.

What an error means here (one of the three maps of the error tree):
Retryable: again after `after` or the back-off; Conflict: again after the back-off, the cache will have moved on;
NotFound, Denied, Invalid, Permanent: reported, not tried again until the next mark; anything else: a bug, reported with
its traceback and tried again after the back-off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable
from random import Random
from typing import Final, Generic, TypeVar

from fairlead.runtime.clock import Clock
from fairlead.runtime.errors import Conflict, FairleadError, Permanent, Retryable
from fairlead.runtime.instruments import counter
from fairlead.runtime.logs import logger
from fairlead.runtime.retry import FOREVER, Backoff

K = TypeVar("K", bound=Hashable)

PASSES: Final = counter("fairlead_reconcile_total")

Handler = Callable[[K], Awaitable[float | None]]
"""Brings the world to what the key's object wants; gives seconds after which to look again, None for no need."""


class Reconciler(Generic[K]):
    """A work queue of keys and the workers that handle them."""

    def __init__(
        self,
        name: str,
        handler: Handler[K],
        *,
        clock: Clock,
        rng: Random,
        backoff: Backoff = FOREVER,
        workers: int = 4,
    ) -> None:
        self._name: Final = name
        self._passes = {result: PASSES.labels(name, result) for result in ("done", "again", "gave-up", "bug")}
        self._handler = handler
        self._clock = clock
        self._rng = rng
        self._backoff = backoff
        self._workers = workers
        self._queue: asyncio.Queue[K] = asyncio.Queue()
        self._queued: set[K] = set()
        self._busy: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._log = logger("reconcile", loop=name)

    def mark(self, key: K) -> None:
        """Have the key handled soon; a wait it was in ends."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._busy:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._queue.put_nowait(key)

    def mark_all(self, keys: Iterable[K]) -> None:
        """Mark each key."""
        for key in keys:
            self.mark(key)

    def mark_later(self, key: K, seconds: float) -> None:
        """Mark the key after that long, unless it is marked before; a sooner wait stays."""
        loop = asyncio.get_running_loop()
        if key in self._queued:
            return
        present = self._timers.get(key)
        if present is not None:
            if present.when() <= loop.time() + seconds:
                return
            present.cancel()
        self._timers[key] = loop.call_later(seconds, self.mark, key)

    @property
    def idle(self) -> bool:
        """True when no key waits to be handled now and none is being handled."""
        return not (self._queued or self._busy)

    def failures(self, key: K) -> int:
        """Give the number of failures in a row of a key."""
        return self._failures.get(key, 0)

    async def run(self) -> None:
        """Handle keys until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._workers):
                    group.create_task(self._work(), name=f"{self._name}-{number}")
        finally:
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            self._queued.discard(key)
            self._busy.add(key)
            try:
                wait = await self._handle(key)
            finally:
                self._busy.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.mark(key)
            elif wait is not None:
                self.mark_later(key, wait)

    async def _handle(self, key: K) -> float | None:
        try:
            wait = await self._handler(key)
        except Exception as error:  # noqa: BLE001  # the edge: every error of a handler becomes a wait or a report
            return self._after(key, error)
        self._failures.pop(key, None)
        self._passes["done"].inc()
        return wait

    def _after(self, key: K, error: Exception) -> float | None:
        failures = self._failures.get(key, 0) + 1
        if isinstance(error, Permanent) and not isinstance(error, Conflict):
            self._failures.pop(key, None)
            self._passes["gave-up"].inc()
            self._log.warning("reconcile.gave_up", key=str(key), code=error.code, message=str(error))
            return None
        self._failures[key] = failures
        wait = self._backoff.wait(failures, self._rng)
        if isinstance(error, Retryable):
            wait = max(wait, error.after or 0.0)
        self._passes["again" if isinstance(error, FairleadError) else "bug"].inc()
        if isinstance(error, FairleadError):
            self._log.info("reconcile.again", key=str(key), code=error.code, message=str(error), seconds=wait)
        else:
            self._log.error("reconcile.bug", key=str(key), failures=failures, exc_info=error)
        return wait
