"""A clock that is off, for one process: Debian's faketime."""

from __future__ import annotations

from pathlib import Path

from tests.parts.debian import program


def clock_off_by(shift: str) -> dict[str, str]:
    """Environment of a process that lives by another time, such as `-90m`; how long things take stays true. Raises: Unavailable."""
    program("faketime", "faketime")
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return {"LD_PRELOAD": str(library), "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
