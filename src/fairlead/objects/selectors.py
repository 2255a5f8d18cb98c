"""Label and field selectors: parsed once, matched many times."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from msgspec import Struct

from fairlead.objects.meta import LabelSelector

Operator = Literal["in", "notin", "exists", "absent"]

_SET: Final = re.compile(r"^(?P<key>\S+)\s+(?P<op>in|notin)\s+\((?P<values>[^()]*)\)$")
_COMPARE: Final = re.compile(r"^(?P<key>[^\s=!]+)\s*(?P<op>==|=|!=)\s*(?P<value>\S*)$")
_KEY: Final = re.compile(r"^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?$")
_EXPRESSION: Final[Mapping[str, Operator]] = {
    "In": "in",
    "NotIn": "notin",
    "Exists": "exists",
    "DoesNotExist": "absent",
}


class Requirement(Struct, frozen=True):
    """One condition on one label; a selector is all of several."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Say whether the labels satisfy this condition; `notin` holds where the label is absent."""
        value = labels.get(self.key)
        if self.operator == "in":
            return value is not None and value in self.values
        if self.operator == "notin":
            return value is None or value not in self.values
        return (value is not None) == (self.operator == "exists")


Selector = tuple[Requirement, ...]
"""All conditions must hold; the empty selector selects everything."""


def matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Say whether the labels satisfy every condition."""
    return all(requirement.holds(labels) for requirement in selector)


def parse(text: str) -> Selector:
    """Give the conditions of "a=b,c!=d,e in (x,y),f notin (z),g,!h".

    Raises: ValueError naming the part that could not be read.
    """
    return tuple(_requirement(part) for part in _split(text))


def render(selector: Selector) -> str:
    """Give the text that `parse` reads back to the same selector."""
    return ",".join(_render(requirement) for requirement in selector)


def of_object(selector: LabelSelector) -> Selector:
    """Give the conditions of an object's `matchLabels` and `matchExpressions`, sorted by key."""
    pairs = [Requirement(key, "in", (value,)) for key, value in sorted(selector.match_labels.items())]
    expressions = [
        Requirement(item.key, _operator(item.operator), tuple(sorted(item.values)))
        for item in sorted(selector.match_expressions, key=lambda item: item.key)
    ]
    return (*pairs, *expressions)


def of_labels(labels: Mapping[str, str]) -> Selector:
    """Give the selector that asks for exactly these labels."""
    return tuple(Requirement(key, "in", (value,)) for key, value in sorted(labels.items()))


def parse_fields(text: str) -> tuple[tuple[str, bool, str], ...]:
    """Give (path, wanted, value) of "a.b=c,d!=e"; `wanted` is False for `!=`.

    Raises: ValueError naming the part that could not be read.
    """
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        form = _COMPARE.match(part)
        if form is None:
            raise ValueError(f"invalid selector: {part!r}; can't understand {part!r}")
        found.append((form["key"], form["op"] != "!=", form["value"]))
    return tuple(found)


def _split(text: str) -> Iterable[str]:
    depth, start = 0, 0
    for index, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            yield text[start:index].strip()
            start = index + 1
    if tail := text[start:].strip():
        yield tail


def _requirement(part: str) -> Requirement:
    if form := _SET.match(part):
        values = tuple(sorted(value.strip() for value in form["values"].split(",")))
        return Requirement(_key(form["key"]), "in" if form["op"] == "in" else "notin", values)
    if form := _COMPARE.match(part):
        return Requirement(_key(form["key"]), "notin" if form["op"] == "!=" else "in", (form["value"],))
    if part.startswith("!"):
        return Requirement(_key(part[1:].strip()), "absent")
    return Requirement(_key(part), "exists")


def _key(text: str) -> str:
    if not _KEY.match(text):
        raise ValueError(f"unable to parse requirement: invalid label key {text!r}")
    return text


def _operator(name: str) -> Operator:
    if name not in _EXPRESSION:
        raise ValueError(f"{name!r} is not a valid label selector operator")
    return _EXPRESSION[name]


def _render(requirement: Requirement) -> str:
    key, values = requirement.key, requirement.values
    if requirement.operator == "exists":
        return key
    if requirement.operator == "absent":
        return f"!{key}"
    if len(values) == 1 and values[0]:
        return f"{key}{'=' if requirement.operator == 'in' else '!='}{values[0]}"
    return f"{key} {requirement.operator} ({','.join(values)})"
