"""The history of a workload as events and records. Pure."""

from __future__ import annotations

from typing import Literal

from fairlead.server.db.records import Workload
from fairlead.wire.rest import events as rest
from fairlead.wire.rest.workloads import History, WorkloadDetail

_PHASES = ("Running", "Completed", "Failed", "Stopped")
_BAD = ("failed", "evicted")


def events_of(record: Workload, shown: WorkloadDetail) -> list[rest.Event]:
    """All that happened, oldest first."""
    about = rest.InvolvedObject(uid=record.id, kind=record.kind, name=record.name, namespace=record.namespace)
    return [
        rest.Event(
            id=f"{record.id}-{number}",
            created_at=entry.time,
            type="Warning" if entry.type in _BAD else "Normal",
            cluster_id=record.cluster_id,
            message=entry.message,
            reason=entry.type.capitalize(),
            involved_object=about,
        )
        for number, entry in enumerate(shown.history)
    ]


def records_of(record: Workload, shown: WorkloadDetail) -> list[rest.Record]:
    """The same, with what was a change of the phase told as one."""
    return [
        rest.Record(meta=rest.RecordMeta(creation_timestamp=entry.time, type=_type(entry)), spec=_spec(entry, event))
        for entry, event in zip(shown.history, events_of(record, shown), strict=True)
    ]


def _type(entry: History) -> Literal["Event", "PhaseUpdate"]:
    phase, _, _ = entry.message.partition(". ")
    return "PhaseUpdate" if phase in _PHASES else "Event"


def _spec(entry: History, event: rest.Event) -> rest.RecordSpec:
    if _type(entry) == "Event":
        return rest.RecordSpec(event=event)
    phase, _, message = entry.message.partition(". ")
    return rest.RecordSpec(phase_update=rest.PhaseUpdate(phase=phase, phase_message=message))
