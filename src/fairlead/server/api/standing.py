"""Routes: how clusters stand, and what the codes of their checks mean."""

from __future__ import annotations

from fastapi import APIRouter

from fairlead.server.api.dependencies import Ctx, Who
from fairlead.server.services import cluster_views, clusters, findings
from fairlead.wire.rest import clusters as rest

router = APIRouter(prefix="/api/fairlead/v1", tags=["fairlead"])


@router.get("/clusters")
async def list_clusters(context: Ctx, who: Who) -> rest.ClusterStandings:
    """The clusters the caller may see: state, why, and what their daily checks found."""
    found = await clusters.list_clusters(context, who)
    return rest.ClusterStandings(
        clusters=[cluster_views.cluster_standing(c, clusters.standing(context, c)) for c in found]
    )


@router.get("/clusters/{cluster_id}")
async def get_cluster(cluster_id: str, context: Ctx, who: Who) -> rest.ClusterStanding:
    """One of them."""
    found = await clusters.get_cluster(context, who, cluster_id)
    return cluster_views.cluster_standing(found, clusters.standing(context, found))


@router.get("/findings/{code}")
async def get_finding(code: str, who: Who) -> rest.FindingPage:
    """What a check is about, what it may find, and what to do then."""
    check, text, causes = findings.finding(who, code)
    return rest.FindingPage(
        code=check.code,
        title=check.title,
        row=check.row,
        text=text,
        expected=check.expected,
        rules=check.rules,
        disables=list(check.disables),
        causes=causes,
    )
