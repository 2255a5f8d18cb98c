"""What pods of a trial do with a volume: one writes, the others read and write back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any


def write(folder: Path, nonce: str) -> dict[str, Any]:
    """Write the nonce; gives `wrote`, or `write_error` in the system's words."""
    began = time.monotonic()
    try:
        half = folder / f".{nonce}.half"
        half.write_text(nonce * 64)
        half.replace(folder / nonce)
    except OSError as error:
        return {"wrote": False, "write_error": error.strerror or str(error)}
    return {"wrote": True, "seconds": round(time.monotonic() - began, 3)}


def read(folder: Path, nonce: str, wait: float, back: str = "") -> dict[str, Any]:
    """Wait for what was written, compare it, and write back. Units: seconds.

    `read` is same_content, other_content, denied, missing or timeout; `appended` ok or why not; `seconds` how long it took to be seen.
    """
    began = time.monotonic()
    file = folder / nonce
    while not file.exists():
        if time.monotonic() - began >= wait:
            return {"read": "missing", "seconds": round(time.monotonic() - began, 3)}
        time.sleep(0.2)
    seconds = round(time.monotonic() - began, 3)
    try:
        same = file.read_text() == nonce * 64
    except PermissionError:
        return {"read": "denied", "seconds": seconds}
    except (OSError, ValueError):
        same = False
    found: dict[str, Any] = {"read": "same_content" if same else "other_content", "seconds": seconds}
    if back:
        written = write(folder, back)
        found["appended"] = "ok" if written["wrote"] else written["write_error"]
    return found
