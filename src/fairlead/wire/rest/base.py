"""What all models of the REST API share."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


def camel(name: str) -> str:
    """The name on the wire: camelCase, with `k8s` as existing clients write it."""
    return to_camel(name).replace("k8S", "k8s")


class Rest(BaseModel):
    """Base of all models: camelCase on the wire, snake_case in code."""

    model_config = ConfigDict(alias_generator=camel, populate_by_name=True, extra="ignore")


class Request(Rest):
    """Base of request bodies: a field nobody knows is refused with its path, so that a typing error never goes unnoticed;
    and so is a figure that is none or has no end, which JSON does not have."""

    model_config = ConfigDict(alias_generator=camel, populate_by_name=True, extra="forbid", allow_inf_nan=False)


_LAST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


def instant(seconds: float | None) -> datetime | None:
    """RFC 3339 UTC time from seconds since the epoch, kept within the years that can be written; None stays None."""
    return None if seconds is None else datetime.fromtimestamp(min(max(0.0, seconds), _LAST), UTC)
