"""Workloads: brings pods and pod groups to what `workloads.realise` says, and writes the status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from fairlead.cluster.controllers.groups import ensure_group
from fairlead.cluster.controllers.observe import Observed
from fairlead.kube.cache import Key
from fairlead.kube.client import Client
from fairlead.kube.errors import AlreadyExists
from fairlead.objects import kinds
from fairlead.objects.fields import ENDED
from fairlead.objects.json import JsonObject
from fairlead.objects.kinds import Kind
from fairlead.objects.meta import is_owned_by
from fairlead.objects.pod import Pod
from fairlead.objects.times import seconds_of, text_of
from fairlead.objects.workload import Workload, WorkloadStatus
from fairlead.runtime.clock import Clock
from fairlead.runtime.errors import Conflict, Denied, Invalid, NotFound, Retryable
from fairlead.workloads.realise import Realised, realise
from fairlead.workloads.shares import with_devices
from fairlead.workloads.status import ends_by

WorkKey = tuple[str, Key]
"""(kind, name of the object)."""

_REFUSED_SECONDS = 30.0
"""Pods that the API server refuses are tried again after this: what forbids them, a quota say, may have been changed."""

_AWAY_SECONDS = 5.0
"""Between tries while a webhook does not answer."""

_KINDS: dict[str, Kind[Any]] = {k.kind: k for k in kinds.WORKLOAD_KINDS}


class Works:
    """Reconciles one workload at a time."""

    def __init__(self, client: Client, observed: Observed, clock: Clock, *, tells: bool = False) -> None:
        self._client = client
        self._observed = observed
        self._clock = clock
        self._tells = tells
        """Whether containers read which devices they share (`workloads.shares`), rather than their node telling them."""

    async def reconcile(self, key: WorkKey) -> float | None:
        """Pods and status of the workload as they should be; pods of one that is gone are removed."""
        kind, name = key
        workload = self._observed.workload(kind, name)
        pods = self._observed.pods_of(name.namespace, name.name, kind)
        mine = [p for p in pods if workload is not None and _is_of(p, workload)]
        for pod in pods:
            if pod not in mine:
                await self._delete(pod)
        if workload is None:
            self._observed.forget(self._observed.left_of(name.namespace, name.name))
            return None
        owner = self._observed.owner_of(workload)
        if owner is None:
            message = f"The namespace {name.namespace} belongs to no project."
            await self._show(kind, workload, WorkloadStatus(phase="Pending", phase_message=message))
            return 30.0
        left = [p for p in self._observed.left_of(name.namespace, name.name) if _is_of(p, workload)]
        plan = realise(workload, owner, mine, text_of(self._clock.now()), left)
        if plan.ended:
            await self._note_end(kind, workload, plan.ended)
        if plan.group is not None and not workload.spec.suspended:
            await ensure_group(self._client, self._observed.groups, plan.group)
        for pod in plan.delete:
            await self._delete(pod)
        refused = await self._create_all(plan)
        if refused is not None:
            message, again = refused
            await self._show(kind, workload, replace(plan.status, phase="Pending", phase_message=message))
            return again
        await self._show(kind, workload, plan.status)
        self._observed.forget(left)
        return self._again(mine, seconds_of(plan.status.next_try_at))

    def _again(self, mine: Sequence[Pod], next_try: float | None) -> float | None:
        """Seconds until time alone changes what is to be done or told; None where it does not."""
        now = self._clock.now()
        late = [at for pod in mine if pod.metadata.deletion_timestamp and (at := ends_by(pod)) > now]
        times = [*late, *([] if next_try is None else [next_try])]
        return max(min(times) - now, 0.0) if times else None

    async def _note_end(self, kind: str, workload: Workload, ended: str) -> None:
        meta = workload.metadata
        patch: JsonObject = {"metadata": {"annotations": {ENDED: ended}}}
        try:
            await self._client.patch(_KINDS[kind], meta.name, patch, meta.namespace, uid=meta.uid)
        except NotFound:
            return

    async def _create_all(self, plan: Realised) -> tuple[str, float] | None:
        """Why the pods cannot be made, and when to try again; None where they are."""
        try:
            for pod in plan.create:
                await self._create(pod)
        except (Invalid, Denied) as error:
            return f"Its pods are refused: {error}", _REFUSED_SECONDS
        except Retryable as error:
            if "webhook" not in str(error):
                raise
            return f"Its pods cannot be made now: {error}", _AWAY_SECONDS
        return None

    async def _create(self, pod: Pod) -> None:
        made = with_devices(pod) if self._tells else pod
        try:
            await self._client.create(kinds.POD, made, pod.metadata.namespace)
        except AlreadyExists:
            return

    async def _delete(self, pod: Pod) -> None:
        if pod.metadata.deletion_timestamp:
            return
        try:
            await self._client.delete(kinds.POD, pod.metadata.name, pod.metadata.namespace, uid=pod.metadata.uid)
        except (NotFound, Conflict):
            return  # that very pod is gone; the cache will show what took its name

    async def _show(self, kind: str, workload: Workload, status: WorkloadStatus) -> None:
        if workload.status == status:
            return
        meta = workload.metadata
        patch: JsonObject = {**_CLEARED, **to_builtins(status)}
        try:
            await self._client.patch_status(_KINDS[kind], meta.name, patch, meta.namespace, uid=meta.uid)
        except NotFound:
            return


def _is_of(pod: Pod, workload: Workload) -> bool:
    return is_owned_by(pod.metadata, workload.metadata.uid)


_CLEARED: JsonObject = {
    "phase": None,
    "phaseMessage": None,
    "runningPods": None,
    "requestedPods": None,
    "succeededPods": None,
    "failures": None,
    "evictions": None,
    "nodePool": None,
    "nodes": None,
    "allocatedGpuMilli": None,
    "nextTryAt": None,
    "startedAt": None,
    "completedAt": None,
    "observedGeneration": None,
}
"""Fields left out because they hold their default must be removed by the merge patch, not kept."""
