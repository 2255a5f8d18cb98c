"""What the kernel says of the whole machine, in a container too: how long its cores worked, and its memory."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec import Struct

PROC: Final = Path("/proc")


class Machine(Struct, frozen=True, kw_only=True):
    """One look. Units: bytes; ticks of all cores since the start."""

    total_bytes: int
    available_bytes: int
    idle_ticks: int
    ticks: int


def look(proc: Path = PROC) -> Machine | None:
    """What there is now; None where the kernel does not tell it so."""
    try:
        return parsed((proc / "stat").read_text(), (proc / "meminfo").read_text())
    except (OSError, ValueError, KeyError):
        return None


def parsed(stat: str, meminfo: str) -> Machine:
    """The two files read. Raises: ValueError, KeyError where they are other than Linux writes them."""
    word, *ticks = stat.partition("\n")[0].split()
    if word != "cpu":
        raise ValueError(f"the first line of stat begins with {word!r}, not with cpu")
    spent = [int(each) for each in ticks[:8]]  # those of guests, which follow, are in the first ones too
    kib = {
        name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in meminfo.splitlines()) if rest
    }
    return Machine(
        total_bytes=kib["MemTotal"] << 10,
        available_bytes=kib["MemAvailable"] << 10,
        idle_ticks=sum(spent[3:5]),
        ticks=sum(spent),
    )


def busy(before: Machine, after: Machine) -> float | None:
    """Part of the time between two looks in which cores worked, 0 to 1; None where no time passed."""
    passed = after.ticks - before.ticks
    return 1 - min(max(after.idle_ticks - before.idle_ticks, 0), passed) / passed if passed > 0 else None
