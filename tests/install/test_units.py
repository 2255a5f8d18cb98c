"""What is told while an installation comes up."""

from __future__ import annotations

from typing import Any

from fairlead.install.units import of_jobs, trouble_of

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


def _pod(*states: dict[str, Any]) -> dict[str, Any]:
    return {"status": {"containerStatuses": list(states)}}


def _ended(message: str, code: int = 1) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "message": message}}


def test_what_ended_with_an_error_is_told_with_its_last_words() -> None:
    assert trouble_of(_pod({"state": _ended("starting\nprojects.fairlead.dev was defined by somebody else\n")})) == (
        "it ended with exit code 1: projects.fairlead.dev was defined by somebody else"
    )
    assert trouble_of(_pod({"state": _ended("")})) == "it ended with exit code 1"
    assert not trouble_of(_pod({"state": _ended("done", 0)}, {"state": {"running": {}}}))
    again = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    told = trouble_of(_pod({"state": again, "lastState": _ended("no such database")}))
    assert told == "CrashLoopBackOff: back-off 10s; before, it ended with exit code 1: no such database"
