"""YAML 1.2 core schema over libyaml's C events: `on`, `yes` and `1:30` are text.

Refused here: keys that are not text, double keys, empty values, more than one document.
Lines are looked up only when something is wrong, so that reading pays nothing for them.
"""

import re
from typing import Any, Final, TypeAlias

import yaml

from fairlead.simulator.scenario.faults import Path, Unreadable

Plain: TypeAlias = str | int | float | bool | list["Plain"] | dict[str, "Plain"]

_Parser: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it, as all its wheels are; only its events are used."""
_INT: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BOOLS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))
_CORE: Final = "tag:yaml.org,2002:"


def parse(text: str) -> Plain:
    """The one document of `text` as plain values.  Raises: Unreadable."""
    try:
        return _Composer(text).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        last = max(1, len(text.rstrip().splitlines()))
        raise Unreadable(min(mark.line + 1, last) if mark else 1, f"not YAML: {problem}") from None


def line_of(text: str, path: Path) -> int:
    """The line (from 1) where `path` stands; as deep as the path can be followed."""
    events = _events(text)
    event = next(events)
    while not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
        event = next(events)
    line = _line(event)
    for step in path:
        found = _descend(events, event, step)
        if found is None:
            break
        event, line = found
    return line


def _descend(events: Any, event: Any, step: str | int) -> tuple[Any, int] | None:
    """The value of `step` inside the collection that `event` has just opened, and its line; None where there is none."""
    if not isinstance(event, yaml.CollectionStartEvent):
        return None
    in_map = isinstance(event, yaml.MappingStartEvent)
    for position, item in enumerate(events):
        if isinstance(item, yaml.CollectionEndEvent):
            return None
        here = item.value == step if in_map and isinstance(item, yaml.ScalarEvent) else position == step
        if in_map:
            value = next(events)
            if here:
                return value, item.start_mark.line + 1
            _skip(events, value)
        else:
            if here:
                return item, item.start_mark.line + 1
            _skip(events, item)
    return None


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + 1


def _skip(events: Any, event: Any) -> None:
    depth = int(isinstance(event, yaml.CollectionStartEvent))
    while depth:
        inner = next(events)
        depth += isinstance(inner, yaml.CollectionStartEvent) - isinstance(inner, yaml.CollectionEndEvent)


def _events(text: str) -> Any:
    return iter(yaml.parse(text, Loader=_Parser))


class _Composer:
    """Builds plain values from events; one memo of resolved plain scalars, one table of anchors."""

    def __init__(self, text: str) -> None:
        self.next = _Parser(text).get_event
        self.memo: dict[str, Plain] = {}
        self.anchors: dict[str, Plain] = {}

    def document(self) -> Plain:
        self.next()
        if isinstance(self.next(), yaml.StreamEndEvent):
            raise Unreadable(1, "the file is empty: a scenario is a mapping with title, nodes and queues")
        value = self.value(self.next())
        self.next()
        after = self.next()
        if not isinstance(after, yaml.StreamEndEvent):
            raise Unreadable(after.start_mark.line + 1, "a second document: one file is one scenario")
        return value

    def value(self, event: Any) -> Plain:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            value = self.scalar(event)
        elif kind is yaml.MappingStartEvent:
            value = self.mapping()
        elif kind is yaml.SequenceStartEvent:
            value = self.sequence()
        else:
            if event.anchor not in self.anchors:
                raise Unreadable(event.start_mark.line + 1, f"*{event.anchor} stands for nothing yet")
            return self.anchors[event.anchor]
        if event.anchor is not None:
            self.anchors[event.anchor] = value
        return value

    def mapping(self) -> dict[str, Plain]:
        out: dict[str, Plain] = {}
        while type(event := self.next()) is not yaml.MappingEndEvent:
            key = self.value(event) if type(event) is yaml.ScalarEvent else None
            if type(key) is not str:
                shown = event.value if type(event) is yaml.ScalarEvent else "..."
                raise Unreadable(event.start_mark.line + 1, f'a key must be text: write "{shown}" in quotes')
            if key in out:
                raise Unreadable(event.start_mark.line + 1, f"the key {key} is written twice")
            out[key] = self.value(self.next())
        return out

    def sequence(self) -> list[Plain]:
        out: list[Plain] = []
        while type(event := self.next()) is not yaml.SequenceEndEvent:
            out.append(self.value(event))
        return out

    def scalar(self, event: Any) -> Plain:
        text: str = event.value
        if event.implicit[0]:
            known = self.memo.get(text)
            if known is None:
                known = self.memo[text] = _resolve(text, event.start_mark.line + 1)
            return known
        if event.tag in (None, _CORE + "str", "!"):
            return text
        value = _resolve(text, event.start_mark.line + 1)
        if event.tag != _CORE + type(value).__name__:
            raise Unreadable(event.start_mark.line + 1, f"{event.tag} {text}: only the core schema's tags are read")
        return value


def _resolve(text: str, line: int) -> Plain:
    """What a plain scalar means in the core schema."""
    if text in _NULLS:
        raise Unreadable(line, "empty value: write one, or leave the key out")
    if text in _BOOLS:
        return _BOOLS[text]
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
