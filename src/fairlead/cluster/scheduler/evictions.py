"""Evictions as calls: what a pod that must go is told, and how it is ended so that its work is neither counted as failed nor as done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from fairlead.kube.client import Client
from fairlead.kube.errors import Throttled
from fairlead.model import Action, Evict, PodGroup
from fairlead.objects import fields, kinds
from fairlead.objects.json import JsonObject
from fairlead.objects.meta import Condition
from fairlead.objects.pod import Pod
from fairlead.runtime.errors import NotFound
from fairlead.workloads.evictions import lost, spent_by

JOB_TRACKING: Final = "batch.kubernetes.io/job-tracking"
"""The finalizer of pods that a Job counts."""


class Kept(Exception):
    """A disruption budget forbids to move the pod; says which and why."""


async def end(client: Client, pod: Pod, condition: Condition, action: Action) -> None:
    """Has the pod end in its own grace time, told who takes its place. Pods that are moved end through the eviction API.

    Raises: Kept, NotFound, Conflict (another pod has its name).
    """
    await _untrack(client, pod)
    if action is not Action.CONSOLIDATE:
        await _tell(client, pod, condition)
        await client.delete(kinds.POD, pod.metadata.name, pod.metadata.namespace, uid=pod.metadata.uid)
        return
    try:
        await client.evict(pod.metadata.name, pod.metadata.namespace, uid=pod.metadata.uid)
    except Throttled as error:
        await _write_finalizers(client, pod, pod.metadata.finalizers)
        raise Kept(f"{pod.metadata.name} may not be moved: {error}") from error
    try:
        await _tell(client, pod, condition)  # the API has written words of its own, which name nobody
    except NotFound:
        return


def losses(evictions: Iterable[Evict], pods: Mapping[str, Pod], now: float) -> dict[str, int]:
    """Pod's uid -> what its work loses by all these evictions. Units: 1/1000 GPU times seconds; `now` in seconds since the epoch."""
    going = [pods[e.pod] for e in evictions if e.pod in pods]
    spent: Counter[tuple[str, str]] = Counter()
    for pod in going:
        spent[_work_of(pod)] += spent_by(pod, now)
    return {pod.metadata.uid: spent[_work_of(pod)] for pod in going}


def eviction_text(
    evict: Evict, taker: PodGroup | None, labels: Mapping[str, str], namespace: str, spent: int = 0
) -> str:
    """Who takes the place and why, as a sentence for whoever was stopped in that namespace: work of other projects is not named.

    `labels`: of the taker's pods, which name its workload and project; `spent`: what is lost (1/1000 GPU times seconds).
    """
    if taker is None:
        return f"Stopped: too few of its pods were left to go on{lost(spent)}"
    work = labels.get(fields.WORKLOAD, taker.name) if taker.namespace == namespace else "work"
    who = f"{work} of {labels.get(fields.PROJECT, taker.queue)}"
    if evict.action is Action.RECLAIM:
        return f"Stopped for {who}, which takes back GPUs its project is owed (reclaim){lost(spent)}"
    if evict.action is Action.CONSOLIDATE:
        return f"Moved to {evict.moved_to} to make room for {who} (consolidate){lost(spent)}"
    return f"Stopped for {who}, which has a higher priority in the same project (preempt){lost(spent)}"


def _work_of(pod: Pod) -> tuple[str, str]:
    """The gang, or the pod that is one of its own."""
    return pod.metadata.namespace, pod.metadata.annotations.get(fields.POD_GROUP) or pod.metadata.uid


async def _untrack(client: Client, pod: Pod) -> None:
    """Its Job counts the pod no more, as when the Job itself ends one: else it would count as failed, or, ended in good order, as done."""
    others = tuple(name for name in pod.metadata.finalizers if name != JOB_TRACKING)
    if others != pod.metadata.finalizers:
        await _write_finalizers(client, pod, others)


async def _write_finalizers(client: Client, pod: Pod, names: tuple[str, ...]) -> None:
    patch: JsonObject = {"metadata": {"finalizers": list(names) or None}}
    await client.patch(kinds.POD, pod.metadata.name, patch, pod.metadata.namespace, uid=pod.metadata.uid)


async def _tell(client: Client, pod: Pod, condition: Condition) -> None:
    meta = pod.metadata
    await client.patch_conditions(kinds.POD, meta.name, [condition], meta.namespace, uid=meta.uid)
