"""Free text as it may leave the house: line by line, without what looks like a secret. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from fairlead.preflight.redact import CUT, Left, without_secrets

_BEGIN: Final = re.compile(r"-----BEGIN [^-]*-----")
_END: Final = re.compile(r"-----END [^-]*-----")
_ASSIGNED: Final = re.compile(
    r"(?i)([\w-]*(?:token|secret|password|passwd|signature|api[_-]?key|access[_-]?key|credentials?)[\w-]*[\"']?\s*[=:]\s*)"
    r"(\"[^\"]*\"|'[^']*'|[^\s,;&\"'}]+)"
)
"""A word that speaks of a secret, and what is said to be one: also at the beginning of a line, and with spaces in quotes."""
_LONGEST: Final = 4_000
"""Characters of a line that are kept."""


def clean_lines(lines: Iterable[str], left: Left) -> Iterator[str]:
    """The lines without secrets. A key or certificate over many lines is one cut."""
    inside = False
    for line in lines:
        if inside:
            inside = not _END.search(line)
            continue
        inside = _BEGIN.search(line) is not None and not _END.search(line)
        yield clean(line, left)


def clean(line: str, left: Left) -> str:
    """One line without secrets."""
    text, found = _ASSIGNED.subn(lambda each: each[1] + CUT, without_secrets(line, left))
    if found:
        left.out("values of what is called a secret")
    if len(text) > _LONGEST:
        left.out("ends of long lines")
        text = text[:_LONGEST] + "…"
    return text
