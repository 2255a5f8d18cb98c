"""What is told while an installation comes up."""

from __future__ import annotations

from typing import Any

from fairlead.install.units import of_jobs

JOB = {"metadata": {"uid": "2", "name": "fairlead-crds"}}


def _event(uid: str, second: int, message: str) -> dict[str, Any]:
    return {"involvedObject": {"uid": uid}, "lastTimestamp": f"2026-01-01T00:00:0{second}Z", "message": message}


def test_a_job_whose_pods_are_refused_is_told_by_its_last_event_whatever_the_pods_were_called() -> None:
    refused = (
        'Error creating: pods "fairlead-crds-{}" is forbidden: failed quota: small: must specify limits.cpu for: crds'
    )
    events = [
        _event("2", 2, refused.format("b")),
        _event("2", 1, "something before"),
        _event("1", 3, "of an earlier Job"),
    ]
    assert list(of_jobs([JOB], events)) == ["fairlead-crds: failed quota: small: must specify limits.cpu for: crds"]
    assert not list(of_jobs([JOB], []))
