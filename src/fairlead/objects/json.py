"""The shape of foreign JSON: documents whose fields we do not name."""

from __future__ import annotations

from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""Any JSON value."""

JsonObject: TypeAlias = "dict[str, Json]"
"""A JSON object, such as a whole Kubernetes object of a kind we have no type for."""


def as_object(value: Json) -> JsonObject:
    """Give `value` when it is a JSON object, else an empty one: reading a path never fails."""
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Json]:
    """Give `value` when it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: Json) -> str:
    """Give `value` when it is a string, else the empty one."""
    return value if isinstance(value, str) else ""
