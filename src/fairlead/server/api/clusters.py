"""Routes: clusters, node pools, nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter

from fairlead.server.api.dependencies import Ctx, FilterBy, Limit, Offset, Who, page_of
from fairlead.server.services import cluster_views, clusters, organisation, views
from fairlead.server.services.filters import kept
from fairlead.wire.rest import organisation as rest

router = APIRouter(prefix="/api/v1", tags=["clusters"])


@router.get("/clusters")
async def list_clusters(context: Ctx, who: Who) -> list[rest.Cluster]:
    """The clusters the caller may see, and whether they are connected."""
    return [cluster_views.cluster(c, clusters.standing(context, c)) for c in await clusters.list_clusters(context, who)]


@router.post("/clusters", status_code=201)
async def create_cluster(body: rest.ClusterCreate, context: Ctx, who: Who) -> rest.Cluster:
    """A new cluster; its secret is shown this once."""
    made, secret = await clusters.create_cluster(context, who, body.name)
    return cluster_views.cluster(made, clusters.standing(context, made), secret)


@router.get("/clusters/{cluster_id}")
async def get_cluster(cluster_id: str, context: Ctx, who: Who) -> rest.Cluster:
    """One cluster."""
    found = await clusters.get_cluster(context, who, cluster_id)
    return cluster_views.cluster(found, clusters.standing(context, found))


@router.post("/clusters/{cluster_id}/secret", status_code=201)
async def renew_secret(cluster_id: str, context: Ctx, who: Who) -> rest.Cluster:
    """A new secret of the cluster's agent, shown this once; the one before is no good any more."""
    found, secret = await clusters.renew_secret(context, who, cluster_id)
    return cluster_views.cluster(found, clusters.standing(context, found), secret)


@router.get("/node-pools")
async def list_node_pools(context: Ctx, who: Who, filter_by: FilterBy = None) -> rest.NodePools:
    """The node pools of the clusters the caller may see."""
    pools = await organisation.list_units(context, who, "node-pool")
    names = {c.id: c.name for c in await clusters.list_clusters(context, who)}
    nodes = await clusters.list_nodes(context, who)
    count = {p.id: sum(1 for c, _, n in nodes if c == p.cluster_id and n.pool == p.name) for p in pools}
    shown = [views.node_pool(p, names.get(p.cluster_id, ""), count[p.id]) for p in pools]
    return rest.NodePools(nodepools=kept(shown, filter_by, _POOL_FIELDS, "Node pools"))


@router.post("/node-pools", status_code=201)
async def create_node_pool(body: rest.NodePoolCreate, context: Ctx, who: Who) -> rest.NodePool:
    """A new node pool: the nodes with one label value."""
    made = await organisation.create_node_pool(context, who, body)
    cluster = await clusters.get_cluster(context, who, made.cluster_id)
    return views.node_pool(made, cluster.name, 0)


@router.delete("/node-pools/{pool_id}", status_code=204)
async def delete_node_pool(pool_id: str, context: Ctx, who: Who) -> None:
    """Removes a node pool; its nodes fall to the default one."""
    await organisation.delete_unit(context, who, "node-pool", pool_id)


@router.get("/nodes")
async def list_nodes(
    context: Ctx,
    who: Who,
    offset: Offset = 0,
    limit: Limit = 500,
    search: str | None = None,
    filter_by: FilterBy = None,
) -> rest.Nodes:
    """The nodes of those clusters with their devices; holders of other projects have no names."""
    scope = who.require("read", "nodes")
    found = await clusters.list_nodes(context, who)
    rows = [views.node(*n, scope) for n in found if not search or search in n[2].name]
    page, following = page_of(kept(rows, filter_by, _NODE_FIELDS, "Nodes"), offset, limit)
    return rest.Nodes(nodes=page, next=following)


_POOL_FIELDS: dict[str, Callable[[rest.NodePool], Any]] = {
    "name": lambda p: p.name,
    "id": lambda p: p.id,
    "clusterId": lambda p: p.cluster_id,
    "phase": lambda p: p.phase,
    "labelKey": lambda p: p.label_key,
    "labelValue": lambda p: p.label_value,
    "isDefault": lambda p: p.is_default,
    "createdAt": lambda p: p.created_at,
    "updatedAt": lambda p: p.updated_at,
}
_NODE_FIELDS: dict[str, Callable[[rest.Node], Any]] = {
    "name": lambda n: n.name,
    "id": lambda n: n.id,
    "status": lambda n: n.status,
    "nodePool": lambda n: n.node_pool,
    "clusterUuid": lambda n: n.cluster_uuid,
    "gpuType": lambda n: n.gpu_info.gpu_type if n.gpu_info else None,
    "createdAt": lambda n: n.created_at,
    "updatedAt": lambda n: n.updated_at,
}
"""What `filterBy` knows."""
