"""Servers of tests: when they serve."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path


def wait(process: subprocess.Popen[bytes], at: tuple[str, int], log: Path) -> None:
    """Return once somebody listens there. Raises: RuntimeError with the log's end after a minute, or when the program ended."""
    end = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(at) == 0:
                return
        if process.poll() is not None or time.monotonic() > end:
            said = log.read_text(errors="replace")[-800:] if log.exists() else ""
            raise RuntimeError(f"nobody serves at {at[0]}:{at[1]}: {said}")
        time.sleep(0.05)
