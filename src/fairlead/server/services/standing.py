"""How a cluster stands: one word out of its connection and of what it says of itself. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from fairlead.server.db import stored
from fairlead.server.db.records import Cluster
from fairlead.wire.agent import ClusterCondition, ClusterHealth

State = Literal["WaitingToConnect", "Disconnected", "MissingPrerequisites", "ServiceIssues", "Connected"]
"""Words that existing clients know, the gravest first."""
_BY_CONDITION: Final[tuple[tuple[str, State], ...]] = (
    ("Prerequisites", "MissingPrerequisites"),
    ("ServicesReady", "ServiceIssues"),
)
"""Condition that is False -> the state."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The state, and why. `since`: seconds since the epoch, None where it is not known; `reasons`: codes of what makes it so."""

    state: State
    health: ClusterHealth
    message: str = ""
    reasons: tuple[str, ...] = ()
    since: float | None = None


def standing(cluster: Cluster, *, is_there: bool) -> Standing:
    """How it stands. `is_there`: its agent is on the line, or was heard just now."""
    health = health_of(cluster)
    if not cluster.last_seen:
        message = "Its agent has not connected yet."
        return Standing(state="WaitingToConnect", health=health, message=message, since=cluster.created)
    if not is_there:
        message = "Its agent is not heard; work in the cluster goes on."
        return Standing(state="Disconnected", health=health, message=message, since=cluster.last_seen)
    for type_, state in _BY_CONDITION:
        condition = next((each for each in health.conditions if each.type == type_), None)
        if condition is not None and condition.status == "False":
            return _faulty(state, condition, health)
    return Standing(state="Connected", health=health)


def health_of(cluster: Cluster) -> ClusterHealth:
    """What the cluster said of itself last."""
    if cluster.health is None:
        return ClusterHealth()
    return stored.read(cluster.health, ClusterHealth, "cluster", cluster.id) or ClusterHealth()


def _faulty(state: State, condition: ClusterCondition, health: ClusterHealth) -> Standing:
    failing = tuple(each.code for each in health.findings if each.counts == "fail")
    reasons = failing if state == "MissingPrerequisites" else ()
    return Standing(
        state=state,
        health=health,
        message=condition.message,
        reasons=reasons or (condition.reason,),
        since=condition.since,
    )
