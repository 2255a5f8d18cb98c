"""How the cluster stands, out of its ClusterConfig, as the control plane is told. Pure."""

from __future__ import annotations

from typing import Final

from fairlead.objects.meta import Condition
from fairlead.objects.organisation import CheckedPrerequisite, ClusterConfig
from fairlead.objects.times import seconds_of
from fairlead.wire.agent import ClusterCondition, ClusterFinding, ClusterHealth

CONFIG_NAME: Final = "fairlead"
"""Of the one ClusterConfig."""


def health_of(config: ClusterConfig | None) -> ClusterHealth:
    """What is told; empty where nothing looks at the cluster."""
    if config is None:
        return ClusterHealth()
    report = config.status.prerequisites
    return ClusterHealth(
        conditions=tuple(_condition(each) for each in config.status.conditions),
        findings=tuple(_finding(each) for each in report.checks if each.counts != "pass"),
        checked=_time(report.at),
        news=report.news,
        news_since=_time(report.news_since),
    )


def _condition(each: Condition) -> ClusterCondition:
    return ClusterCondition(
        type=each.type,
        status=each.status,
        reason=each.reason,
        message=each.message,
        since=_time(each.last_transition_time),
    )


def _finding(each: CheckedPrerequisite) -> ClusterFinding:
    return ClusterFinding(
        code=each.code,
        verdict=each.verdict,
        counts=each.counts,
        seen=each.seen,
        remedy=each.remedy,
        accepted=each.accepted,
        nodes=tuple(each.nodes),
        since=_time(each.since),
    )


def _time(text: str | None) -> float | None:
    """Seconds since the epoch; None for no time, and for what somebody wrote that is none."""
    try:
        return seconds_of(text)
    except ValueError:
        return None
