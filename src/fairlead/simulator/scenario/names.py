"""Ranges in names, and handing names out in turn: `n[0-999]` is a thousand names, `n[0-9]*8` says each eight times."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import cycle
from typing import Final

from fairlead.simulator.scenario.faults import Wrong

MOST_NAMES: Final = 1_000_000
"""A range of more names is a slip: no cluster is that large, and no machine holds it."""
_RANGE: Final = re.compile(r"(.*)\[([0-9]+)-([0-9]+)\](.*?)(?:\*([0-9]+))?")


def has_range(text: str) -> bool:
    """Whether `text` stands for several names."""
    return "[" in text and _RANGE.fullmatch(text) is not None


def check_range(text: str) -> None:
    """Passes text whose range, if it holds one, is of some names and not of too many. Raises: Wrong."""
    match = _RANGE.fullmatch(text) if "[" in text else None
    if match is None:
        return
    _, low, high, _, repeat = match.groups()
    count = (int(high) - int(low) + 1) * int(repeat or 1)
    if not 0 < count <= MOST_NAMES:
        raise Wrong(f"{text} stands for {max(count, 0)} names; a range goes upwards and holds at most {MOST_NAMES}")


@lru_cache(maxsize=4096)
def expand(text: str) -> tuple[str, ...]:
    """The names `text` stands for, in order; itself where it holds no range."""
    match = _RANGE.fullmatch(text) if "[" in text else None
    if match is None:
        return (text,)
    head, low, high, tail, repeat = match.groups()
    width = len(low) if low.startswith("0") else 0
    times = range(int(repeat or 1))
    return tuple(f"{head}{i:0{width}d}{tail}" for i in range(int(low), int(high) + 1) for _ in times)


def dealt(texts: str | Sequence[str]) -> Iterator[str]:
    """The names of one value, handed out in turn for ever."""
    one = (texts,) if isinstance(texts, str) else texts
    return cycle([name for text in one for name in expand(text)])


def alternatives(text: str) -> frozenset[str]:
    """The nodes meant by `n1|n2` or `n[0-3]` in an expectation."""
    return frozenset(name for part in text.split("|") for name in expand(part))
