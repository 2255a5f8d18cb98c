"""Work that others made in the cluster and Fairlead places, as rows: a Job, a PyTorchJob, a pod made by hand. Pure.

Only its pods are read, so that the agent needs no right to kinds that it does not know: what the pods show is what is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fairlead.cluster.agent import rows
from fairlead.objects import fields
from fairlead.objects.pod import Pod, has_ended
from fairlead.objects.quantity import amount
from fairlead.objects.times import seconds_of
from fairlead.wire.agent import HistoryEntry, WorkloadRow
from fairlead.workloads.evictions import is_evicted
from fairlead.workloads.gpus import gpu_milli, gpu_of
from fairlead.workloads.makers import Maker
from fairlead.workloads.priority import is_preemptible, priority_of
from fairlead.workloads.status import ended_at, exit_code_of, failure_of, has_succeeded, held_up

SCHEDULER = "fairlead"
"""Where admission did not run, no label says that a pod is for us."""


def is_foreign(pod: Pod) -> bool:
    """Whether the pod is for the scheduler to place, and no workload of ours made it."""
    is_placed = fields.QUEUE in pod.metadata.labels or pod.spec.scheduler_name == SCHEDULER
    return is_placed and fields.WORKLOAD_KIND not in pod.metadata.labels


def foreign_row(maker: Maker, pods: Sequence[Pod], *, simulated: bool, sizes: Mapping[str, int]) -> WorkloadRow:
    """The work of one maker. `pods`: at least one; `sizes`: node -> memory of its devices in MiB."""
    living = [p for p in pods if not has_ended(p)]
    newest = max(pods, key=lambda p: (p.metadata.creation_timestamp or "", p.metadata.name))
    phase, message = _phase(living, newest)
    reasons = rows.reasons_of(living) if phase == "Pending" else ()
    counted = living or [newest]
    queued, queued_as = rows.queued_since(living) if phase == "Pending" else (0.0, "")
    priority_class = newest.metadata.labels.get(fields.PRIORITY_CLASS) or newest.spec.priority_class_name or "train"
    priority, said = priority_of(priority_class), newest.metadata.labels.get(fields.PREEMPTIBILITY)
    begun = [s for s in (seconds_of(p.status.start_time) for p in pods) if s is not None]
    ended = phase in ("Completed", "Failed")
    return WorkloadRow(
        id=maker.uid,
        kind=maker.kind,
        namespace=newest.metadata.namespace,
        name=maker.name,
        uid=maker.uid,
        phase=phase,
        message=reasons[0].message if reasons else message,
        reasons=reasons,
        created=min(_made(p) for p in pods),
        started=min(begun, default=None),
        completed=seconds_of(ended_at(newest)) if ended else None,
        phase_since=_since(phase, living, newest),
        running_pods=sum(1 for p in living if p.status.phase == "Running"),
        requested_pods=len(counted),
        requested_gpu_milli=sum(gpu_milli(p) for p in counted if not gpu_of(p).memory_mib),
        requested_gpu_memory_mib=sum(gpu_of(p).memory_mib * gpu_of(p).devices for p in counted),
        allocated_gpu_milli=sum(rows.taken(p, sizes.get(p.spec.node_name, 0)) for p in living if p.spec.node_name),
        requested_cpu_milli=sum(amount(c.resources.requests, "cpu") for p in counted for c in p.spec.containers),
        requested_memory_bytes=sum(amount(c.resources.requests, "memory") for p in counted for c in p.spec.containers),
        nodes=tuple(sorted({p.spec.node_name for p in living if p.spec.node_name})),
        image=next((c.image for c in newest.spec.containers), ""),
        priority_class=priority_class,
        priority=priority,
        preemptible=is_preemptible(priority, None if said is None else said == "preemptible"),
        queued=queued,
        queued_as=queued_as,
        evictions=sum(1 for p in pods if is_evicted(p)),
        exit_code=exit_code_of(newest) if ended else None,
        simulated=simulated,
        pool=newest.metadata.labels.get(fields.NODE_POOL, rows.DEFAULT_POOL),
        history=tuple(sorted(_history(pods), key=lambda entry: entry.time)),
    )


def _phase(living: Sequence[Pod], newest: Pod) -> tuple[str, str]:
    """What its pods show; where all have ended, how the newest did."""
    if not living:
        if has_succeeded(newest):
            return "Completed", "Ended with exit code 0"
        return "Failed", f"{newest.metadata.name} failed: {failure_of(newest)}"
    running = sum(1 for p in living if p.status.phase == "Running")
    if running:
        return "Running", f"{running} of {len(living)} pods run." if running < len(living) else ""
    placed = [p for p in living if p.spec.node_name]
    if placed:
        nodes = ", ".join(sorted({p.spec.node_name for p in placed}))
        return "Initializing", next(filter(None, map(held_up, placed)), "") or f"Starting on {nodes}."
    return "Pending", "Waits for the scheduler"


def _since(phase: str, living: Sequence[Pod], newest: Pod) -> float:
    if phase in ("Completed", "Failed"):
        return seconds_of(ended_at(newest)) or _made(newest)
    begun = [s for s in (seconds_of(p.status.start_time) for p in living) if s is not None]
    return min(begun, default=0.0) if phase == "Running" and begun else min(_made(p) for p in living)


def _history(pods: Sequence[Pod]) -> list[HistoryEntry]:
    asked = [HistoryEntry(time=_made(p), type="asked", message=f"{p.metadata.name} made") for p in pods]
    return [*asked, *(entry for pod in pods for entry in rows.history_of(pod))]


def _made(pod: Pod) -> float:
    return seconds_of(pod.metadata.creation_timestamp) or 0.0
