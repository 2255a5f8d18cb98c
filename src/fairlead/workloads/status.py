"""How a workload fares, from its pods: the phase people see, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from fairlead.objects.fields import ENDED
from fairlead.objects.meta import Condition
from fairlead.objects.pod import NO_IMAGE, NO_START, Pod, has_ended
from fairlead.objects.times import seconds_of
from fairlead.objects.workload import Phase, Workload, WorkloadStatus
from fairlead.workloads.evictions import is_cut_short, is_evicted, lost, told
from fairlead.workloads.gpus import gpu_milli
from fairlead.workloads.pods import least_of, ranks_of

OVERDUE_SECONDS: Final = 15.0
"""Nodes say within this time of a pod's last moment that it is gone."""
ONE_EVICTION_SECONDS: Final = 60
"""Pods of a gang are stopped one call after another; those that go within this time of the first go in one eviction."""


class Course(Struct, frozen=True, kw_only=True):
    """Where a workload is in its attempts: failed ones so far, whether no more are made, whether one succeeded, when the next is made."""

    failures: int
    given_up: bool
    done: bool
    next_try: str = ""


class Leaving(Struct, frozen=True, kw_only=True):
    """Pods on their way out: those about to be removed by us, and evicted ones that are gone already."""

    ending: tuple[Pod, ...] = ()
    left: tuple[Pod, ...] = ()


def has_succeeded(pod: Pod) -> bool:
    """Whether the pod has done its work."""
    return pod.status.phase == "Succeeded" and not is_cut_short(pod)


def exit_code_of(pod: Pod) -> int | None:
    """How the pod's first container ended."""
    for container in pod.status.container_statuses[:1]:
        if container.state.terminated is not None:
            return int(container.state.terminated.get("exitCode", 0))
    return None


def ended_at(pod: Pod) -> str:
    """When the pod's first container ended; where that is not written, the last time that is."""
    for container in pod.status.container_statuses[:1]:
        if container.state.terminated is not None and container.state.terminated.get("finishedAt"):
            return str(container.state.terminated["finishedAt"])
    return pod.status.start_time or pod.metadata.creation_timestamp or ""


def failure_of(pod: Pod) -> str:
    """What a failed pod failed of: its node's words, else its exit code."""
    code = exit_code_of(pod)
    words = pod.status.message or (f"exit code {code}" if code is not None else pod.status.reason or "failed")
    if pod.status.reason == "UnexpectedAdmissionError" or pod.status.reason.startswith("OutOf"):
        return f"{pod.spec.node_name} did not take it, though by its status there was room: {words}"
    return words


def held_up(pod: Pod) -> str:
    """What its node tries in vain to start a pod with, in the node's words; empty where nothing is in the way."""
    for container in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        waits = container.state.waiting or {}
        if waits.get("reason") in NO_IMAGE | NO_START:
            said = str(waits.get("message") or "").strip()
            return f"Cannot start on {pod.spec.node_name}: {waits['reason']}" + (f": {said}" if said else "")
    return ""


def status_of(
    workload: Workload,
    pods: Sequence[Pod],
    mine: Sequence[Pod],
    course: Course,
    now: str,
    leaving: Leaving = Leaving(),  # noqa: B008  # it is frozen
) -> WorkloadStatus:
    """The status to show. `mine`: pods of the current attempt. Times that were set before stay, and so does the status of what ended."""
    before = workload.status
    if (
        before.phase
        and before.phase == workload.metadata.annotations.get(ENDED)
        and not workload.metadata.deletion_timestamp
    ):
        return before
    phase, message = _phase(workload, pods, mine, course)
    if phase in ("Pending", "Degraded") and (overdue := overdue_of(mine, now)):
        message = f"{message.rstrip('.')}. {overdue}"
    running = [p for p in mine if p.status.phase == "Running" and not p.metadata.deletion_timestamp]
    starts = sorted(p.status.start_time for p in mine if p.status.start_time)
    ended = phase in ("Completed", "Failed")
    allocated = sum(gpu_milli(p) for p in mine if p.spec.node_name and not has_ended(p))
    seen = [*pods, *leaving.left]
    vanished = _vanished(workload, seen, allocated, now)
    return WorkloadStatus(
        phase=phase,
        phase_message=message,
        conditions=_conditions(before.conditions, seen, phase, now, vanished),
        running_pods=len(running),
        requested_pods=ranks_of(workload),
        succeeded_pods=sum(1 for p in mine if has_succeeded(p)),
        failures=course.failures,
        evictions=before.evictions + max(_new_evictions(workload, seen, now), int(bool(vanished))),
        nodes=()
        if ended
        else tuple(sorted({p.spec.node_name or "" for p in mine if p not in leaving.ending and _stays(p)})),
        allocated_gpu_milli=allocated,
        next_try_at=course.next_try or None if phase == "Pending" else None,
        started_at=before.started_at or (starts[0] if starts else None),
        completed_at=(before.completed_at or now) if ended else None,
        observed_generation=workload.metadata.generation,
    )


def ends_by(pod: Pod) -> float:
    """When a pod that is being ended must have left its node, and a while for the node to say so. Units: seconds since the epoch."""
    return (seconds_of(pod.metadata.deletion_timestamp) or 0.0) + OVERDUE_SECONDS


def overdue_of(pods: Sequence[Pod], now: str) -> str:
    """Where a pod should have left its node and has not, which of them and what helps; empty where none is late."""
    at = seconds_of(now) or 0.0
    for pod in pods:
        until, node = pod.metadata.deletion_timestamp, pod.spec.node_name
        if until and node and not has_ended(pod) and ends_by(pod) <= at:
            by = f"{pod.metadata.name} was to have left {node} by {until[11:19]} UTC"
            return f"{by}; if {node} is lost for good, kubectl delete node {node} lets it start elsewhere"
    return ""


def _phase(workload: Workload, pods: Sequence[Pod], mine: Sequence[Pod], course: Course) -> tuple[Phase, str]:
    active = [p for p in pods if not has_ended(p)]
    if workload.metadata.deletion_timestamp:
        return "Deleting", "Being removed"
    if course.done:
        return "Completed", "Ended with exit code 0"
    if course.given_up:
        return "Failed", _failure(pods, course.failures)
    if workload.spec.suspended:
        return ("Stopping", "Being suspended") if active else ("Stopped", "Suspended; resume it to run again")
    if course.next_try:
        return "Pending", f"Backing off, next try at {course.next_try[11:19]} UTC. {_failure(pods, course.failures)}"
    finished = sum(1 for p in mine if has_succeeded(p))
    return _living(workload, [p for p in mine if not has_ended(p)], finished, course.failures)


def _living(workload: Workload, mine: Sequence[Pod], finished: int, failures: int) -> tuple[Phase, str]:
    retried = f" Attempt {failures + 1} after {failures} failure{'s' if failures > 1 else ''}." if failures else ""
    if not mine:
        return "Creating", f"Making its pods.{retried}"
    leaving = [p for p in mine if p.metadata.deletion_timestamp]
    if leaving and len(leaving) == len(mine):
        return "Pending", told(leaving[0]) or "Its pods are ending"
    placed = [p for p in mine if p.spec.node_name]
    running = [p for p in mine if p.status.phase == "Running"]
    if running and len(running) + finished >= least_of(workload):
        missing = ranks_of(workload) - len(running)
        return "Running", f"{len(running)} of {ranks_of(workload)} pods run.{retried}" if missing else retried.strip()
    if running:
        return "Degraded", f"{len(running)} of {ranks_of(workload)} pods run, {least_of(workload)} are needed.{retried}"
    if placed and (why := next(filter(None, map(held_up, placed)), "")):
        return "Initializing", f"{why}{retried}"
    if placed:
        return "Initializing", f"Starting on {', '.join(sorted({p.spec.node_name for p in placed}))}.{retried}"
    return "Pending", _waiting(mine) + retried


def _waiting(mine: Sequence[Pod]) -> str:
    for pod in mine:
        for condition in pod.status.conditions:
            if condition.type == "PodScheduled" and condition.status == "False" and condition.message:
                return condition.message
    return "Waits for the scheduler"


def _failure(pods: Sequence[Pod], failures: int) -> str:
    failed = [p for p in pods if p.status.phase == "Failed"]
    if not failed:
        return "Failed; its pods are gone"
    last = max(failed, key=lambda p: p.metadata.creation_timestamp or "")
    return f"Failed {failures} time{'s' if failures != 1 else ''}: {failure_of(last)}"


def _uncounted(conditions: Sequence[Condition], pods: Sequence[Pod]) -> list[Pod]:
    """Evicted pods not counted yet: the condition Evicted remembers the last ones by their UIDs."""
    counted = next((c.reason for c in conditions if c.type == "Evicted"), "")
    return [p for p in pods if is_evicted(p) and _short(p) not in counted]


def _new_evictions(workload: Workload, pods: Sequence[Pod], now: str) -> int:
    """0 or 1, for a workload is stopped once however many of its pods go."""
    fresh = _uncounted(workload.status.conditions, pods)
    return int(bool(fresh) and not _is_continued(workload.status.conditions, fresh, now))


def _is_continued(conditions: Sequence[Condition], fresh: Sequence[Pod], now: str) -> bool:
    """Whether the pods go in the eviction counted last: they were there when it began, a short while ago."""
    began = next((c.last_transition_time or "" for c in conditions if c.type == "Evicted"), "")
    if not began or any((p.metadata.creation_timestamp or "") > began for p in fresh):
        return False
    return (seconds_of(now) or 0.0) - (seconds_of(began) or 0.0) <= ONE_EVICTION_SECONDS


def _stays(pod: Pod) -> bool:
    """Whether the pod has a place and nobody has asked it to leave."""
    return bool(
        pod.spec.node_name and not has_ended(pod) and not pod.metadata.deletion_timestamp and not is_evicted(pod)
    )


def _vanished(workload: Workload, pods: Sequence[Pod], allocated: int, now: str) -> str:
    """That pods went from a node without a word, and what was lost; empty where none did.

    A node that is removed takes its pods with it in a moment: whoever was to note it may not have seen it, or have been on
    that node. The status names the nodes of all pods that nobody had asked to leave, so that it is noted after all.
    """
    before = workload.status
    if before.phase not in ("Running", "Degraded", "Initializing"):
        return ""
    gone = sorted(set(before.nodes) - {p.spec.node_name for p in pods})
    if not gone or any(is_evicted(p) for p in pods):
        return ""
    began = next((seconds_of(c.last_transition_time) for c in before.conditions if c.type == "Phase"), None)
    worked = (seconds_of(now) or 0.0) - (began or 0.0) if began and before.phase != "Initializing" else 0.0
    spent = max(before.allocated_gpu_milli - allocated, 0) * max(int(worked), 0)
    return f"Gone from {', '.join(gone)}: removed with its node, or by hand" + lost(spent)


def _conditions(
    before: Sequence[Condition], pods: Sequence[Pod], phase: str, now: str, vanished: str
) -> tuple[Condition, ...]:
    found = {c.type: c for c in before}
    fresh, evicted = _uncounted(before, pods), [p for p in pods if is_evicted(p)]
    if evicted:
        kept = not fresh or _is_continued(before, fresh, now)
        found["Evicted"] = Condition(
            type="Evicted",
            status="True",
            reason="_".join(["Pods", *map(_short, evicted)]),
            message=told((fresh or evicted)[-1]),
            last_transition_time=found["Evicted"].last_transition_time if kept else now,
        )
    elif vanished:
        found["Evicted"] = Condition(
            type="Evicted", status="True", reason="Vanished", message=vanished, last_transition_time=now
        )
    last = found.get("Phase")
    if last is None or last.reason != phase:
        found["Phase"] = Condition(type="Phase", status="True", reason=phase, last_transition_time=now)
    return tuple(found[key] for key in sorted(found))


def _short(pod: Pod) -> str:
    return pod.metadata.uid[:8]
