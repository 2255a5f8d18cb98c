"""Small checks from which `keys` builds the format. A check looks at one plain value and raises `Wrong` where it does not fit."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeAlias

from fairlead.simulator.scenario.faults import Unknown, Wrong, near
from fairlead.simulator.scenario.names import check_range

Check: TypeAlias = Callable[[Any], None]


def shown(value: object) -> str:
    """A value as the file shows it, cut short."""
    text = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
    text = text or (f"'{value}'" if isinstance(value, str) else str(value))
    return text if len(text) <= 60 else text[:57] + "..."


def refuse(value: object, expected: str) -> Wrong:
    """The fault of a value that is not what was expected."""
    return Wrong(f"{shown(value)} is not {expected}")


def text(expected: str, pattern: str = r"(?s).+", hint: Callable[[str], str] = lambda _: "") -> Check:
    """Text that matches `pattern` whole, its ranges of names not too long. `hint`: what may have been meant by other text."""
    fits = re.compile(pattern).fullmatch

    def check(value: Any) -> None:
        if type(value) is not str or not fits(value):
            raise Wrong(refuse(value, expected).text + (hint(value) if type(value) is str else ""))
        for part in value.split("|"):
            check_range(part)

    return check


def word(*known: str) -> Check:
    """One of a closed list of words."""

    def check(value: Any) -> None:
        if type(value) is not str or value not in known:
            raise Wrong(f"{shown(value)} is not one of {', '.join(known)}" + _hint(value, known))

    return check


LARGEST: Final = 1e18
"""No amount is larger: what is written beyond it is a slip, and would not fit the core's numbers."""


def number(expected: str, *, least: float = 0, most: float = LARGEST, whole: bool = False) -> Check:
    """A number (a whole one) within bounds, both included."""
    types = (int,) if whole else (int, float)

    def check(value: Any) -> None:
        if type(value) not in types or not least <= value:
            raise refuse(value, expected)
        if value > most:
            raise refuse(value, f"{expected}, at most {most:g}")

    return check


def truth(value: Any) -> None:
    """true or false, nothing else: `yes` and `on` are text."""
    if type(value) is not bool:
        raise refuse(value, "true or false")


def by_type(expected: str, checks: Mapping[type, Check]) -> Check:
    """The check that belongs to the value's own type; every other type is refused."""

    def check(value: Any) -> None:
        inner = checks.get(type(value))
        if inner is None:
            raise refuse(value, expected)
        inner(value)

    return check


def items(each: Check, expected: str, *, least: int = 0, unique: bool = False) -> Check:
    """A list, every item of which passes."""

    def check(value: Any) -> None:
        if type(value) is not list or len(value) < least:
            raise refuse(value, expected)
        for position, item in enumerate(value):
            try:
                each(item)
            except Wrong as wrong:
                raise wrong.under(position) from None
        if unique and len({str(item) for item in value}) < len(value):
            raise refuse(value, f"{expected} without doubles")

    return check


def table(each: Check, expected: str, *, key: Check | None = None, least: int = 0) -> Check:
    """A map from free keys to values that all pass."""

    def check(value: Any) -> None:
        if type(value) is not dict or len(value) < least:
            raise refuse(value, expected)
        for name, inner in value.items():
            try:
                if key is not None:
                    key(name)
                each(inner)
            except Wrong as wrong:
                raise wrong.under(name) from None

    return check


def fields(what: str, known: Mapping[str, Check], *, required: Collection[str] = (), least: int = 0) -> Check:
    """A map with known keys only; `what` names it in the refusal."""

    def check(value: Any) -> None:
        if type(value) is not dict or len(value) < least:
            raise refuse(value, f"{what}: a map with some of {', '.join(known)}")
        for name, inner in value.items():
            one = known.get(name)
            if one is None:
                raise Unknown(name, near(name, known))
            try:
                one(inner)
            except Wrong as wrong:
                raise wrong.under(name) from None
        for name in required:
            if name not in value:
                raise Wrong(f"{what} needs the key {name}")

    return check


def _hint(value: object, known: Collection[str]) -> str:
    found = near(value, known) if isinstance(value, str) else ""
    return found if "did you mean" in found else ""
