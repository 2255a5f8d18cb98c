"""JSON columns as what they hold. A row that another version or a person wrote may not fit its type any more: it is named in the log,
and whoever lists it goes on without it."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import structlog

T = TypeVar("T")

_log = structlog.get_logger()


def read(text: str | None, kind: type[T], table: str, *key: str) -> T | None:
    """The column's text as a `kind`; None, and a warning that names the row by table and key, where it is none."""
    try:
        return msgspec.json.decode(text or "", type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        _log.warning(
            "stored row cannot be read", table=table, key="/".join(key), expected=kind.__name__, error=str(error)
        )
        return None


def write(value: Any) -> str:
    """The column's text."""
    return msgspec.json.encode(value).decode()


def as_text(text: str) -> str:
    """What the database driver gives for a JSON column: the text as it is, read by whoever knows its type."""
    return text
