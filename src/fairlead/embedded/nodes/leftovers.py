"""What still runs of a pod whose process has ended: children in the background, or the command of a wrapper that was killed.

A container takes everything in it along when it ends; so do the processes that stand for one here.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

PLACE = "FAIRLEAD_PLACE"
"""Variable of a pod's processes: the folder of the pod. A process with another value there is another pod's, or nobody's."""

_ROUNDS = 100
"""A process may start another while it is ended, and one that the system holds ends late: after so many looks they are let be."""
_LOOK_SECONDS = 0.01


def end_leftovers(place: Path, number: int | None) -> None:
    """Kill what is left of the pod with this folder, whose first process had this number. Blocks until it is gone."""
    for _ in range(_ROUNDS):
        left = list(_left(place, number))
        if not left:
            return
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(_LOOK_SECONDS)


def is_of(process: psutil.Process, place: Path) -> bool:
    """Whether the process is alive and was started for the pod with this folder."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(PLACE) == str(place)
    except psutil.Error:
        return False


def _left(place: Path, number: int | None) -> Iterator[psutil.Process]:
    """By the folder in their environment, or as members of the pod's session where they cleared it."""
    session = number if number is not None and _is_free(number, place) else None
    me = os.getpid()
    for pid in (
        psutil.pids()
    ):  # process_iter would give back what it knew of a number's earlier process, which cannot be killed
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if pid != me and (is_of(process, place) or _is_in(process, session)):
                yield process


def _is_free(number: int, place: Path) -> bool:
    """Whether nobody else leads a session of that number by now."""
    return not psutil.pid_exists(number) or is_of(psutil.Process(number), place)


def _is_in(process: psutil.Process, session: int | None) -> bool:
    if session is None:
        return False
    try:
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, psutil.Error):
        return False
