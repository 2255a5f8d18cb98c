"""How a cluster stands: one word out of its connection and of what it says of itself. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from fairlead.runtime.errors import FairleadError
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


def standing(cluster: Cluster, *, is_there: bool, refused: FairleadError | None = None) -> Standing:
    """How it stands. `is_there`: its agent is on the line, or was heard just now; `refused`: why it was turned away last."""
    health = health_of(cluster)
    if not cluster.last_seen or not is_there:
        return _away(cluster, health, refused)
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


def _away(cluster: Cluster, health: ClusterHealth, refused: FairleadError | None) -> Standing:
    state: State = "Disconnected" if cluster.last_seen else "WaitingToConnect"
    said = f"Its agent is turned away. {refused}" if refused else ""
    if cluster.last_seen:
        said = f"{said or 'Its agent is not heard.'} Work in the cluster goes on."
    return Standing(
        state=state,
        health=health,
        message=said or "Its agent has not connected yet.",
        reasons=(refused.code,) if refused else (),
        since=cluster.last_seen or cluster.created,
    )


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
