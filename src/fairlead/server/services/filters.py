"""`filterBy` as existing clients write it: `field op value`, all of which must hold. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from fairlead.runtime.errors import Invalid

Row = TypeVar("Row")

OPERATORS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "==": lambda have, value: have == value,
    "!=": lambda have, value: have != value,
    "<=": lambda have, value: have <= value,
    ">=": lambda have, value: have >= value,
    "=@": lambda have, value: value.lower() in have.lower(),
    "!@": lambda have, value: value.lower() not in have.lower(),
    "=^": lambda have, value: have.lower().startswith(value.lower()),
    "=$": lambda have, value: have.lower().endswith(value.lower()),
}
"""Equal, unlike, at most, at least, contains, does not contain, begins with, ends with; the last four take letters of either case."""
OF_TIMES: Final = ("==", "!=", "<=", ">=")
_FILTER: Final = re.compile(r"\s*([A-Za-z0-9_.]*?)\s*(==|!=|<=|>=|=@|!@|=\^|=\$)(.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """One condition on a field."""

    field: str
    operator: str
    value: str

    def holds(self, have: str) -> bool:
        """Whether a text meets it."""
        return OPERATORS[self.operator](have, self.value)

    def moment(self) -> float:
        """Its value as seconds since the epoch, for a field that is a time.

        Raises: Invalid where it is no time, or the operator is one of texts.
        """
        if self.operator not in OF_TIMES:
            raise Invalid(
                f"{self.field} is a time and cannot be compared with {self.operator!r}.",
                fields={"filterBy": f"{self.field} with one of {', '.join(OF_TIMES)}"},
                code="bad-filter",
            )
        try:
            found = datetime.fromisoformat(self.value)
        except ValueError:
            raise Invalid(
                f"{self.value!r} is no time, and {self.field} is one.",
                fields={"filterBy": f"{self.field}{self.operator}2026-01-31T09:00:00Z"},
                code="bad-filter",
            ) from None
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def parsed(texts: Iterable[str] | None, known: Iterable[str], what: str) -> tuple[Filter, ...]:
    """The filters in these texts, each of which may hold several, joined by commas.

    Raises: Invalid naming the text that is none, or the field that `what` cannot be filtered by and those it can.
    """
    fields, found = tuple(known), []
    for text in (part for joined in texts or () for part in joined.split(",") if part.strip()):
        match = _FILTER.fullmatch(text)
        if match is None or not match[1]:
            raise Invalid(
                f"{text!r} is no filter.",
                hint=f"Write `field==value`, such as `{fields[0]}==x`; operators: {' '.join(OPERATORS)}.",
                code="bad-filter",
            )
        field, operator, value = match.groups()
        if field not in fields:
            raise Invalid(
                f"{what} cannot be filtered by {field!r}.", fields={"filterBy": ", ".join(fields)}, code="bad-filter"
            )
        found.append(Filter(field=field, operator=operator, value=value.strip()))
    return tuple(found)


def kept(
    rows: Iterable[Row], texts: Iterable[str] | None, fields: Mapping[str, Callable[[Row], Any]], what: str
) -> list[Row]:
    """The rows that meet all filters. `fields`: name -> its value of a row, a text, a time, a flag or nothing.

    Raises: Invalid, as `parsed` does.
    """
    filters = parsed(texts, fields, what)
    return [row for row in rows if all(_meets(f, fields[f.field](row)) for f in filters)]


def _meets(wanted: Filter, have: Any) -> bool:
    if isinstance(have, datetime):
        return _OF_MOMENTS[wanted.operator](have.timestamp() - wanted.moment())
    text = str(have).lower() if isinstance(have, bool) else "" if have is None else str(have)
    return wanted.holds(text)


SAME_SECONDS: Final = 5e-7
"""Times are told to the microsecond: what lies closer together is one moment."""
_OF_MOMENTS: Final[Mapping[str, Callable[[float], bool]]] = {
    "==": lambda apart: abs(apart) <= SAME_SECONDS,
    "!=": lambda apart: abs(apart) > SAME_SECONDS,
    "<=": lambda apart: apart <= SAME_SECONDS,
    ">=": lambda apart: apart >= -SAME_SECONDS,
}
