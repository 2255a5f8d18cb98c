"""Clusters: made, listed; whether their agent is there."""

from __future__ import annotations

import uuid

from fairlead.runtime.errors import Conflict, NotFound
from fairlead.server.auth import secrets
from fairlead.server.auth.permissions import Principal
from fairlead.server.db import clusters, stored, workloads
from fairlead.server.db.records import EVERYTHING, Cluster
from fairlead.server.services import organisation
from fairlead.server.services.context import Context, record_event
from fairlead.server.services.standing import Standing
from fairlead.server.services.standing import standing as standing_of
from fairlead.wire.agent import NodeRow, QueueRow


async def list_clusters(context: Context, principal: Principal) -> tuple[Cluster, ...]:
    """The clusters the principal may see, by name."""
    scope = principal.require("read", "clusters")
    async with context.database.read() as c:
        return await clusters.clusters(c, scope)


async def get_cluster(context: Context, principal: Principal, cluster_id: str) -> Cluster:
    """The cluster with that id.

    Raises: NotFound.
    """
    scope = principal.require("read", "clusters")
    async with context.database.read() as c:
        found = await clusters.cluster_by_id(c, cluster_id)
    if found is None or not scope.holds("clusters", cluster_id):
        raise NotFound(f"There is no cluster {cluster_id!r}.", code="cluster-not-found")
    return found


async def create_cluster(
    context: Context, principal: Principal, name: str, *, cluster_id: str = "", secret: str = ""
) -> tuple[Cluster, str]:
    """A new cluster and the secret its agent signs in with, which is not kept.

    Raises: Conflict where the name is taken.
    """
    principal.require("create", "clusters")
    cluster_id = cluster_id or str(uuid.uuid4())
    secret = secret or secrets.new_secret()
    async with context.database.write() as c:
        if any(known.name == name for known in await clusters.clusters(c, EVERYTHING)):
            raise Conflict(f"A cluster named {name!r} exists already.", hint="Choose another name.", code="name-taken")
        await clusters.add_cluster(
            c,
            id=cluster_id,
            name=name,
            secret_hash=secrets.token_hash(secret),
            created=context.now(),
            created_by=principal.username,
        )
        await organisation.add_defaults(context, c, cluster_id, principal.username)
        await record_event(context, c, principal, "create", ("cluster", cluster_id, name))
    return await get_cluster(context, principal, cluster_id), secret


async def renew_secret(context: Context, principal: Principal, cluster_id: str) -> tuple[Cluster, str]:
    """The cluster and a new secret of its agent, which is not kept; the one before lets nobody connect any more.

    Raises: NotFound.
    """
    scope = principal.require("update", "clusters")
    found, secret = await get_cluster(context, principal, cluster_id), secrets.new_secret()
    if not scope.holds("clusters", cluster_id):
        raise NotFound(f"There is no cluster {cluster_id!r}.", code="cluster-not-found")
    async with context.database.write() as c:
        await clusters.set_cluster(c, cluster_id, secret_hash=secrets.token_hash(secret))
        await record_event(context, c, principal, "update", ("cluster", cluster_id, found.name))
    return found, secret


def standing(context: Context, cluster: Cluster) -> Standing:
    """How it stands: its connection, and what it says of itself."""
    heard = context.now() - cluster.last_seen <= context.config.offline_after_seconds
    is_there = heard or context.agents.is_connected(cluster.id)
    return standing_of(cluster, is_there=is_there, refused=context.agents.refused(cluster.id))


async def list_nodes(context: Context, principal: Principal) -> tuple[tuple[str, float, NodeRow], ...]:
    """(cluster, time of the report, node) of the clusters the principal may see, by name. Holders of devices are not left out here."""
    scope = principal.require("read", "nodes")
    async with context.database.read() as c:
        rows = await workloads.nodes(c, scope)
    return tuple((cluster, updated, _node(cluster, name, row)) for cluster, name, updated, row in rows)


async def list_queues(context: Context, principal: Principal) -> tuple[tuple[str, QueueRow], ...]:
    """(cluster, queue) with what each department and project that the principal may see may use and uses; one whose row cannot
    be read is left out, since its amounts are not known."""
    scope = principal.require("read", "projects")
    async with context.database.read() as c:
        rows = await workloads.queues(c, scope)
    found = [(cluster, stored.read(row, QueueRow, "queue", cluster, key)) for cluster, key, row in rows]
    return tuple((c, row) for c, row in found if row and scope.holds("names", (c, row.kind, row.name)))


def _node(cluster_id: str, name: str, text: str) -> NodeRow:
    found = stored.read(text, NodeRow, "node", cluster_id, name)
    return found or NodeRow(
        name=name, ready=False, reason="what was stored of it cannot be read; the next report mends it"
    )
