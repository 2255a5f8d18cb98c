"""Kubernetes quantities ("500m", "1.5Gi", "2e3") as exact integers.

Where the wanted unit is coarser than what was written the amount is rounded up, as Kubernetes does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation, Overflow
from typing import Final

_BINARY: Final = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50, "Ei": 1 << 60}
_DECIMAL: Final = {"": 0, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_FORM: Final = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))([eE][+-]?\d+|[KMGTPE]i|[numkMGTPE]?)$")

_LARGEST: Final = (1 << 63) - 1
"""Kubernetes holds larger amounts to this one."""
_DIGITS: Final = len(str(_LARGEST))
_MOST: Final = 1 << 50
_MOST_DEVICES: Final = 1 << 24

Quantity = str | int | float
"""What JSON may hold where a quantity is expected."""


def milli(quantity: Quantity) -> int:
    """Give thousandths: "500m" is 500, "2" is 2000. Units: 1/1000 of what was written.

    Raises: ValueError when it is not a quantity.
    """
    if isinstance(quantity, str):
        if quantity.isdigit():
            return int(quantity) * 1000
        if quantity.endswith("m") and quantity[:-1].isdigit():
            return int(quantity[:-1])
    return _scaled(quantity, 1000)


def whole(quantity: Quantity) -> int:
    """Give whole units (bytes of memory, devices): "1Ki" is 1024, "500m" is 1, rounded up.

    Raises: ValueError when it is not a quantity.
    """
    if isinstance(quantity, int) or (isinstance(quantity, str) and quantity.isdigit()):
        return int(quantity)
    return _scaled(quantity, 1)


def amount(quantities: Mapping[str, Quantity], name: str) -> int:
    """Give one amount of an object that anybody may have written: never below 0, never so large that sums overflow.

    Units: CPU in 1/1000, everything else whole. What is missing, or is not a quantity, is 0.
    """
    try:
        found = milli(quantities.get(name, 0)) if name == "cpu" else whole(quantities.get(name, 0))
    except ValueError:
        return 0
    return max(0, min(found, _MOST_DEVICES if "/" in name else _MOST))


def text_of_milli(amount: int) -> str:
    """Give the canonical quantity of `amount` thousandths: 2000 is "2", 500 is "500m"."""
    return str(amount // 1000) if amount % 1000 == 0 else f"{amount}m"


def text_of_bytes(amount: int) -> str:
    """Give the canonical quantity of `amount` bytes in the largest binary unit that stays exact."""
    for suffix, size in reversed(_BINARY.items()):
        if amount and amount % size == 0:
            return f"{amount // size}{suffix}"
    return str(amount)


def _scaled(quantity: Quantity, scale: int) -> int:
    exact = _exact(str(quantity))
    if exact.adjusted() >= _DIGITS:
        return _LARGEST if exact > 0 else -_LARGEST
    exact *= scale
    floor = int(exact)
    return max(-_LARGEST, min(floor + 1 if exact > floor else floor, _LARGEST))


def _exact(text: str) -> Decimal:
    form = _FORM.match(text)
    if form is None:
        raise ValueError(f"not a quantity: {text!r}")
    number, suffix = form.groups()
    try:
        if suffix in _BINARY:
            return Decimal(number) * _BINARY[suffix]
        if suffix in _DECIMAL:
            return Decimal(number).scaleb(_DECIMAL[suffix])
        return Decimal(number + suffix)
    except (InvalidOperation, Overflow) as error:
        raise ValueError(f"not a quantity: {text!r}") from error
