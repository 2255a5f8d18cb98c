"""Room for a few clusters at a time on one machine, and the end of what a killed run has left."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.parts.build import Unavailable
from tests.parts.cluster import controlgroups

SLOTS = 8


@dataclass(frozen=True)
class Slot:
    """What no other cluster of this machine uses: a folder, a control group and a network."""

    number: int

    @property
    def folder(self) -> Path:
        """For everything the cluster writes. Kept short: the path of a socket has at most 107 bytes."""
        return Path(tempfile.gettempdir()) / f"fairlead-cluster-{self.number}"

    @property
    def control_group(self) -> str:
        """The parent of the control groups of its containers."""
        return f"fairlead-cluster-{self.number}"

    @property
    def network(self) -> str:
        """The first two numbers of its addresses."""
        return f"10.{208 + self.number}"

    @property
    def interface(self) -> str:
        """The one network interface that this machine has for it."""
        return f"fairlead{self.number}"


@contextlib.contextmanager
def slot() -> Iterator[Slot]:
    """Give a slot that nobody uses, empty; it is emptied again afterwards. Raises: Unavailable."""
    held: tuple[Slot, IO[str]] | None = None
    for number in range(SLOTS):
        if (lock := _try_lock(Slot(number))) is None:
            continue
        _sweep(Slot(number))
        if held is None:
            held = Slot(number), lock
        else:
            _lock_file(Slot(number)).unlink(missing_ok=True)
            lock.close()
    if held is None:
        raise Unavailable(f"{SLOTS} clusters run on this machine already")
    try:
        yield held[0]
    finally:
        _sweep(held[0])
        _lock_file(held[0]).unlink(missing_ok=True)
        held[1].close()


def _lock_file(one: Slot) -> Path:
    return one.folder.with_suffix(".lock")


def _try_lock(one: Slot) -> IO[str] | None:
    """The kernel lets go of the lock when the process that has it ends, however it ends."""
    lock = _lock_file(one).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock.fileno()), _lock_file(one).stat()):
            return lock  # else the one who had it has removed the file since it was opened
    except (BlockingIOError, FileNotFoundError):
        pass
    lock.close()
    return None


def _sweep(one: Slot) -> None:
    """Processes, mounts and networks went with their machines: only files and empty control groups can be left."""
    controlgroups.remove(one.control_group)
    shutil.rmtree(one.folder, ignore_errors=True)
