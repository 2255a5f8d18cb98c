"""Amounts as people write them, the same in reasons and tables; never in scientific notation."""

from __future__ import annotations

_MIB = 1 << 20


def is_part(gpus: float) -> bool:
    """Whether that is a part of a device that can be asked for: 0.001 to 0.999."""
    return 0.001 <= gpus <= 0.999


def number(value: float) -> str:
    """A figure without zeros at its end, exact to a thousandth: 2, 0.5, 16777216."""
    return _figure(value, 3)


def gpu_memory(mib: int, asked: int | None = None) -> str:
    """Memory of devices in MiB as text: 20 GiB, 20 GB. Beside an amount that was `asked` for, in the unit of that one."""
    return _in_unit(mib * _MIB, (mib if asked is None else asked) % 512 == 0)


def memory(size: int, asked: int | None = None) -> str:
    """Memory in bytes as text, in GiB, or in GB where it is no whole number of MiB; beside an amount `asked` for, in its unit."""
    return _in_unit(size, (size if asked is None else asked) % _MIB == 0)


def gib(size: int) -> str:
    """Memory of a machine in bytes, always in GiB: 512 GiB, 23.47 GiB. The pages round in the same way."""
    return _in_unit(size, True)


def _in_unit(size: int, is_binary: bool) -> str:
    value = size / (1 << 30 if is_binary else 10**9)
    places = 1 if value >= 100 else 2 if value >= 1 else 4
    return f"{_figure(value, places)} {'GiB' if is_binary else 'GB'}"


def _figure(value: float, places: int) -> str:
    return f"{value:.{places}f}".rstrip("0").rstrip(".")
