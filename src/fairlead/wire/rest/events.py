"""What happened to a workload, in the two forms existing clients read: events, and records of events and phases."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fairlead.wire.rest.base import Rest


class InvolvedObject(Rest):
    """What an event is about."""

    uid: str
    kind: str
    name: str
    namespace: str


class Event(Rest):
    """One thing that happened. `type`: Warning where the workload was hurt by it, else Normal."""

    id: str
    created_at: datetime
    type: Literal["Normal", "Warning"]
    cluster_id: str
    message: str
    reason: str
    source: str = "fairlead"
    involved_object: InvolvedObject


class Events(Rest):
    """One page of events."""

    events: list[Event]
    next: int | None = None


class RecordMeta(Rest):
    """When, and which of the two a record is."""

    creation_timestamp: datetime
    type: Literal["Event", "PhaseUpdate"]


class PhaseUpdate(Rest):
    """A phase the workload came into."""

    phase: str
    phase_message: str


class RecordSpec(Rest):
    """An event, or a phase."""

    event: Event | None = None
    phase_update: PhaseUpdate | None = None


class Record(Rest):
    """One line of the history."""

    meta: RecordMeta
    spec: RecordSpec


class Records(Rest):
    """One page of the history."""

    records: list[Record]
    next: int | None = None
