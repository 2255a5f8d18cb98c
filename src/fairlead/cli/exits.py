"""Exit codes of `fairlead`: the one map from what happened to a number, and to a sentence on standard error."""

from __future__ import annotations

import sys
import tempfile
import traceback
from enum import IntEnum
from pathlib import Path

from fairlead.runtime.disk import full, is_full
from fairlead.runtime.errors import Bug, Conflict, Denied, FairleadError, Invalid, NotFound, Retryable


class Exit(IntEnum):
    """What the shell sees."""

    DONE = 0
    NO = 1
    """The answer is no: a check failed, a scenario did not hold, the workload failed while followed."""
    USAGE = 2
    NOT_FOUND = 3
    DENIED = 4
    """Not signed in, or not allowed."""
    UNREACHABLE = 5
    """Could not reach, or timed out."""
    BUG = 70


_CODES: tuple[tuple[type[FairleadError], Exit], ...] = (
    (NotFound, Exit.NOT_FOUND),
    (Denied, Exit.DENIED),
    (Invalid, Exit.USAGE),
    (Conflict, Exit.NO),
    (Retryable, Exit.UNREACHABLE),
    (Bug, Exit.BUG),
)


def exit_of(error: Exception) -> int:
    """Tells the error and gives its code; a bug of ours is written to a file and told in one line."""
    if isinstance(error, FairleadError):
        tell(error.message)
        fields = getattr(error, "fields", {})
        for field, expected in fields.items():
            print(f"  {field}: {expected}", file=sys.stderr)  # noqa: T201  # the edge to the terminal
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)  # noqa: T201
        return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.NO)
    if is_full(error):
        return exit_of(full(getattr(error, "filename", None) or "your data"))
    tell(f"This is a bug of ours: {type(error).__name__}. {_kept(error)}")
    return Exit.BUG


def _kept(error: Exception) -> str:
    """Writes what is needed to look into a bug; gives back where it is."""
    try:
        file = Path(tempfile.mkstemp(prefix="fairlead-bug-", suffix=".txt")[1])
        file.write_text("".join(traceback.format_exception(error)))
    except OSError as why:
        return f"Its details could not be written: {why}."
    return f"Details are in {file}."


def tell(message: str, *, usage: str = "") -> None:
    """One sentence on standard error."""
    if usage:
        print(usage, file=sys.stderr)  # noqa: T201
    print(f"fairlead: {message}", file=sys.stderr)  # noqa: T201
