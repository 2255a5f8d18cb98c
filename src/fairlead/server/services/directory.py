"""What else is needed to show workloads, read at once for all of them: the names they refer to, and their places in line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from fairlead.server.db import org, stored, workloads
from fairlead.server.db.records import EVERYTHING, OrgUnit, Workload


@dataclass(frozen=True, kw_only=True)
class Directory:
    """Projects and departments by id; of waiting workloads (place, how many wait in that line)."""

    projects: dict[str, OrgUnit]
    departments: dict[str, OrgUnit]
    places: dict[str, tuple[int, int]] = field(default_factory=dict)


async def directory(c: AsyncConnection, shown: Iterable[Workload] = ()) -> Directory:
    """All living projects and departments, and the places in line of those that are to be shown."""
    waiting = [w for w in shown if w.phase == "Pending"]
    return Directory(
        projects={p.id: p for p in await org.units(c, "project", EVERYTHING)},
        departments={d.id: d for d in await org.units(c, "department", EVERYTHING)},
        places=await _places(c, waiting) if waiting else {},
    )


class _Queued(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a `WorkloadRow` that says where it stands."""

    pool: str = ""
    priority: int = 50
    queued: float = 0.0
    queued_as: str = ""
    next_try: float | None = None


async def _places(c: AsyncConnection, shown: list[Workload]) -> dict[str, tuple[int, int]]:
    """Of each that waits, as the scheduler serves those of one project and node pool: by priority, then by age."""
    lines: dict[tuple[str, str], list[tuple[int, float, str, str]]] = defaultdict(list)
    for workload_id, project_id, text in await workloads.waiting(c, {w.project_id for w in shown}):
        row = stored.read(text, _Queued, "workload", workload_id)
        if row is not None and row.next_try is None:
            lines[project_id, row.pool].append((-row.priority, row.queued, row.queued_as, workload_id))
    return {key[-1]: (at, len(line)) for line in lines.values() for at, key in enumerate(sorted(line), 1)}
