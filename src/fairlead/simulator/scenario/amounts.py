"""Amounts and durations as people write them, as whole numbers.

Units: GPU 1/1000 device, CPU 1/1000 core, memory bytes, device memory MiB, durations seconds.
"""

import re
from decimal import Decimal
from math import ceil
from typing import Final

_SCALE: Final = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{u: Decimal(1000) ** i for i, u in enumerate(("k", "M", "G", "T", "P"), 1)},
    **{u: Decimal(1024) ** i for i, u in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), 1)},
}
_QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
_DURATION: Final = re.compile(
    r"(?=.)(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+(?:\.[0-9]+)?)s)?(?:([0-9]+)ms)?"
)
_MIB: Final = 1 << 20


def milli(value: float | str) -> int:
    """Cores or devices in thousandths; a part of a thousandth counts as a whole one, as Kubernetes rounds."""
    return ceil(_number(value) * 1000)


def whole(value: float | str) -> int:
    """Bytes, or pieces of any other resource, rounded up."""
    return ceil(_number(value))


def mib(value: float | str) -> int:
    """A size in MiB, floored."""
    return int(_number(value) // _MIB)


def number(value: float | str) -> float:
    """A plain number, whatever way it is written."""
    return float(_number(value))


def seconds(text: str) -> float:
    """The length of a duration."""
    match = _DURATION.fullmatch(text)
    days, hours, minutes, secs, ms = match.groups() if match else (None,) * 5
    total = int(days or 0) * 86400 + int(hours or 0) * 3600 + int(minutes or 0) * 60
    return total + float(secs or 0) + int(ms or 0) / 1000


def _number(value: float | str) -> Decimal:
    if not isinstance(value, str):
        return Decimal(str(value))
    match = _QUANTITY.fullmatch(value)
    number, unit = match.groups() if match else ("0", "")
    return Decimal(number) * _SCALE[unit or ""]
