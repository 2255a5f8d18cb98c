"""Which clusters' agents are on the line: one wake-up event a connection."""

from __future__ import annotations

import asyncio

from fairlead.runtime.errors import FairleadError
from fairlead.wire.agent import Open


class Line:
    """What waits to be sent on one connection."""

    def __init__(self, connection: str) -> None:
        self.connection = connection
        """The agent's own word for it."""
        self.wake = asyncio.Event()
        self.opens: list[Open] = []
        self.reported = False
        """Whether the cluster has said what it has, all of it once."""


class Agents:
    """The connections of this process."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._refused: dict[str, FairleadError] = {}

    def refuse(self, cluster_id: str, error: FairleadError) -> None:
        """Remembers why somebody who came as that cluster, which there is, was turned away."""
        self._refused[cluster_id] = error

    def refused(self, cluster_id: str) -> FairleadError | None:
        """Why who came last as that cluster was turned away; None where nobody was since its agent connected."""
        return self._refused.get(cluster_id)

    def is_connected(self, cluster_id: str) -> bool:
        """Whether that cluster's agent is on the line."""
        return cluster_id in self._lines

    def connection_of(self, cluster_id: str) -> str | None:
        """The word for its connection that the agent gave; None while it is not on the line."""
        line = self._lines.get(cluster_id)
        return None if line is None else line.connection

    def connect(self, cluster_id: str, connection: str = "") -> Line:
        """Registers a connection; the newest one of a cluster is the one that is woken."""
        self._refused.pop(cluster_id, None)
        line = self._lines[cluster_id] = Line(connection)
        return line

    def disconnect(self, cluster_id: str, line: Line) -> None:
        """Ends a registration, unless a newer connection took its place."""
        if self._lines.get(cluster_id) is line:
            del self._lines[cluster_id]

    def wake(self, cluster_id: str) -> None:
        """Makes the cluster's connection look for something to send."""
        if cluster_id in self._lines:
            self._lines[cluster_id].wake.set()

    def ask(self, cluster_id: str, frame: Open) -> None:
        """Asks the agent, which is on the line, to open a channel."""
        line = self._lines[cluster_id]
        line.opens.append(frame)
        line.wake.set()
