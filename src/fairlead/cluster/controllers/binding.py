"""Who wakes the binder: changes of requests, of reservation pods, and of pods that share devices."""

from __future__ import annotations

from random import Random
from typing import Any

from fairlead.cluster.controllers.binder import Binder
from fairlead.cluster.controllers.observe import Observed
from fairlead.kube.cache import Cache, Key
from fairlead.objects import fields
from fairlead.objects.kai import BindRequest
from fairlead.objects.pod import Pod
from fairlead.runtime.clock import Clock
from fairlead.runtime.reconcile import Reconciler
from fairlead.workloads.gpus import groups_of


class Binding:
    """The binder's loops, to be run beside the caches."""

    def __init__(self, binder: Binder, observed: Observed, clock: Clock, rng: Random) -> None:
        self._binder = binder
        self._requests: Reconciler[Key] = Reconciler("binder", binder.request, clock=clock, rng=rng, workers=8)
        self._groups: Reconciler[str] = Reconciler("reservations", binder.group, clock=clock, rng=rng)
        binder.requests.on_change(self._request_changed)
        binder.reservations.pods.on_change(self._reservation_changed)
        for pods in (observed.pods, *observed.foreign):
            pods.on_change(self._pod_changed)
        for agents in binder.enforcement.caches():
            agents.on_change(self._agent_changed)

    def caches(self) -> tuple[Cache[Any], ...]:
        """What the binder reads beside what the controllers read anyway."""
        return self._binder.caches()

    def loops(self) -> tuple[Reconciler[Any], ...]:
        """Both."""
        return (self._requests, self._groups)

    def mark_everything(self) -> None:
        """As after a start: nothing is known of what was done before."""
        self._requests.mark_all(self._binder.requests.items())
        self._groups.mark_all(self._binder.groups())

    def _request_changed(self, key: Key, before: BindRequest | None, after: BindRequest | None) -> None:
        self._requests.mark(key)
        for request in filter(None, (before, after)):
            self._groups.mark_all(request.spec.selected_gpu_groups)

    def _reservation_changed(self, _key: Key, before: Pod | None, after: Pod | None) -> None:
        for group in {pod.metadata.labels.get(fields.GPU_GROUP, "") for pod in (before, after) if pod is not None}:
            self._groups.mark(group)
            self._requests.mark_all(self._binder.asking(group))

    def _pod_changed(self, key: Key, before: Pod | None, after: Pod | None) -> None:
        if self._binder.requests.get(key.name, key.namespace) is not None:
            self._requests.mark(key)
        for pod in filter(None, (before, after)):
            self._groups.mark_all(groups_of(pod))

    def _agent_changed(self, _key: Key, before: Pod | None, after: Pod | None) -> None:
        """What is said of a node's MPS daemons holds only while its agent is there."""
        nodes = {pod.spec.node_name for pod in (before, after) if pod is not None}
        for pod in self._binder.reservations.pods:
            if pod.spec.node_name in nodes:
                self._groups.mark(pod.metadata.labels.get(fields.GPU_GROUP, ""))
