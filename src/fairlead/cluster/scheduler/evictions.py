"""Evictions as calls: what a pod that must go is told, and how it is ended so that its work is neither counted as failed nor as done."""

from __future__ import annotations

import contextlib
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
    others = tuple(name for name in pod.metadata.finalizers if name != JOB_TRACKING)
    if action is Action.CONSOLIDATE:
        await _move(client, pod, condition, others)
        return
    if others != pod.metadata.finalizers:
        await _patch(client, pod, _finalizers(others))
    await _tell(client, pod, condition)
    await client.delete(kinds.POD, pod.metadata.name, pod.metadata.namespace, uid=pod.metadata.uid)


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


async def _move(client: Client, pod: Pod, condition: Condition, finalizers: tuple[str, ...]) -> None:
    """As above. The API has words of its own for the condition, which name nobody and which the kubelet writes again at the end: ours
    stay in an annotation."""
    await _patch(client, pod, _finalizers(finalizers) | _reason(condition.message))
    try:
        await client.evict(pod.metadata.name, pod.metadata.namespace, uid=pod.metadata.uid)
    except Throttled as error:
        await _patch(client, pod, _finalizers(pod.metadata.finalizers) | _reason(None))
        raise Kept(f"{pod.metadata.name} may not be moved: {error}") from error
    with contextlib.suppress(NotFound):
        await _tell(client, pod, condition)


def _finalizers(names: tuple[str, ...]) -> JsonObject:
    return {"finalizers": list(names) or None}


def _reason(message: str | None) -> JsonObject:
    return {"annotations": {fields.EVICTION_REASON: message}}


async def _patch(client: Client, pod: Pod, metadata: JsonObject) -> None:
    """A pod that its Job counts no more, as when the Job itself ends it, counts neither as failed nor, ended in good order, as done."""
    patch: JsonObject = {"metadata": metadata}
    await client.patch(kinds.POD, pod.metadata.name, patch, pod.metadata.namespace, uid=pod.metadata.uid)


async def _tell(client: Client, pod: Pod, condition: Condition) -> None:
    meta = pod.metadata
    await client.patch_conditions(kinds.POD, meta.name, [condition], meta.namespace, uid=meta.uid)
