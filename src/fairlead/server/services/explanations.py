"""Answers to "why does it wait?": whom a reader may be told of; and of work that does not wait, what happened. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from fairlead.wire.rest.workloads import Workload


def discreet(answer: dict[str, Any], namespaces: Collection[str]) -> dict[str, Any]:
    """A scheduler's answer in which victims outside those namespaces are counted and not named."""
    fixes = [{**fix, "victims": _told(fix.get("victims", ()), namespaces)} for fix in answer.get("fixes", ())]
    return {**answer, "victims": _told(answer.get("victims", ()), namespaces), "fixes": fixes}


def _told(victims: Sequence[dict[str, str]], namespaces: Collection[str]) -> list[str]:
    named = [v["name"] for v in victims if v["namespace"] in namespaces]
    others = len(victims) - len(named)
    return [*named, f"{others} pod{'' if others == 1 else 's'} of other projects"] if others else named


def settled(workload: Workload) -> dict[str, Any] | None:
    """The answer for a workload that has ended, is stopped, runs whole or is tried again later; None where the scheduler knows."""
    result = "backing-off" if workload.next_try_at else workload.phase.lower()
    said = _SENTENCES.get(result)
    if said is None or (result == "running" and workload.running_pods < workload.requested_pods["number"]):
        return None
    lists: dict[str, Any] = {"reasons": [], "victims": [], "fixes": []}
    return {"result": result, "message": said(workload), "place": 0, "waiting": 0, **lists, "state": ""}


def _completed(w: Workload) -> str:
    return f"{w.name} has completed{_took(w.started_at, w.completed_at)}. {w.phase_message}".rstrip(". ") + "."


def _failed(w: Workload) -> str:
    return f"{w.name} has failed{_took(w.started_at, w.completed_at)}. {w.phase_message}".rstrip(". ") + "."


def _running(w: Workload) -> str:
    since = f" since {w.started_at:%Y-%m-%d %H:%M:%S} UTC" if w.started_at else ""
    return f"{w.name} runs{since} on {', '.join(w.nodes) or 'its node'}."


def _starting(w: Workload) -> str:
    held_up = "" if w.phase_message.startswith("Starting on ") else f" {w.phase_message}"
    return f"{w.name} has its place and is being started on {', '.join(w.nodes)}.{held_up}".rstrip(". ") + "."


def _took(start: datetime | None, end: datetime | None) -> str:
    return f" after {(end - start).total_seconds():.0f} s" if start and end else ""


_SENTENCES: dict[str, Callable[[Workload], str]] = {
    "completed": _completed,
    "failed": _failed,
    "running": _running,
    "creating": lambda w: f"{w.name} has no pods yet. {w.phase_message}".rstrip(". ") + ".",
    "initializing": _starting,
    "stopped": lambda w: f"{w.name} is suspended and waits for nothing; `fairlead resume {w.name}` starts it again.",
    "stopping": lambda w: f"{w.name} is being suspended.",
    "deleting": lambda w: f"{w.name} is being removed.",
    "backing-off": lambda w: f"{w.name} failed and is tried again. {w.phase_message}.",
}
