"""The audit trail: who changed what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from fairlead.server.db import stored
from fairlead.server.db import tables as t


@dataclass(frozen=True, kw_only=True)
class Part:
    """Which events: from `start` until before `end` (seconds since the epoch), newest first unless `ascending`."""

    start: float = 0.0
    end: float | None = None
    offset: int = 0
    limit: int = 100
    ascending: bool = False


async def add_event(c: AsyncConnection, **values: Any) -> None:
    """Stores one event in the caller's transaction: it is there exactly if the change is."""
    await c.execute(insert(t.audit).values(**values))


async def events(c: AsyncConnection, part: Part) -> tuple[dict[str, Any], ...]:
    """One page of events."""
    order = t.audit.c.id.asc() if part.ascending else t.audit.c.id.desc()
    query = _between(select(t.audit), part).order_by(order).offset(part.offset).limit(part.limit)
    return tuple(_event(row._mapping) for row in await c.execute(query))


async def count(c: AsyncConnection, part: Part) -> int:
    """How many events there are between its times."""
    return int((await c.execute(_between(select(func.count()).select_from(t.audit), part))).scalar_one())


def _event(row: Mapping[str, Any]) -> dict[str, Any]:
    details = row["details"]
    read = None if details is None else stored.read(details, dict[str, Any], "audit", str(row["id"]))
    return {**row, "details": read}


def _between(query: Select[Any], part: Part) -> Select[Any]:
    query = query.where(t.audit.c.time >= part.start)
    return query if part.end is None else query.where(t.audit.c.time < part.end)
