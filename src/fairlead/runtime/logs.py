"""Logging: structlog with an event name and key/values, as JSON or for a console; secrets never get out."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import MutableMapping
from typing import Any, Final, Literal, TextIO, cast

import structlog

Level = Literal["debug", "info", "warning", "error"]

_NUMBER: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_SECRET_WORDS: Final = (
    "password",
    "secret",
    "token",
    "authorization",
    "cookie",
    "credential",
    "api_key",
    "private_key",
)
_HIDDEN: Final = "***"


def set_up(level: Level = "info", style: Literal["json", "console"] = "json", stream: TextIO | None = None) -> None:
    """Make every logger of this process write that level and up, in that style, to `stream` (standard error)."""
    out = stream or sys.stderr
    renderer: Any = structlog.processors.JSONRenderer()
    if style == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=out.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            hide_secrets,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_NUMBER[level]),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _Lossy(out))),
        cache_logger_on_first_use=False,
    )


def logger(name: str, **bound: object) -> structlog.typing.FilteringBoundLogger:
    """Give a logger that says who speaks."""
    return cast(structlog.typing.FilteringBoundLogger, structlog.get_logger(component=name, **bound))


class _Lossy:
    """A stream that loses what it cannot write: no work may fail because the disk of its log is full."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._out.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._out.flush()


def hide_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Give the event with the values of secret-sounding keys replaced, at any depth."""
    return {key: _hidden(key, value) for key, value in event.items()}


def _hidden(key: str, value: Any) -> Any:
    if any(word in key.lower().replace("-", "_") for word in _SECRET_WORDS) and value:
        return _HIDDEN
    if isinstance(value, dict):
        return {inner: _hidden(str(inner), item) for inner, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_hidden("", item) for item in value]
    return value
