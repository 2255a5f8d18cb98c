"""Which clusters' agents are on the line: one wake-up event a connection."""

from __future__ import annotations

import asyncio

from fairlead.wire.agent import Open


class Line:
    """What waits to be sent on one connection."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.opens: list[Open] = []


class Agents:
    """The connections of this process."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}

    def is_connected(self, cluster_id: str) -> bool:
        """Whether that cluster's agent is on the line."""
        return cluster_id in self._lines

    def connect(self, cluster_id: str) -> Line:
        """Registers a connection; the newest one of a cluster is the one that is woken."""
        line = self._lines[cluster_id] = Line()
        return line

    def disconnect(self, cluster_id: str, line: Line) -> None:
        """Ends a registration, unless a newer connection took its place."""
        if self._lines.get(cluster_id) is line:
            del self._lines[cluster_id]

    def wake(self, cluster_id: str) -> None:
        """Makes the cluster's connection look for something to send."""
        if cluster_id in self._lines:
            self._lines[cluster_id].wake.set()

    def ask(self, cluster_id: str, frame: Open) -> bool:
        """Asks the agent to open a channel; False where it is not on the line."""
        line = self._lines.get(cluster_id)
        if line is None:
            return False
        line.opens.append(frame)
        line.wake.set()
        return True
