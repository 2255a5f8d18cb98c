"""The background process of `fairlead up`: is it there, start it, stop it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from fairlead.runtime.disk import make_private, make_usable
from fairlead.runtime.errors import Denied, FairleadError, Invalid, Unreachable
from fairlead.runtime.settings import environment

START_SECONDS = 120.0
STOP_SECONDS = 20.0
_REMEDIES: dict[int, type[FairleadError]] = {2: Invalid, 4: Denied, 5: Unreachable}
"""What the exit code of the background process stands for (`cli/exits.py`)."""


def state_of(data: Path) -> dict[str, Any] | None:
    """What a running process wrote about itself; None where none runs on this data."""
    try:
        state: dict[str, Any] = json.loads((data / "up.json").read_text())
        os.kill(int(state["pid"]), 0)
    except (OSError, ValueError, KeyError):
        return None
    return state if _is_locked(data) else None


def start(data: Path, arguments: list[str]) -> dict[str, Any]:
    """Starts it and waits until it is ready; gives back its state.

    Raises: FairleadError with its own words and exit code where it ends instead; Unreachable where it does not get ready;
    what `make_usable` raises.
    """
    log = data / "fairlead.log"
    make_usable(data)
    make_private(log)
    with log.open("ab") as out:
        began = out.tell()
        child = subprocess.Popen(
            [sys.executable, "-m", "fairlead.cli.main", "up", "--foreground", "--data", str(data), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env=dict(environment()),
        )
    deadline = time.monotonic() + START_SECONDS
    try:
        while time.monotonic() < deadline:
            state = state_of(data)
            if state is not None and state["pid"] == child.pid:
                return state
            if child.poll() is not None:
                kind = _REMEDIES.get(child.returncode, FairleadError)
                raise kind("Fairlead did not start.", hint=_last_words(log, began), code="not-started")
            time.sleep(0.05)
    except KeyboardInterrupt:
        _end(child)
        raise
    _end(child)
    raise Unreachable(f"Fairlead was not ready within {START_SECONDS:.0f} s.", hint=f"Its log is {log}.")


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends a process, by force where it does not end in good order."""
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def stop(data: Path) -> bool:
    """Stops it; whether one ran. Raises: Unreachable where it does not end."""
    state = state_of(data)
    pid = int(state["pid"]) if state is not None else _starting(data)
    if not pid:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _is_locked(data):
        if time.monotonic() > deadline:
            raise Unreachable(f"Process {pid} did not end within {STOP_SECONDS:.0f} s.", hint="End it by hand.")
        time.sleep(0.05)
    return True


def _starting(data: Path) -> int:
    """The process that holds the data and is not ready yet; 0 where none does."""
    try:
        return int((data / "lock").read_text() or 0) if _is_locked(data) else 0
    except (OSError, ValueError):
        return 0


def _is_locked(data: Path) -> bool:
    """Whether a process holds the data: a file left by one that was killed does not count."""
    import fcntl

    try:
        with (data / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _last_words(log: Path, began: int) -> str:
    """What the process said last; `began` is the length the log of earlier ones had, in bytes."""
    lines = log.read_bytes()[began:].decode(errors="replace").strip().splitlines()[-6:]
    told = [line for line in lines if line.startswith(("fairlead:", "  "))]
    return "\n  ".join(line.strip() for line in told or lines)
