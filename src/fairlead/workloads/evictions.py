"""Evictions as people read them: who ended a pod, why, and what its work lost. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fairlead.objects.fields import EVICTION_REASON
from fairlead.objects.meta import Condition
from fairlead.objects.pod import Pod
from fairlead.objects.times import seconds_of
from fairlead.workloads.gpus import gpu_milli

_HOUR: Final = 3600

_OTHERS: Final[dict[str, Callable[[str], str]]] = {
    "EvictionByEvictionAPI": lambda node: f"Evicted from {node} through the eviction API, as when a node is drained",
    "DeletionByTaintManager": lambda node: f"Stopped: {node} was lost, or given a taint that it does not tolerate",
    "DeletionByPodGC": lambda node: f"Lost with {node}, which is no longer a node of the cluster",
}
"""What Kubernetes' own reasons stand for: its messages name neither the node nor the cause."""


def eviction_of(pod: Pod) -> Condition | None:
    """The condition that says who ended the pod and why; None for a pod that nobody has evicted."""
    return next((c for c in pod.status.conditions if c.type == "DisruptionTarget" and c.status == "True"), None)


def is_evicted(pod: Pod) -> bool:
    """Whether the pod ends because it was asked to make room."""
    return eviction_of(pod) is not None


def is_cut_short(pod: Pod) -> bool:
    """Whether the pod was evicted before it had ended by itself: exit code 0 in answer to the signal is no success."""
    target = eviction_of(pod)
    if target is None:
        return False
    states = [c.state.terminated or {} for c in pod.status.container_statuses]
    ends = [str(state.get("finishedAt") or "") for state in states]
    return not ends or max(ends) >= (target.last_transition_time or "") or "" in ends


def told(pod: Pod) -> str:
    """Who ended the pod, why, and what was lost, as a sentence; empty for a pod that nobody has evicted."""
    target = eviction_of(pod)
    if target is None:
        return ""
    if said := pod.metadata.annotations.get(EVICTION_REASON):
        return said
    if target.reason not in _OTHERS:
        return target.message or "Evicted"
    ended = seconds_of(target.last_transition_time) or 0.0
    return _OTHERS[target.reason](pod.spec.node_name or "its node") + lost(spent_by(pod, ended))


def spent_by(pod: Pod, now: float) -> int:
    """GPU time since the pod began. Units: 1/1000 GPU times seconds; `now` in seconds since the epoch."""
    began = seconds_of(pod.status.start_time)
    return 0 if began is None else gpu_milli(pod) * max(int(now - began), 0)


def lost(spent: int) -> str:
    """That so much work is lost (1/1000 GPU times seconds), as the end of a sentence; empty for none."""
    seconds = spent // 1000
    if not seconds:
        return ""
    amount = f"{seconds / _HOUR:.1f} GPU-hours" if seconds >= _HOUR else f"{seconds} GPU-second{'s' * (seconds != 1)}"
    return f"; {amount} of work {'is' if seconds == 1 else 'are'} lost"
