"""The MPS daemons of a node: one for each device that a reservation pod holds, and what is to be told of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from random import Random
from typing import Final

from msgspec import Struct

from fairlead.cluster.node.daemon import Daemon, MpsOptions
from fairlead.runtime.clock import Clock
from fairlead.runtime.instruments import gauge
from fairlead.workloads.mps import SHARED_MEMORY

_WHOLE: Final = "GPU-"
"""Ids of whole devices begin with it."""
_DAEMONS: Final = gauge("fairlead_mps_daemons", ("living",), ("away",))
_STARTS: Final = gauge("fairlead_mps_starts")


class Word(Struct, frozen=True, kw_only=True):
    """What is known of a device's daemon. `since`: it answers since then; None: `why` says why not. Units: seconds since the epoch."""

    since: float | None = None
    why: str = ""
    is_settled: bool = True
    """Whether it is worth waiting no longer: it has answered, or failed to start."""


class Mps:
    """Runs until cancelled. `changed` is called whenever a daemon begins or ceases to answer."""

    def __init__(self, options: MpsOptions, clock: Clock, rng: Random, changed: Callable[[], None]) -> None:
        self._options = options
        self._clock = clock
        self._rng = rng
        self._changed = changed
        self._daemons: dict[str, Daemon] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Keeps the daemons it is told to keep, and ends all of them when it ends."""
        self._open()
        async with asyncio.TaskGroup() as self._group:
            await asyncio.Event().wait()

    def keep(self, devices: Collection[str]) -> None:
        """Have a daemon for exactly these devices."""
        for device in self._daemons.keys() - set(devices):
            del self._daemons[device]
            self._tasks[device].cancel()
        for device in sorted(set(devices) - self._daemons.keys()):
            if self._group is not None and device.startswith(_WHOLE):
                self._daemons[device] = daemon = Daemon(
                    device, self._options, self._clock, self._rng, self._daemon_changed
                )
                before = self._tasks.get(device)
                self._tasks[device] = self._group.create_task(_after(before, daemon), name=f"node.mps.{device}")
        self._count()

    def of(self, device: str) -> Word:
        """What is known of the daemon of a device that is kept."""
        daemon = self._daemons.get(device)
        if daemon is not None:
            return Word(since=daemon.since, why=daemon.why, is_settled=daemon.is_settled)
        if device.startswith(_WHOLE):
            return Word(why="it is being started", is_settled=False)
        return Word(why="the device is an instance of a GPU that MIG divides, for which no daemon is run")

    def findings(self) -> tuple[str, ...]:
        """What is wrong, as sentences: the program, else device by device."""
        if self._options.found() is None:
            return (f"MPS is switched on, and {self._options.not_found}.",)
        away = (d for _, d in sorted(self._daemons.items()) if d.since is None and d.is_settled)
        return tuple(f"The memory of {d.device} is not kept apart: {told(d.why)}." for d in away)

    def _open(self) -> None:
        """The folders that clients see; /dev/shm is open to everybody everywhere."""
        shared = self._options.directory / SHARED_MEMORY
        shared.mkdir(parents=True, exist_ok=True)
        self._options.directory.chmod(0o755)
        shared.chmod(0o1777)

    def _daemon_changed(self) -> None:
        self._count()
        self._changed()

    def _count(self) -> None:
        living = sum(d.since is not None for d in self._daemons.values())
        _DAEMONS.labels("living").set(living)
        _DAEMONS.labels("away").set(len(self._daemons) - living)
        _STARTS.set(sum(d.starts for d in self._daemons.values()))


def told(why: str) -> str:
    """Why a daemon does not answer, as a sentence without its stop."""
    return f"the MPS daemon of its GPU is away: {why}"


async def _after(before: asyncio.Task[None] | None, daemon: Daemon) -> None:
    """The daemon, once an earlier one of the same device has left its folder."""
    if before is not None:
        await asyncio.wait([before])
    await daemon.run()
