"""Clusters as the REST models people and pages read."""

from __future__ import annotations

from fairlead.server.db.records import Cluster
from fairlead.server.services.findings import title_of
from fairlead.server.services.standing import Standing
from fairlead.server.services.views import time
from fairlead.wire.agent import ClusterFinding
from fairlead.wire.rest import clusters as standings
from fairlead.wire.rest import organisation as org
from fairlead.wire.rest.base import instant


def cluster(record: Cluster, found: Standing, secret: str | None = None) -> org.Cluster:
    """A cluster and its state; the secret only where it was just made."""
    conditions = [each.model_dump(mode="json", by_alias=True) for each in _conditions(found)]
    return org.Cluster(
        uuid=record.id,
        name=record.name,
        created_at=time(record.created),
        version=record.agent_version or None,
        last_liveness=instant(record.last_seen or None),
        status={"state": found.state, "conditions": conditions, "kubernetesVersion": record.kubernetes},
        client_secret=secret,
    )


def cluster_standing(record: Cluster, found: Standing) -> standings.ClusterStanding:
    """A cluster with why it stands as it does."""
    health = found.health
    return standings.ClusterStanding(
        id=record.id,
        name=record.name,
        state=found.state,
        reasons=list(found.reasons),
        message=found.message,
        since=instant(found.since),
        kubernetes_version=record.kubernetes,
        agent_version=record.agent_version,
        last_liveness=instant(record.last_seen or None),
        conditions=_conditions(found),
        findings=[_finding(each) for each in health.findings],
        checked_at=instant(health.checked),
        news=list(health.news),
        news_since=instant(health.news_since),
    )


def _conditions(found: Standing) -> list[standings.Condition]:
    return [
        standings.Condition(
            type=each.type,
            status=each.status,
            reason=each.reason,
            message=each.message,
            last_transition_time=instant(each.since),
        )
        for each in found.health.conditions
    ]


def _finding(each: ClusterFinding) -> standings.Finding:
    return standings.Finding(
        code=each.code,
        title=title_of(each.code),
        verdict=each.verdict,
        counts=each.counts,
        seen=each.seen,
        remedy=each.remedy,
        accepted=each.accepted,
        nodes=list(each.nodes),
        since=instant(each.since),
    )
