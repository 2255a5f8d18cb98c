"""How clusters stand, with what their own checks found: `/api/fairlead/v1/clusters`, `/api/fairlead/v1/findings`."""

from __future__ import annotations

from datetime import datetime

from fairlead.wire.rest.base import Rest


class Condition(Rest):
    """One condition of a cluster. `status`: True, False or Unknown."""

    type: str
    status: str
    reason: str
    message: str
    last_transition_time: datetime | None = None


class Finding(Rest):
    """What a daily check found that is no pass. `counts`: what it is for the whole, where a risk was accepted."""

    code: str
    title: str
    verdict: str
    counts: str
    seen: str
    remedy: str
    accepted: str
    nodes: list[str]
    since: datetime | None = None


class ClusterStanding(Rest):
    """A cluster: its state, why it is so and since when, and what its checks found."""

    id: str
    name: str
    state: str
    reasons: list[str]
    message: str
    since: datetime | None = None
    kubernetes_version: str
    agent_version: str
    last_liveness: datetime | None = None
    conditions: list[Condition]
    findings: list[Finding]
    checked_at: datetime | None = None
    news: list[str]
    news_since: datetime | None = None


class ClusterStandings(Rest):
    """Clusters."""

    clusters: list[ClusterStanding]


class FindingPage(Rest):
    """What a check is about. `causes`: word -> what it means and what to do."""

    code: str
    title: str
    row: str
    text: str
    expected: str
    rules: str
    disables: list[str]
    causes: dict[str, str]
