"""Leadership: at most one process acts, by a lease that must be renewed.

The leader stops acting when it could not renew for `renew_deadline` seconds, which is shorter than the `duration` after
which another may take over: two leaders never overlap, as far as clocks run at the same speed. Another's lease is
judged by when *we* saw it change, never by the time written in it, so clocks need not agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Protocol

from msgspec import Struct

from fairlead.runtime.clock import Clock
from fairlead.runtime.errors import Conflict, FairleadError
from fairlead.runtime.logs import logger


class LeaseRecord(Struct, frozen=True, kw_only=True):
    """Who holds a lease. `version` guards the next write; empty for a lease that does not exist yet."""

    holder: str = ""
    duration_seconds: int = 15
    acquired: float = 0.0
    renewed: float = 0.0
    transitions: int = 0
    version: str = ""


class LeaseDoor(Protocol):
    """Where a lease is kept."""

    async def read(self) -> LeaseRecord | None:
        """Give the present record, None where there is none."""
        ...

    async def write(self, record: LeaseRecord) -> LeaseRecord:
        """Write over the record whose version it names, and give it with its new version. Raises: Conflict."""
        ...


class LeaseTimes(Struct, frozen=True, kw_only=True):
    """Seconds: how long a lease lasts unrenewed, when its holder gives up, how often it is renewed or looked at."""

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry: float = 2.0


class Leader:
    """Campaigns for a lease and runs work while it is held."""

    def __init__(
        self, door: LeaseDoor, identity: str, *, clock: Clock, rng: Random, times: LeaseTimes | None = None
    ) -> None:
        self._door = door
        self._identity = identity
        self._clock = clock
        self._rng = rng
        self._times = times or LeaseTimes()
        self._seen: LeaseRecord | None = None
        self._seen_at = 0.0
        self._renewed_at = 0.0
        self._log = logger("lease", identity=identity)

    def is_leading(self) -> bool:
        """Say whether acting is safe now: the lease is ours and was renewed within the deadline."""
        held = self._seen is not None and self._seen.holder == self._identity
        return held and self._clock.monotonic() - self._renewed_at < self._times.renew_deadline

    async def lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait for the lease, then run `work`; return when it returns or the lease is lost (`work` is cancelled first).

        The lease is given back when the work ends, so that another need not wait it out.
        """
        await self.acquire()
        working = asyncio.ensure_future(work())
        renewing = asyncio.create_task(self._renew(), name="lease.renew")
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(renewing)
            failure = await _end(working)
            await self._release()
        if failure is not None:
            raise failure

    async def acquire(self) -> None:
        """Return once the lease is ours."""
        while not await self._attempt():
            await self._clock.sleep(self._times.retry * (1 + 0.2 * self._rng.random()))
        self._log.info("lease.acquired")

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(self._times.retry)
            await self._attempt()
            if not self.is_leading():
                self._log.warning("lease.lost")
                return

    async def _attempt(self) -> bool:
        """Give whether the lease is ours after one try within the time that is left."""
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._patience(began)):
                return await self._read_and_write(began)
        except (FairleadError, TimeoutError) as error:
            if isinstance(error, Conflict):
                self._seen = None
            self._log.info("lease.failed_try", message=str(error))
            return False

    def _patience(self, began: float) -> float:
        if self.is_leading():
            return max(0.001, self._times.renew_deadline - (began - self._renewed_at))
        return self._times.renew_deadline

    async def _read_and_write(self, began: float) -> bool:
        present = await self._door.read()
        self._note(present)
        if present and present.holder not in ("", self._identity) and not self._expired(present):
            return False
        self._seen = await self._door.write(self._claim(present))
        self._renewed_at = began  # counted from before the call: the server may have written at once and answered late
        return True

    def _note(self, present: LeaseRecord | None) -> None:
        if self._seen is None or present is None or present.version != self._seen.version:
            self._seen_at = self._clock.monotonic()
        self._seen = present

    def _expired(self, present: LeaseRecord) -> bool:
        return self._clock.monotonic() - self._seen_at >= max(self._times.duration, present.duration_seconds)

    def _claim(self, present: LeaseRecord | None) -> LeaseRecord:
        now = self._clock.now()
        mine = present is not None and present.holder == self._identity
        return LeaseRecord(
            holder=self._identity,
            duration_seconds=max(1, round(self._times.duration)),
            acquired=present.acquired if present and mine else now,
            renewed=now,
            transitions=(present.transitions + (not mine)) if present else 0,
            version=present.version if present else "",
        )

    async def _release(self) -> None:
        record, self._seen = self._seen, None
        if record is None or record.holder != self._identity:
            return
        try:
            async with asyncio.timeout(self._times.retry):
                await self._door.write(
                    LeaseRecord(
                        duration_seconds=1,
                        acquired=record.acquired,
                        renewed=self._clock.now(),
                        transitions=record.transitions,
                        version=record.version,
                    )
                )
        except (FairleadError, TimeoutError) as error:
            self._log.info("lease.release_failed", message=str(error))


async def _end(task: asyncio.Future[None]) -> BaseException | None:
    """Give the failure of a task that is cancelled unless it is done; None when it ended well or by the cancelling."""
    task.cancel()
    await asyncio.wait({task})
    return None if task.cancelled() else task.exception()
