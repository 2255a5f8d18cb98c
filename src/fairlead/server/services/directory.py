"""Names of everything a workload refers to, to show rows without a query each."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from fairlead.server.db import org
from fairlead.server.db.records import EVERYTHING, OrgUnit


@dataclass(frozen=True, kw_only=True)
class Directory:
    """Projects and departments by id."""

    projects: dict[str, OrgUnit]
    departments: dict[str, OrgUnit]


async def directory(c: AsyncConnection) -> Directory:
    """All living projects and departments."""
    return Directory(
        projects={p.id: p for p in await org.units(c, "project", EVERYTHING)},
        departments={d.id: d for d in await org.units(c, "department", EVERYTHING)},
    )
