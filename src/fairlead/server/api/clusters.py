"""Routes: clusters, node pools, nodes."""

from __future__ import annotations

from fastapi import APIRouter

from fairlead.server.api.dependencies import Ctx, Limit, Offset, Who, page_of
from fairlead.server.services import clusters, organisation, views
from fairlead.wire.rest import organisation as rest

router = APIRouter(prefix="/api/v1", tags=["clusters"])


@router.get("/clusters")
async def list_clusters(context: Ctx, who: Who) -> list[rest.Cluster]:
    """The clusters the caller may see, and whether they are connected."""
    return [views.cluster(c, clusters.state(context, c)) for c in await clusters.list_clusters(context, who)]


@router.post("/clusters", status_code=201)
async def create_cluster(body: rest.ClusterCreate, context: Ctx, who: Who) -> rest.Cluster:
    """A new cluster; its secret is shown this once."""
    made, secret = await clusters.create_cluster(context, who, body.name)
    return views.cluster(made, clusters.state(context, made), secret)


@router.get("/clusters/{cluster_id}")
async def get_cluster(cluster_id: str, context: Ctx, who: Who) -> rest.Cluster:
    """One cluster."""
    found = await clusters.get_cluster(context, who, cluster_id)
    return views.cluster(found, clusters.state(context, found))


@router.get("/node-pools")
async def list_node_pools(context: Ctx, who: Who) -> rest.NodePools:
    """The node pools of the clusters the caller may see."""
    pools = await organisation.list_units(context, who, "node-pool")
    names = {c.id: c.name for c in await clusters.list_clusters(context, who)}
    nodes = await clusters.list_nodes(context, who)
    count = {p.id: sum(1 for c, _, n in nodes if c == p.cluster_id and n.pool == p.name) for p in pools}
    return rest.NodePools(nodepools=[views.node_pool(p, names.get(p.cluster_id, ""), count[p.id]) for p in pools])


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
    context: Ctx, who: Who, offset: Offset = 0, limit: Limit = 500, search: str | None = None
) -> rest.Nodes:
    """The nodes of those clusters with their devices; holders of other projects have no names."""
    scope = who.require("read", "nodes")
    found = await clusters.list_nodes(context, who)
    rows = [views.node(*n, scope) for n in found if not search or search in n[2].name]
    page, following = page_of(rows, offset, limit)
    return rest.Nodes(nodes=page, next=following)
