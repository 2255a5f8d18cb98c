"""Node pools, departments and projects: three tables of one shape."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Select, Table, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fairlead.runtime.errors import Conflict
from fairlead.server.db import tables as t
from fairlead.server.db.records import OrgUnit, Scope, record

TABLES: dict[str, Table] = {"node-pool": t.node_pool, "department": t.department, "project": t.project}
"""What an organisation unit may be, by the word used in paths and audit."""


class Place(NamedTuple):
    """Where a department or project stands. `department_id` is empty for a department."""

    what: str
    id: str
    cluster_id: str
    department_id: str
    name: str


async def units(c: AsyncConnection, what: str, scope: Scope, *, cluster_id: str = "") -> tuple[OrgUnit, ...]:
    """The living units of a sort by name, of one cluster or of all."""
    table = TABLES[what]
    query = select(table).where(table.c.deleted == 0).order_by(table.c.name)
    if cluster_id:
        query = query.where(table.c.cluster_id == cluster_id)
    return tuple(record(OrgUnit, row) for row in await c.execute(_visible(query, what, scope)))


async def unit(c: AsyncConnection, what: str, unit_id: str, scope: Scope) -> OrgUnit | None:
    """The living unit with that id, where the reader may see it."""
    table = TABLES[what]
    query = _visible(select(table).where(table.c.id == unit_id, table.c.deleted == 0), what, scope)
    row = (await c.execute(query)).one_or_none()
    return None if row is None else record(OrgUnit, row)


async def places(c: AsyncConnection) -> tuple[Place, ...]:
    """Every living department and project, without what it may use."""
    d, p = t.department.c, t.project.c
    above = select(literal("department"), d.id, d.cluster_id, literal(""), d.name).where(d.deleted == 0)
    below = select(literal("project"), p.id, p.cluster_id, p.department_id, p.name).where(p.deleted == 0)
    return tuple(Place(*row) for row in await c.execute(above.union_all(below)))


async def changed_units(c: AsyncConnection, cluster_id: str, since: int) -> tuple[tuple[str, OrgUnit], ...]:
    """All units of a cluster, deleted ones too, whose revision is above `since`, departments before projects."""
    found: list[tuple[str, OrgUnit]] = []
    for what, table in TABLES.items():
        query = select(table).where(table.c.cluster_id == cluster_id, table.c.revision > since).order_by(table.c.name)
        found += [(what, record(OrgUnit, row)) for row in await c.execute(query)]
    return tuple(found)


async def add_unit(c: AsyncConnection, what: str, **values: Any) -> None:
    """Stores a new unit.

    Raises: Conflict where the name is taken in that cluster.
    """
    table = TABLES[what]
    taken = select(func.count()).where(
        table.c.cluster_id == values["cluster_id"], table.c.name == values["name"], table.c.deleted == 0
    )
    if (await c.execute(taken)).scalar_one():
        raise Conflict(
            f"A {what} named {values['name']!r} exists already.",
            hint="Choose another name, or change the one there is.",
            code="name-taken",
        )
    await c.execute(insert(table).values(**values))


async def change_unit(c: AsyncConnection, what: str, seen: OrgUnit, **values: Any) -> None:
    """Overwrites fields of the unit as it was `seen`.

    Raises: Conflict where somebody changed it since.
    """
    table = TABLES[what]
    done = await c.execute(
        update(table)
        .where(table.c.id == seen.id, table.c.version == seen.version)
        .values(version=seen.version + 1, **values)
    )
    if done.rowcount == 0:
        raise Conflict(
            f"The {what} {seen.name!r} was changed by somebody else at the same moment.",
            hint="Read it again, then repeat the change.",
            code="changed-meanwhile",
        )


def _visible(query: Select[Any], what: str, scope: Scope) -> Select[Any]:
    """A node pool is seen with its cluster."""
    table = TABLES[what]
    seen = {"node-pool": scope.clusters, "department": scope.departments, "project": scope.projects}[what]
    column = table.c.cluster_id if what == "node-pool" else table.c.id
    return query if seen is None else query.where(column.in_(seen))
