"""One MPS control daemon: started for one device, asked whether it lives, started anew with back-off, ended in order.

It runs in the foreground as this process's child, so that its end is noticed at once. Each daemon serves a single device: what breaks
one ends no other, and devices that nobody shares are left alone. Source: ADR 7.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Final

from msgspec import Struct

from fairlead.runtime.clock import Clock
from fairlead.runtime.logs import logger
from fairlead.runtime.retry import Backoff
from fairlead.workloads.mps import DIRECTORY, PIPE

BACKOFF: Final = Backoff(first=0.5, most=60.0)
_MISSES: Final = 3
"""After so many questions without an answer it is ended and started anew: its clients end with it, so not after one."""
_ASK: Final = b"get_server_list\n"
_QUIT: Final = b"quit\n"


class MpsOptions(Struct, frozen=True, kw_only=True):
    """How daemons are run. Units: seconds."""

    program: str = "nvidia-cuda-mps-control"
    """NVIDIA's control program; looked for in PATH unless it is a path."""
    directory: Path = Path(DIRECTORY)
    environment: Mapping[str, str] = {}
    """What daemons inherit."""
    ask: float = 5.0
    """Between questions whether it lives."""
    answer: float = 5.0
    """Within this an answer is expected."""
    start: float = 15.0
    """Within this a daemon answers for the first time."""
    end: float = 5.0
    """Within this it ends when it is told to; then it is killed."""
    backoff: Backoff = BACKOFF

    def found(self) -> str | None:
        """Path of the program; None where the node does not have it."""
        return shutil.which(self.program, path=self.environment.get("PATH"))

    @property
    def not_found(self) -> str:
        """That it does not."""
        return f"the program {self.program} is not on this node (node.runtimeClassName or node.mps.hostPath bring it)"


class Daemon:
    """The daemon of one device. Runs until cancelled. `changed` is called whenever what it says of itself changes."""

    def __init__(
        self, device: str, options: MpsOptions, clock: Clock, rng: Random, changed: Callable[[], None]
    ) -> None:
        self.device = device
        self.since: float | None = None
        """Since when it answers; None while it does not."""
        self.why = "it is being started"
        """Why it does not answer."""
        self.is_settled = False
        """Whether it has answered, or failed to start."""
        self.starts = 0
        """How often its program was started."""
        self._options = options
        self._clock = clock
        self._rng = rng
        self._changed = changed
        self._folder = options.directory / device
        self._log = logger("mps", device=device)

    async def run(self) -> None:
        """Keep it running; leaves nothing behind."""
        failures = 0
        try:
            while True:
                began = self._clock.monotonic()
                self._away(await self._once())
                failures = 1 if self._clock.monotonic() - began > self._options.backoff.most else failures + 1
                await self._clock.sleep(self._options.backoff.wait(failures, self._rng))
        finally:
            self.since = None
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _once(self) -> str:
        """Why it ended, or did not start."""
        program = self._options.found()
        if program is None:
            return self._options.not_found
        try:
            self._prepare()
            process = await self._start(program, "-f")
        except OSError as error:
            return f"{program} does not start: {error.strerror or error}"
        self.starts += 1
        try:
            return await self._watch(program, process)
        finally:
            await self._end(program, process)

    async def _watch(self, program: str, process: asyncio.subprocess.Process) -> str:
        """Why it is given up; returns as soon as it ends by itself."""
        began, misses, has_answered = self._clock.monotonic(), 0, False
        silent = f"it does not answer within {self._options.answer:g} s"
        while process.returncode is None:
            if await self._tells(program, _ASK):
                misses, has_answered = 0, True
                self._lives()
            elif has_answered or self._clock.monotonic() - began > self._options.start:
                misses += 1
                self._away(silent)
            if misses >= (_MISSES if has_answered else 1):
                return silent
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), self._options.ask if has_answered else 0.2)
        return f"it ended with exit code {process.returncode}"

    async def _tells(self, program: str, command: bytes) -> bool:
        """Whether the daemon took the command: the same program hands it on."""
        try:
            asker = await self._start(program, given=asyncio.subprocess.PIPE)
        except OSError:
            return False
        try:
            async with asyncio.timeout(self._options.answer):
                await asker.communicate(command)
            return asker.returncode == 0
        except TimeoutError:
            return False
        finally:
            if asker.returncode is None:
                asker.kill()
                await asker.wait()

    async def _end(self, program: str, process: asyncio.subprocess.Process) -> None:
        """In order where it still listens; then its servers, and whatever else it left, at once."""
        if process.returncode is None and await self._tells(program, _QUIT):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), self._options.end)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    async def _start(
        self, program: str, *words: str, given: int = asyncio.subprocess.DEVNULL
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            program,
            *words,
            stdin=given,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            env={
                **self._options.environment,
                "CUDA_VISIBLE_DEVICES": self.device,
                PIPE: str(self._folder / "pipe"),
                "CUDA_MPS_LOG_DIRECTORY": str(self._folder / "log"),
            },
        )

    def _prepare(self) -> None:
        """Its folders, open to whoever may reach them; what an earlier one left in the way is removed."""
        for folder in (self._folder, self._folder / "pipe", self._folder / "log"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
        for left in (self._folder / "pipe").iterdir():
            left.unlink()

    def _lives(self) -> None:
        if self.since is None:
            self.since, self.is_settled = self._clock.now(), True
            self._log.info("mps.lives")
            self._changed()

    def _away(self, why: str) -> None:
        if self.since is not None or why != self.why or not self.is_settled:
            self.since, self.why, self.is_settled = None, why, True
            self._log.warning("mps.away", message=why)
            self._changed()
