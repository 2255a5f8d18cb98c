"""Following one workload: its phases, then its log, to its end."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from typing import Any

import click

from fairlead.cli import output
from fairlead.cli.exits import Exit
from fairlead.cli.rest import Rest
from fairlead.cli.words import command
from fairlead.runtime.errors import Conflict, FairleadError, NotFound, Unreachable

_POLL_SECONDS = 0.2
_ENDED = ("Completed", "Failed", "Stopped")
_HAS_LOG = ("Running", "Succeeded", "Failed")
"""Phases of a pod."""


def follow(rest: Rest, workload_id: str, name: str, *, patience: float = math.inf) -> int:
    """Shows phases and the log of each run until the end; 0 where it completed, 1 where it did not.

    Raises: Unreachable where it did not begin within `patience` seconds.
    """
    shown: set[str] = set()

    def begins(phase: str) -> bool:
        _copy_logs(rest, workload_id, name, shown)
        return bool(shown) or _runs_or_ended(phase)

    def ends(phase: str) -> bool:
        _copy_logs(rest, workload_id, name, shown)
        return phase in _ENDED

    last = _until(rest, workload_id, name, begins, patience=patience)
    last = _until(rest, workload_id, name, ends, said=_said(last))
    return Exit.DONE if last["phase"] == "Completed" else Exit.NO


def wait_until_running(rest: Rest, workload_id: str, name: str) -> int:
    """Shows phases until it runs or ends; 1 where it failed first."""
    last = _until(rest, workload_id, name, _runs_or_ended)
    return Exit.NO if last["phase"] in ("Failed", "Stopped") else Exit.DONE


def _until(
    rest: Rest,
    workload_id: str,
    name: str,
    is_reached: Callable[[str], bool],
    *,
    said: tuple[str, str] = ("", ""),
    patience: float = math.inf,
) -> dict[str, Any]:
    deadline = time.monotonic() + patience
    while True:
        found: dict[str, Any] = rest.get(f"/api/v1/workloads/{workload_id}")
        drained = found["phase"] in _ENDED and is_reached(found["phase"])  # the log first: the end is the last word
        now = _said(found)
        if now != said:
            output.note(f"{name}: {now[0]}{f'. {now[1]}' if now[1] else ''}")
            said = now
        if drained or is_reached(found["phase"]):
            return found
        if found["deletedAt"]:
            raise NotFound(f"{name!r} was deleted.", code="workload-not-found")
        if time.monotonic() > deadline:
            raise Unreachable(
                f"{name} did not begin within {patience:.0f} s: it is {now[0]}{f', {now[1]}' if now[1] else '.'}",
                hint=f"It stays in line. `{command(f'explain {name}')}` says what would start it, "
                f"`{command(f'delete {name}')}` removes it.",
                code="waits",
            )
        time.sleep(_POLL_SECONDS)


def _runs_or_ended(phase: str) -> bool:
    return phase == "Running" or phase in _ENDED


def _said(found: dict[str, Any]) -> tuple[str, str]:
    return found["phase"], found["phaseMessage"]


def _copy_logs(rest: Rest, workload_id: str, name: str, shown: set[str]) -> None:
    """Copies the log of the first pod of each attempt that has begun, once. `shown`: ids of those copied before, and now."""
    pods = rest.get(f"/api/v1/workloads/{workload_id}/pods")["pods"]
    firsts = [pod for pod in pods if re.fullmatch(rf"{re.escape(name)}-0(-\d+)?", pod["name"])]
    for pod in sorted(firsts, key=lambda pod: str(pod["createdAt"])):
        if pod["k8sPhase"] in _HAS_LOG and pod["id"] not in shown:
            shown.add(pod["id"])
            _copy_log(rest, workload_id, pod["name"])


def _copy_log(rest: Rest, workload_id: str, pod: str) -> None:
    for attempt in range(10):
        try:
            for piece in rest.stream(f"/api/fairlead/v1/workloads/{workload_id}/logs", pod=pod, follow=True):
                click.echo(piece, nl=False)
            return
        except Conflict:
            time.sleep(_POLL_SECONDS * (attempt + 1))
        except Unreachable:
            raise
        except FairleadError as error:
            output.note(f"(no log: {error})")
            return
