"""How a pod's container is run. Three ways, one set of verbs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from fairlead.kube.client import LogOptions
from fairlead.kube.transport import Duplex
from fairlead.objects.pod import Pod


class Ended(Struct, frozen=True, kw_only=True):
    """How a container ended. `message` says what is not plain from the exit code, `reason` the same in Kubernetes' word."""

    exit_code: int
    message: str = ""
    reason: str = ""


class CannotStart(Exception):
    """The container cannot be started; the text is for whoever submitted it."""


class Runtime(Protocol):
    """Runs the first container of pods. A pod is named by its UID; all verbs may be repeated."""

    name: str

    async def start(self, pod: Pod, env: dict[str, str]) -> None:
        """Have it run. Raises: CannotStart."""
        ...

    async def recover(self, uid: str) -> bool:
        """Find a container that an earlier process of ours started; False where there is none to be found."""
        ...

    def known(self) -> tuple[str, ...]:
        """UIDs of everything that was started and not removed, by earlier processes of ours too."""
        ...

    async def wait(self, uid: str) -> Ended:
        """Return when it has ended."""
        ...

    async def stop(self, uid: str, grace_seconds: float) -> None:
        """Ask it to end; end it when the grace is over."""
        ...

    async def remove(self, uid: str) -> None:
        """Forget it and its log."""
        ...

    def logs(self, uid: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Give its output; with follow until it ends."""
        ...

    def earlier_log(self, namespace: str, name: str, owner: str) -> Path | None:
        """Give the log of the last pod of that name and owner (UID, or empty for any) that is gone."""
        ...

    async def exec(self, pod: Pod, command: Sequence[str], query: dict[str, str]) -> Duplex:
        """Run a command beside it, in its environment."""
        ...
