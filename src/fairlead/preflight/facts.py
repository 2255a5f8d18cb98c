"""What was found out about a cluster: a nested document, read by paths. What was not found out is `Unknown`, and says why.

A check asks in one of two ways. `facts.text("server", "git_version")` gives a value or raises Missing, which makes the check's verdict
unknown: that is the usual one. `facts.maybe_text(...)` gives None instead, for hints that only better a sentence or can only worsen
a verdict. So no check can take what is not known for good news by mistake.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from fairlead.preflight.keys import KEYS
from fairlead.preflight.reading import (
    NONE,
    Reasons,
    document_of,
    in_its_sort,
    reasons_in,
    refuse_what_is_wrong,
    without_refused,
)

VERSION: Final = 1
"""`facts_version` that this program writes. It reads older ones."""

_MEANINGS: Final = {key.path: key.meaning for key in KEYS}
Step = str | int
_ABSENT: Final = object()
NOT_GATHERED: Final = "not gathered: "
"""How a reason begins that tells only that there is no such fact."""


@dataclass(frozen=True)
class Unknown:
    """A fact that could not be had, and why. It is neither true nor false: asking is a bug, which makes the verdict unknown."""

    why: str

    def __bool__(self) -> bool:
        raise TypeError(f"taken for true or false, but not known: {self.why}")


class Missing(Exception):
    """A check needs a fact that is not known. `why` is told to people."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True)
class Facts:
    """A document of facts, or a part of one. `path`: where the part is."""

    document: Any
    path: tuple[Step, ...] = ()
    reasons: Reasons = NONE

    def get(self, *steps: Step) -> Any:
        """The value there as it is, or Unknown."""
        value = self.document
        if (why := _why(value)) is not None:
            return Unknown(why)
        for number, step in enumerate(steps, 1):
            value = _inner(value, step)
            if value is _ABSENT:
                return Unknown(self._why_absent(steps[:number]))
            if (why := _why(value)) is not None:
                return Unknown(why)
        return value

    def known(self, *steps: Step) -> bool:
        """Whether there is a value, null included."""
        return not isinstance(self.get(*steps), Unknown)

    def why(self, *steps: Step) -> str:
        """Why it is not known; empty where it is."""
        value = self.get(*steps)
        return value.why if isinstance(value, Unknown) else ""

    def said_unknown(self, *steps: Step) -> str:
        """Why what is there is marked as unknown; empty where it is not."""
        why = self.why(*steps)
        return "" if why.startswith(NOT_GATHERED) else why

    def need(self, *steps: Step) -> Any:
        """The value there. Raises: Missing."""
        value = self.get(*steps)
        if isinstance(value, Unknown):
            raise Missing(value.why)
        return value

    def text(self, *steps: Step) -> str:
        """The text there. Raises: Missing, also for null."""
        value = self.need(*steps)
        if value is None:
            raise Missing(f"there is none: {_shown((*self.path, *steps))}")
        return str(value)

    def number(self, *steps: Step) -> float:
        """The number there. Raises: Missing."""
        return float(self.need(*steps))

    def flag(self, *steps: Step) -> bool:
        """Whether it is so. Raises: Missing."""
        return bool(self.need(*steps))

    def texts(self, *steps: Step) -> tuple[str, ...]:
        """The list of texts there. Raises: Missing, also where one of them is not known."""
        return tuple(self.text(*steps, number) for number in range(len(self.need(*steps))))

    def keys(self, *steps: Step) -> tuple[str, ...]:
        """The keys of the map there, sorted. Raises: Missing."""
        return tuple(sorted(self.need(*steps)))

    def at(self, *steps: Step) -> Facts:
        """The part there, with what is known of it."""
        return Facts(self._raw(steps), (*self.path, *steps), self.reasons)

    def items(self, *steps: Step) -> tuple[Facts, ...]:
        """The entries of the list of maps there. Raises: Missing."""
        return tuple(self.at(*steps, number) for number in range(len(self.need(*steps))))

    def or_else(self, usual: Any, *steps: Step) -> Any:
        """The value there, or the usual one where the key, or the part it is in, is left out.

        Raises: Missing where it is said to be unknown. For keys alone whose line in the table says what it means that they are left out.
        """
        value = self.document
        for step in steps:
            if (why := _why(value)) is not None:
                raise Missing(why)
            value = _inner(value, step)
            if value is _ABSENT:
                return usual
        if (why := _why(value)) is not None:
            raise Missing(why)
        return value

    def left_out(self, *steps: Step) -> bool:
        """Whether nothing is said there: no value, and no `unknown`. A reason that is told elsewhere (`reasons`) says nothing there."""
        missing = object()
        try:
            return self.or_else(missing, *steps) is missing
        except Missing:
            return False

    def texts_or_none(self, *steps: Step) -> tuple[str, ...]:
        """The list of texts there, none where the key is left out. Raises: Missing where it, or an entry, is said to be unknown."""
        return self.texts(*steps) if self.or_else(None, *steps) is not None else ()

    def items_or_none(self, *steps: Step) -> tuple[Facts, ...]:
        """The entries of the list of maps there, none where the key is left out. Raises: Missing where it is said to be unknown."""
        return self.items(*steps) if self.or_else(None, *steps) is not None else ()

    def maybe_text(self, *steps: Step) -> str | None:
        """The text there, None where it is not known or null."""
        value = self.get(*steps)
        return None if isinstance(value, Unknown) or value is None else str(value)

    def maybe_number(self, *steps: Step) -> float | None:
        """The number there, None where it is not known."""
        value = self.get(*steps)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def maybe_flag(self, *steps: Step) -> bool | None:
        """Whether it is so, None where it is not known."""
        value = self.get(*steps)
        return value if isinstance(value, bool) else None

    def maybe_texts(self, *steps: Step) -> tuple[str, ...]:
        """The known texts of the list there."""
        value = self.get(*steps)
        return tuple(str(each) for each in value if _why(each) is None) if isinstance(value, list) else ()

    def maybe_items(self, *steps: Step) -> tuple[Facts, ...]:
        """The entries of the list there; none where it is not known."""
        return self.items(*steps) if isinstance(self.get(*steps), list) else ()

    def maybe_keys(self, *steps: Step) -> tuple[str, ...]:
        """The keys of the map there, sorted; none where it is not known."""
        value = self.get(*steps)
        return tuple(sorted(value)) if isinstance(value, Mapping) else ()

    @cached_property
    def nodes(self) -> Mapping[str, Facts]:
        """The listed nodes by their names; none where the list is not known."""
        listed = ((node.maybe_text("name"), node) for node in self.maybe_items("nodes"))
        return {name: node for name, node in listed if name is not None}

    @property
    def run_id(self) -> str:
        """Identity of the run; where none was written, one made from the document."""
        return self.maybe_text("run", "id") or hashlib.sha256(self.as_json().encode()).hexdigest()[:8]

    def as_json(self) -> str:
        """The document, the same bytes for the same facts."""
        return json.dumps(self.document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    def _raw(self, steps: tuple[Step, ...]) -> Any:
        value = self.get(*steps)
        return {"unknown": value.why} if isinstance(value, Unknown) else value

    def _why_absent(self, steps: tuple[Step, ...]) -> str:
        path = (*self.path, *steps)
        if why := self.reasons.of(path):
            return why
        meaning = _MEANINGS.get(_shown(path))
        return f"{NOT_GATHERED}{_shown(path)}" + (f" ({meaning})" if meaning else "")


def facts_from(text: str, name: str = "facts") -> Facts:
    """The facts in a file of YAML or JSON.

    Raises: Invalid naming each key that nobody knows and each value of another sort, or that the file is of a newer program.
    """
    return facts_of(document_of(text, name), name)


def facts_of(document: Mapping[str, Any], name: str = "facts") -> Facts:
    """The facts of a document that is read already. Raises: Invalid."""
    written = in_its_sort(document)
    refuse_what_is_wrong(written, name, VERSION)
    reasons = reasons_in(written)
    return Facts(without_refused(written, reasons), (), reasons)


def leaves(document: Any, path: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], Any]]:
    """Every path of a document that leads to a value or an unknown, and what is there."""
    if isinstance(document, Mapping) and _why(document) is None and document:
        for key, value in document.items():
            yield from leaves(value, (*path, key))
    elif isinstance(document, list) and document:
        for number, value in enumerate(document):
            yield from leaves(value, (*path, number))
    else:
        yield path, document


def _inner(value: Any, step: Step) -> Any:
    if isinstance(value, Mapping):
        return value.get(step, _ABSENT)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return _ABSENT


def _why(value: Any) -> str | None:
    """The reason where a value stands for what is not known."""
    if isinstance(value, Mapping) and set(value) == {"unknown"} and isinstance(value["unknown"], str):
        return value["unknown"]
    return None


def _shown(path: tuple[Step, ...]) -> str:
    return "".join("[]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
