"""Clusters, and the counter of what is wanted of each."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fairlead.server.db import tables as t
from fairlead.server.db.records import Cluster, Scope, record


async def clusters(c: AsyncConnection, scope: Scope) -> tuple[Cluster, ...]:
    """The clusters the reader may see, by name."""
    query = select(t.cluster).order_by(t.cluster.c.name)
    if scope.clusters is not None:
        query = query.where(t.cluster.c.id.in_(scope.clusters))
    return tuple(record(Cluster, row) for row in await c.execute(query))


async def cluster_by_id(c: AsyncConnection, cluster_id: str) -> Cluster | None:
    """The cluster with that id."""
    row = (await c.execute(select(t.cluster).where(t.cluster.c.id == cluster_id))).one_or_none()
    return None if row is None else record(Cluster, row)


async def add_cluster(c: AsyncConnection, **values: Any) -> None:
    """Stores a new cluster."""
    await c.execute(insert(t.cluster).values(**values))


async def set_cluster(c: AsyncConnection, cluster_id: str, **values: Any) -> None:
    """Overwrites what the cluster itself reports (last word wins: one agent leads at a time), or its secret."""
    await c.execute(update(t.cluster).where(t.cluster.c.id == cluster_id).values(**values))


async def next_revision(c: AsyncConnection, cluster_id: str) -> int:
    """Counts one change of what is wanted of this cluster, in the caller's transaction."""
    done = await c.execute(
        update(t.cluster)
        .where(t.cluster.c.id == cluster_id)
        .values(revision=t.cluster.c.revision + 1)
        .returning(t.cluster.c.revision)
    )
    return int(done.scalar_one())
