"""Times as Kubernetes writes them: RFC 3339 in UTC, to and from seconds since the epoch."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def seconds_of(text: str | None) -> float | None:
    """Give the seconds since the epoch that an RFC 3339 time names; None for none.

    Raises: ValueError when the text is not a time.
    """
    if not text:
        return None
    parsed = datetime.fromisoformat(text)
    return parsed.replace(tzinfo=parsed.tzinfo or UTC).timestamp()


def text_of(seconds: float) -> str:
    """Give the time with whole seconds (`metav1.Time`), such as 2026-01-02T03:04:05Z."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_text_of(seconds: float) -> str:
    """Give the time with microseconds (`metav1.MicroTime`), as leases and events carry it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def duration_of(text: str | None) -> float | None:
    """Give the seconds of a duration as objects write it (`metav1.Duration`), such as 20s or 1h30m; None for none.

    Raises: ValueError when the text is not a duration.
    """
    if not text:
        return None
    parts = _DURATION.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration; expected such as 20s or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)
