"""Containers that do not run: for clusters of simulated nodes. A command `sleep N` ends after N seconds, any other when it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from fairlead.embedded.nodes.runtime import CannotStart, Ended
from fairlead.kube.client import LogOptions
from fairlead.kube.transport import Duplex
from fairlead.objects.pod import Pod
from fairlead.runtime.clock import Clock

_NOTE = b"This node is simulated: nothing runs, so there is no output.\n"
_STOPPED = 143


class SimulatedRuntime:
    """Keeps the time and nothing else."""

    name = "simulated"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stopped: dict[str, asyncio.Event] = {}
        self._seconds: dict[str, float | None] = {}

    async def start(self, pod: Pod, env: dict[str, str]) -> None:
        """Begin to count."""
        uid = pod.metadata.uid
        self._seconds.setdefault(uid, _duration(pod))
        self._stopped.setdefault(uid, asyncio.Event())

    async def recover(self, uid: str) -> bool:
        """Nothing is lost where nothing ran: the count begins again."""
        return uid in self._seconds

    def known(self) -> tuple[str, ...]:
        """Those that count."""
        return tuple(sorted(self._seconds))

    async def wait(self, uid: str) -> Ended:
        """Return after the time the command names, or when it is stopped."""
        stopped, seconds = self._stopped[uid], self._seconds[uid]
        try:
            async with asyncio.timeout(seconds):
                await stopped.wait()
        except TimeoutError:
            return Ended(exit_code=0)
        return Ended(exit_code=_STOPPED, message="Stopped.")

    async def stop(self, uid: str, grace_seconds: float) -> None:
        """End it at once."""
        if uid in self._stopped:
            self._stopped[uid].set()

    async def remove(self, uid: str) -> None:
        """Forget it."""
        self._stopped.pop(uid, None)
        self._seconds.pop(uid, None)

    async def logs(self, uid: str, options: LogOptions) -> AsyncIterator[bytes]:
        """One line that says that there is nothing."""
        yield _NOTE

    def earlier_log(self, namespace: str, name: str, owner: str) -> Path | None:
        """None: nothing ran."""
        return None

    async def exec(self, pod: Pod, command: Sequence[str], query: dict[str, str]) -> Duplex:
        """Refused: nothing runs."""
        raise CannotStart("This node is simulated: nothing runs in which a command could be run.")


def _duration(pod: Pod) -> float | None:
    container = pod.spec.containers[0]
    words = [*container.command, *container.args]
    if len(words) == 2 and words[0] == "sleep":
        try:
            return float(words[1])
        except ValueError:
            return None
    return None
