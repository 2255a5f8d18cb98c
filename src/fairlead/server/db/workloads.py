"""Workloads and what the cluster reports: pods, nodes, queues."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Executable,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from fairlead.runtime.errors import Conflict
from fairlead.server.db import tables as t
from fairlead.server.db.records import Scope, Workload, record

_w = t.workload


@dataclass(frozen=True, kw_only=True)
class Where:
    """A condition on a column: an operator of `filterBy`, and a text, a number, or a range where that stands for one."""

    column: str
    operator: str
    value: str | float | tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Page:
    """Which part of a list, and in what order. `equal` maps a column to the values allowed; `where`: further conditions."""

    offset: int = 0
    limit: int = 500
    order: str = "created"
    descending: bool = True
    search: str = ""
    equal: tuple[tuple[str, tuple[str, ...]], ...] = ()
    where: tuple[Where, ...] = ()
    deleted: bool = False


async def workloads(c: AsyncConnection, scope: Scope, page: Page) -> tuple[Workload, ...]:
    """One page of workloads."""
    column = _w.c[page.order]
    order = column.desc() if page.descending else column.asc()
    query = _filtered(select(_w), scope, page).order_by(order, _w.c.id).offset(page.offset).limit(page.limit)
    return tuple(record(Workload, row) for row in await c.execute(query))


async def count_workloads(c: AsyncConnection, scope: Scope, page: Page) -> int:
    """How many workloads the filters of `page` leave."""
    return int((await c.execute(_filtered(select(func.count()).select_from(_w), scope, page))).scalar_one())


async def workload(c: AsyncConnection, workload_id: str, scope: Scope) -> Workload | None:
    """The workload with that id, deleted ones too, where the reader may see it."""
    query = _scoped(select(_w).where(_w.c.id == workload_id), scope)
    row = (await c.execute(query)).one_or_none()
    return None if row is None else record(Workload, row)


async def workloads_by_id(c: AsyncConnection, ids: Iterable[str]) -> tuple[Workload, ...]:
    """The workloads with these ids, deleted ones too."""
    found: list[Workload] = []
    for part in _parts(ids):
        found += [record(Workload, row) for row in await c.execute(select(_w).where(_w.c.id.in_(part)))]
    return tuple(found)


async def projects_of(c: AsyncConnection, cluster_id: str, ids: Iterable[str]) -> dict[str, str]:
    """Workload id -> project id of those that are this cluster's own, deleted ones too."""
    found: dict[str, str] = {}
    for part in _parts(ids):
        query = select(_w.c.id, _w.c.project_id).where(_w.c.cluster_id == cluster_id, _w.c.id.in_(part))
        found |= {row.id: row.project_id for row in await c.execute(query)}
    return found


async def workload_by_name(c: AsyncConnection, project_id: str, name: str) -> Workload | None:
    """The living workload of that name in a project."""
    query = select(_w).where(_w.c.project_id == project_id, _w.c.name == name, _w.c.deleted == 0)
    row = (await c.execute(query)).one_or_none()
    return None if row is None else record(Workload, row)


async def changed_workloads(c: AsyncConnection, cluster_id: str, since: int) -> tuple[Workload, ...]:
    """Workloads of a cluster that are wanted otherwise since that revision, or never seen in it, oldest change first.

    What is gone from the cluster is told no more: an agent that knows of no revision would make it anew, or remove it again. What was
    refused there may be there all the same, and is told to go.
    """
    unseen = and_(_w.c.observed.is_(None), _w.c.refused == "", _w.c.deleted == 0)
    refused = and_(_w.c.deleting.is_(True), _w.c.refused != "")
    changed = and_(_w.c.revision > since, or_(_w.c.deleted == 0, refused))
    query = select(_w).where(_w.c.cluster_id == cluster_id, or_(changed, unseen)).order_by(_w.c.revision)
    return tuple(record(Workload, row) for row in await c.execute(query))


async def waiting(c: AsyncConnection, project_ids: Iterable[str]) -> tuple[tuple[str, str, str], ...]:
    """(id, project id, what its cluster said last) of each workload of these projects that waits."""
    found: list[tuple[str, str, str]] = []
    for part in _parts(project_ids):
        waits = (_w.c.phase == "Pending", _w.c.deleted == 0, _w.c.observed.is_not(None), _w.c.project_id.in_(part))
        rows = await c.execute(select(_w.c.id, _w.c.project_id, _w.c.observed).where(*waits))
        found += [(row.id, row.project_id, row.observed) for row in rows]
    return tuple(found)


async def add_workload(c: AsyncConnection, **values: Any) -> None:
    """Stores a new workload.

    Raises: Conflict where the project has a living one of that name.
    """
    if await workload_by_name(c, values["project_id"], values["name"]) is not None:
        raise Conflict(
            f"A workload named {values['name']!r} exists already in this project.",
            hint="Choose another name, or delete the one there is.",
            code="name-taken",
        )
    await c.execute(insert(_w).values(**values))


async def change_workload(c: AsyncConnection, seen: Workload, **values: Any) -> None:
    """Overwrites what is wanted of the workload as it was `seen`.

    Raises: Conflict where somebody changed it since.
    """
    done = await c.execute(
        update(_w).where(_w.c.id == seen.id, _w.c.version == seen.version).values(version=seen.version + 1, **values)
    )
    if done.rowcount == 0:
        raise Conflict(
            f"The workload {seen.name!r} was changed by somebody else at the same moment.",
            hint="Read it again, then repeat.",
            code="changed-meanwhile",
        )


async def observe_workload(c: AsyncConnection, cluster_id: str, workload_id: str, **values: Any) -> bool:
    """Stores what a cluster says of a workload of its own; whether there is such a one."""
    mine = (_w.c.id == workload_id, _w.c.cluster_id == cluster_id)
    done = await c.execute(update(_w).where(*mine).values(**values))
    return done.rowcount > 0


async def ended(c: AsyncConnection, cluster_id: str, ids: Iterable[str]) -> tuple[Workload, ...]:
    """Those of these workloads of a cluster that are taken for gone, and whose name nobody else has since."""
    found: list[Workload] = []
    for part in _parts(ids):
        rows = await c.execute(_ended(), {"cluster": cluster_id, "ids": part})
        found += [record(Workload, row) for row in rows]
    return tuple(found)


async def living_ids(c: AsyncConnection, cluster_id: str) -> tuple[tuple[str, int, bool], ...]:
    """(id, revision, deleting) of every living workload of a cluster."""
    query = select(_w.c.id, _w.c.revision, _w.c.deleting).where(_w.c.cluster_id == cluster_id, _w.c.deleted == 0)
    return tuple((row.id, row.revision, row.deleting) for row in await c.execute(query))


async def pods_of(c: AsyncConnection, workload: Workload) -> tuple[tuple[str, str], ...]:
    """(uid, row as text) of each pod of a workload, as its cluster reported them."""
    query = select(t.pod.c.uid, t.pod.c.row).where(
        t.pod.c.workload_id == workload.id, t.pod.c.cluster_id == workload.cluster_id
    )
    return tuple((row.uid, row.row) for row in await c.execute(query))


async def nodes(c: AsyncConnection, scope: Scope) -> tuple[tuple[str, str, float, str], ...]:
    """(cluster, name, time of the report, row as text) of each node of the clusters the reader may see, by name."""
    query = _in_clusters(select(t.node).order_by(t.node.c.name), t.node, scope)
    return tuple((row.cluster_id, row.name, row.updated, row.row) for row in await c.execute(query))


async def queues(c: AsyncConnection, scope: Scope) -> tuple[tuple[str, str, str], ...]:
    """(cluster, key, row as text) of each queue of the clusters the reader may see, by key."""
    query = _in_clusters(select(t.queue).order_by(t.queue.c.key), t.queue, scope)
    return tuple((row.cluster_id, row.key, row.row) for row in await c.execute(query))


async def put_pods(c: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """Inserts or replaces pod rows: `uid`, `cluster_id`, `workload_id`, `row`."""
    await _put(c, t.pod, rows, ("uid",))


async def put_nodes(c: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """Inserts or replaces node rows: `cluster_id`, `name`, `row`, `updated`."""
    await _put(c, t.node, rows, ("cluster_id", "name"))


async def put_queues(c: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """Inserts or replaces queue rows: `cluster_id`, `key`, `row`."""
    await _put(c, t.queue, rows, ("cluster_id", "key"))


async def remove_pods(
    c: AsyncConnection, cluster_id: str, uids: Iterable[str] | None, keep: Iterable[str] = ()
) -> dict[str, str]:
    """Removes pods by uid, with None all of the cluster but `keep`; uid -> workload id of those that were there."""
    gone = await _present(c, t.pod.c.uid, t.pod.c.workload_id, cluster_id, uids, keep)
    await _remove(c, t.pod.c.uid, cluster_id, gone)
    return gone


async def remove_nodes(
    c: AsyncConnection, cluster_id: str, names: Iterable[str] | None, keep: Iterable[str] = ()
) -> tuple[str, ...]:
    """Removes nodes by name, with None all of the cluster but `keep`; the names of those that were there."""
    gone = await _present(c, t.node.c.name, t.node.c.name, cluster_id, names, keep)
    await _remove(c, t.node.c.name, cluster_id, gone)
    return tuple(gone)


async def remove_queues(
    c: AsyncConnection, cluster_id: str, keys: Iterable[str] | None, keep: Iterable[str] = ()
) -> tuple[str, ...]:
    """Removes queues by key, with None all of the cluster but `keep`; the keys of those that were there."""
    gone = await _present(c, t.queue.c.key, t.queue.c.key, cluster_id, keys, keep)
    await _remove(c, t.queue.c.key, cluster_id, gone)
    return tuple(gone)


async def kinds(c: AsyncConnection) -> tuple[str, ...]:
    """Kinds of object that there are or were."""
    return tuple((await c.execute(select(_w.c.kind).distinct())).scalars())


def _scoped(query: Select[Any], scope: Scope) -> Select[Any]:
    return query if scope.projects is None else query.where(_w.c.project_id.in_(scope.projects))


def _in_clusters(query: Select[Any], table: Table, scope: Scope) -> Select[Any]:
    return query if scope.clusters is None else query.where(table.c.cluster_id.in_(scope.clusters))


def _filtered(query: Select[Any], scope: Scope, page: Page) -> Select[Any]:
    query = _scoped(query, scope)
    query = query.where(_w.c.deleted > 0) if page.deleted else query.where(_w.c.deleted == 0)
    for column, values in page.equal:
        query = query.where(_w.c[column].in_(values))
    query = query.where(*(_CONDITIONS[w.operator](_w.c[w.column], w.value) for w in page.where))
    if page.search:
        like = f"%{page.search}%"
        query = query.where(or_(_w.c.name.ilike(like), _w.c.submitted_by.ilike(like), _w.c.namespace.ilike(like)))
    return query


_CONDITIONS: Final[Mapping[str, Callable[[Any, Any], ColumnElement[bool]]]] = {
    "==": lambda column, value: column.between(*value) if isinstance(value, tuple) else column == value,
    "!=": lambda column, value: not_(column.between(*value)) if isinstance(value, tuple) else column != value,
    "<=": lambda column, value: column <= value,
    ">=": lambda column, value: column >= value,
    "=@": lambda column, value: column.icontains(value, autoescape=True),
    "!@": lambda column, value: not_(column.icontains(value, autoescape=True)),
    "=^": lambda column, value: column.istartswith(value, autoescape=True),
    "=$": lambda column, value: column.iendswith(value, autoescape=True),
}


@cache
def _ended() -> Select[Any]:
    """Made once: each report of an agent asks it, and to write it takes longer than to ask it."""
    newer = _w.alias()
    named = select(newer.c.id).where(
        newer.c.project_id == _w.c.project_id, newer.c.name == _w.c.name, newer.c.deleted == 0
    )
    mine = (_w.c.cluster_id == bindparam("cluster"), _w.c.id.in_(bindparam("ids", expanding=True)))
    return select(_w).where(*mine, _w.c.deleted > 0, ~named.exists())


async def _put(c: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]], keys: tuple[str, ...]) -> None:
    if rows:
        await c.execute(_replacing(c.dialect.name, table, tuple(rows[0]), keys), list(rows))


@cache
def _replacing(dialect: str, table: Table, columns: tuple[str, ...], keys: tuple[str, ...]) -> Executable:
    """Inserts rows, or replaces those of the same cluster; made once, as `_ended` is."""
    statement: Any = (sqlite if dialect == "sqlite" else postgresql).insert(table)
    others = {column: statement.excluded[column] for column in columns if column not in keys}
    mine = table.c.cluster_id == statement.excluded.cluster_id
    made: Executable = statement.on_conflict_do_update(index_elements=list(keys), set_=others, where=mine)
    return made


async def _present(
    c: AsyncConnection,
    key: Column[str],
    value: Column[str],
    cluster_id: str,
    gone: Iterable[str] | None,
    keep: Iterable[str],
) -> dict[str, str]:
    """Key -> value of the cluster's rows that are to go."""
    mine = select(key, value).where(key.table.c.cluster_id == cluster_id)
    if gone is None:
        kept = set(keep)
        return {row[0]: row[1] for row in await c.execute(mine) if row[0] not in kept}
    found: dict[str, str] = {}
    for part in _parts(gone):
        found |= {row[0]: row[1] for row in await c.execute(mine.where(key.in_(part)))}
    return found


async def _remove(c: AsyncConnection, key: Column[str], cluster_id: str, gone: Iterable[str]) -> None:
    for part in _parts(gone):
        await c.execute(delete(key.table).where(key.table.c.cluster_id == cluster_id, key.in_(part)))


def _parts(keys: Iterable[str]) -> Iterator[list[str]]:
    """500 at a time, since databases bound the values of one statement."""
    wanted = list(keys)
    return (wanted[start : start + 500] for start in range(0, len(wanted), 500))
