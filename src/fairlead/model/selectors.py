"""Label selectors: Kubernetes selector text to requirements, and whether labels meet them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from fairlead.model.units import ModelError

Requirement = tuple[str, str, tuple[str, ...]]
"""(key, operator, values); operators In, NotIn, Exists, DoesNotExist, Gt, Lt."""

_KEY: Final = r"[A-Za-z0-9]([A-Za-z0-9_./-]*[A-Za-z0-9])?"
_FORMS: Final = (
    (re.compile(rf"^!\s*(?P<key>{_KEY})$"), "DoesNotExist"),
    (re.compile(rf"^(?P<key>{_KEY})$"), "Exists"),
    (re.compile(rf"^(?P<key>{_KEY})\s*!=\s*(?P<one>\S*)$"), "NotIn"),
    (re.compile(rf"^(?P<key>{_KEY})\s*==?\s*(?P<one>\S*)$"), "In"),
    (re.compile(rf"^(?P<key>{_KEY})\s+notin\s*\((?P<many>[^)]*)\)$"), "NotIn"),
    (re.compile(rf"^(?P<key>{_KEY})\s+in\s*\((?P<many>[^)]*)\)$"), "In"),
    (re.compile(rf"^(?P<key>{_KEY})\s*>\s*(?P<one>-?\d+)$"), "Gt"),
    (re.compile(rf"^(?P<key>{_KEY})\s*<\s*(?P<one>-?\d+)$"), "Lt"),
)


def parse_selector(text: str) -> tuple[Requirement, ...]:
    """The requirements of a selector text such as `gpu in (a100,h100), !spot`, all of which must hold.

    Raises: ModelError for text that is no selector.
    """
    return tuple(_parse_part(part.strip()) for part in re.split(r",(?![^(]*\))", text) if part.strip())


def meets(labels: Mapping[str, str], requirements: Iterable[Requirement]) -> bool:
    """Whether these labels meet every requirement."""
    return all(_meets_one(labels.get(key), operator, values) for key, operator, values in requirements)


def _parse_part(part: str) -> Requirement:
    for form, operator in _FORMS:
        found = form.match(part)
        if found is None:
            continue
        groups = found.groupdict()
        if groups.get("many") is not None:
            return groups["key"], operator, tuple(sorted(value.strip() for value in groups["many"].split(",")))
        one = groups.get("one")
        return groups["key"], operator, () if one is None else (one,)
    raise ModelError(f"not a label selector: {part!r}")


def _meets_one(value: str | None, operator: str, values: tuple[str, ...]) -> bool:
    if operator in ("Gt", "Lt"):
        return value is not None and _compare(value, operator, values)
    if operator == "In":
        return value is not None and value in values
    if operator == "NotIn":
        return value is None or value not in values
    return (value is not None) == (operator == "Exists")


def _compare(value: str, operator: str, values: tuple[str, ...]) -> bool:
    try:
        number, bound = int(value), int(values[0])
    except ValueError:
        return False
    return number > bound if operator == "Gt" else number < bound
