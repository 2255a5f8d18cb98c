"""The binder: works off BindRequests, and gives shared devices back that nobody uses.

Everything about one node happens under one lock, so that no device is given back while a pod is being bound to it. What a request needs is
made step by step, each step found again by the next look: the process may end between any two calls.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import nullcontext, suppress
from typing import Any, Final

import msgspec

from fairlead.cluster.controllers.enforcement import Enforcement
from fairlead.cluster.controllers.observe import Observed
from fairlead.cluster.controllers.reservations import NoReservation, Reservations, device_of
from fairlead.cluster.controllers.volumes import NoVolume, Volumes
from fairlead.kube.cache import Cache, Key
from fairlead.kube.client import Client
from fairlead.objects import fields, kinds
from fairlead.objects.crds import OURS
from fairlead.objects.json import JsonObject
from fairlead.objects.kai import BindRequest, BindRequestStatus, is_for
from fairlead.objects.meta import Condition, condition_of
from fairlead.objects.pod import Pod, has_ended
from fairlead.objects.times import text_of
from fairlead.runtime.clock import Clock
from fairlead.runtime.errors import Conflict, Denied, Invalid, NotFound
from fairlead.runtime.instruments import gauge
from fairlead.runtime.logs import logger
from fairlead.workloads.gpus import groups_of

VOLUME_SECONDS: Final = 120.0
"""Within this a provisioner makes a volume; then the pod is tried elsewhere."""
_CLAIM_SECONDS: Final = 1.0
"""How often a request that waits for a volume is looked at."""
_LOOK_SECONDS: Final = 5.0
"""How often a request that waits for a device is looked at, beside being told of changes."""
_TOLD_SECONDS: Final = 10.0
"""So long a request waits before its pod is told what for."""
_RESERVING: Final = gauge("fairlead_reservation_pods", ("used",), ("unused",))


class Binder:
    """Two reconcilers' work: `request` for a BindRequest, `group` for a shared device."""

    def __init__(
        self,
        client: Client,
        observed: Observed,
        reservations: Reservations,
        clock: Clock,
        enforcement: Enforcement | None = None,
    ) -> None:
        self._client = client
        self._observed = observed
        self._clock = clock
        self.reservations = reservations
        self.enforcement = enforcement or Enforcement(client, observed)
        self._volumes = Volumes(client)
        self.requests: Cache[BindRequest] = Cache(client, kinds.BIND_REQUEST, labels="=".join(OURS))
        self._asking: defaultdict[str, set[Key]] = defaultdict(set)
        """Requests by the groups they want."""
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._since: dict[str, float] = {}
        """Since when a request waits, by its UID."""
        self._reserving: dict[str, tuple[int, bool]] = {}
        """Group to its reservation pods, and whether somebody uses them."""
        self._log = logger("binder")
        self.requests.on_change(self._index)

    def caches(self) -> tuple[Cache[Any], ...]:
        """What it reads beside what the controllers read anyway."""
        return (self.requests, self.reservations.pods, *self.enforcement.caches())

    async def request(self, key: Key) -> float | None:
        """The pod is bound, or the request says why not; one whose pod is gone is removed."""
        request = self.requests.get(key.name, key.namespace)
        if request is None:
            return None
        if not await self._is_meant(request):
            self._since.pop(request.metadata.uid, None)
            await self._remove(request)
            return None
        if request.status.phase in ("Succeeded", "Failed"):
            return None
        async with self._locks[request.spec.selected_node] if request.spec.selected_gpu_groups else nullcontext():
            return await self._work_off(request)

    async def group(self, group: str) -> float | None:
        """A device that nobody uses is given back; pods on one that nobody holds for them any more are stopped."""
        held = self.reservations.of(group)
        nodes = {pod.spec.node_name for pod in (*held, *self._sharing(group))}
        self._count(group, held)
        for node in sorted(nodes):
            async with self._locks[node]:
                await self._settle(group, node)
        return None

    def _count(self, group: str, held: list[Pod]) -> None:
        """Notes our reservation pods of the group, and whether anybody uses them: unused ones are about to be given back."""
        self._reserving.pop(group, None)
        if ours := [pod for pod in held if pod.metadata.namespace == self.reservations.options.namespace]:
            self._reserving[group] = (len(ours), bool(self._sharing(group) or self._asking.get(group)))
        for state, is_used in (("used", True), ("unused", False)):
            _RESERVING.labels(state).set(sum(n for n, used in self._reserving.values() if used is is_used))

    def asking(self, group: str) -> tuple[Key, ...]:
        """Requests that want the group."""
        return tuple(sorted(self._asking.get(group, ())))

    def groups(self) -> tuple[str, ...]:
        """Every group that somebody asks for, holds or shares."""
        asked = {group for group, keys in self._asking.items() if keys}
        return tuple(sorted(asked | set(self.reservations.groups()) | set(self._observed.shared_groups())))

    def _index(self, key: Key, before: BindRequest | None, after: BindRequest | None) -> None:
        for group in before.spec.selected_gpu_groups if before else ():
            self._asking[group].discard(key)
        for group in after.spec.selected_gpu_groups if after else ():
            self._asking[group].add(key)

    # one request

    async def _work_off(self, request: BindRequest) -> float | None:
        spec, since = request.spec, self._since.setdefault(request.metadata.uid, self._clock.now())
        pod = await self._client.find(kinds.POD, spec.pod_name, request.metadata.namespace)
        if pod is None or not is_for(request, pod) or pod.metadata.deletion_timestamp:
            return _LOOK_SECONDS
        if pod.spec.node_name:
            await self._found_bound(request, pod)
            return None
        try:
            devices = [await self.reservations.device(group, spec.selected_node) for group in spec.selected_gpu_groups]
            claims = await self._volumes.waiting(pod, spec.selected_node)
        except (NoReservation, NoVolume, Invalid, Denied) as why:
            await self._fail(request, str(why))
            return None
        except NotFound:
            return _LOOK_SECONDS  # what was just read is gone: all is looked at anew
        if all(devices) and not claims:
            await self._bind(request, pod, devices)
            return None
        waited, open_claims = self._clock.now() - since, claims if all(devices) else ()
        if late := self._late(request, waited, open_claims):
            await self._fail(request, late)
            return None
        if waited > _TOLD_SECONDS:
            await self._tell(pod, spec.selected_node, open_claims)
        return _CLAIM_SECONDS if claims else _LOOK_SECONDS

    async def _tell(self, pod: Pod, node: str, claims: tuple[str, ...]) -> None:
        """What it waits for, once that takes long: to whoever looks it has a place and does not start."""
        what = (
            f"its claim {claims[0]} has a volume"
            if claims
            else "the node agent (fairlead-node) tells which GPU it gave"
        )
        why = f"Placed on {node}; waits until {what}"
        told = condition_of(pod.status.conditions, "PodScheduled")
        if told is None or told.message != why:
            await self._condition(pod, "PodScheduled", "False", "Binding", why)

    def _late(self, request: BindRequest, seconds: float, claims: tuple[str, ...]) -> str:
        """Why it is given up; empty while it is not. `claims`: those that are waited for, none where a device is."""
        node, options = request.spec.selected_node, self.reservations.options
        if claims and seconds > VOLUME_SECONDS:
            return (
                f"the claim {claims[0]} was not bound to a volume for {node} within {VOLUME_SECONDS:.0f} s; "
                f"`kubectl -n {request.metadata.namespace} describe pvc {claims[0]}` says what its provisioner does"
            )
        if not claims and seconds > options.timeout:
            return (
                f"{node} did not tell within {options.timeout:.0f} s which GPU it gave for sharing; "
                "is the node agent (fairlead-node) running there?"
            )
        return ""

    async def _bind(self, request: BindRequest, pod: Pod, devices: list[str]) -> None:
        spec, meta = request.spec, pod.metadata
        notes: JsonObject = {fields.RECEIVED_TYPE: spec.received_resource_type}
        if devices:
            notes |= {
                fields.GPU_GROUP: ",".join(spec.selected_gpu_groups),
                fields.VISIBLE_DEVICES: ",".join(devices),
                fields.GPU_PORTION: spec.received_gpu.portion if spec.received_gpu else "",
            }
            held = [pod for group in spec.selected_gpu_groups for pod in self.reservations.of(group)[:1]]
            notes |= await self.enforcement.notes(pod, spec.selected_node, held)
        try:
            await self._client.bind(meta.name, meta.namespace, spec.selected_node, uid=meta.uid, annotations=notes)
        except NotFound:
            return  # the pod is gone, and its request with it
        await self._say(request, BindRequestStatus(phase="Succeeded"))

    async def _found_bound(self, request: BindRequest, pod: Pod) -> None:
        """By an earlier try whose answer was lost, or by somebody else: then it has no device, and says so."""
        if groups_of(pod) == request.spec.selected_gpu_groups and pod.spec.node_name == request.spec.selected_node:
            await self._say(request, BindRequestStatus(phase="Succeeded"))
            return
        why = (
            f"Somebody else bound it to {pod.spec.node_name} while a GPU was being shared out to it on "
            f"{request.spec.selected_node}: it has no GPU there. Make it again."
        )
        self._log.warning(
            "bind.by_others", pod=f"{pod.metadata.namespace}/{pod.metadata.name}", node=pod.spec.node_name
        )
        await self._condition(pod, "PodBound", "False", "BoundByOthers", why)
        await self._say(request, BindRequestStatus(phase="Failed", reason=why))

    async def _fail(self, request: BindRequest, why: str) -> None:
        self._log.info("bind.failed", request=str(Key(request.metadata.namespace, request.metadata.name)), message=why)
        await self._say(request, BindRequestStatus(phase="Failed", reason=why))

    async def _say(self, request: BindRequest, status: BindRequestStatus) -> None:
        meta, written = request.metadata, msgspec.to_builtins(status)
        with _unless_gone():
            await self._client.patch_status(kinds.BIND_REQUEST, meta.name, written, meta.namespace, uid=meta.uid)
        self._since.pop(meta.uid, None)

    async def _is_meant(self, request: BindRequest) -> bool:
        """Whether the very pod it was made for is there; asked of the server where the cache does not show it."""
        name, namespace = request.spec.pod_name, request.metadata.namespace
        known = self._observed.pod(name, namespace)
        if known is None or not is_for(request, known):
            known = await self._client.find(kinds.POD, name, namespace)
        return known is not None and is_for(request, known)

    async def _remove(self, request: BindRequest) -> None:
        meta = request.metadata
        with _unless_gone():
            await self._client.delete(kinds.BIND_REQUEST, meta.name, meta.namespace, uid=meta.uid)

    # one shared device

    async def _settle(self, group: str, node: str) -> None:
        present = [pod for pod in self.reservations.of(group) if pod.spec.node_name == node]
        held = [pod for pod in present if not has_ended(pod)]
        sharing = [pod for pod in self._sharing(group) if pod.spec.node_name == node]
        if not sharing and not self._is_asked_for(group, node):
            for pod in present:
                await self.reservations.end(pod)
            return
        for pod in held[1:]:
            self._log.warning("reservation.second", group=group, node=node, pod=pod.metadata.name)
            await self.reservations.end(pod)
        if sharing and not held and await self.reservations.is_there(group):
            return  # the cache will show it
        device = device_of(held[0]) if held else ""
        for pod in sharing:
            told = pod.metadata.annotations.get(fields.VISIBLE_DEVICES, "")
            if told and (not held or (device and device not in told.split(","))):
                await self._stop(pod, node)
            elif told:
                await self.enforcement.restate(pod, held[0])

    def _sharing(self, group: str) -> tuple[Pod, ...]:
        """Bound pods of the group that have not ended."""
        return tuple(pod for pod in self._observed.sharing(group) if not has_ended(pod))

    def _is_asked_for(self, group: str, node: str) -> bool:
        """Whether a request that has not failed, of a pod that has not ended, wants the group."""
        return any(self._wants(self.requests.items()[key], node) for key in self._asking.get(group, ()))

    def _wants(self, request: BindRequest, node: str) -> bool:
        spec = request.spec
        if request.status.phase == "Failed" or spec.selected_node != node:
            return False
        pod = self._observed.pod(spec.pod_name, request.metadata.namespace)
        return pod is None or not is_for(request, pod) or not has_ended(pod)

    async def _stop(self, pod: Pod, node: str) -> None:
        """Its device is no longer held, and may be given to anybody."""
        why = f"Stopped: the GPU it shared on {node} is no longer reserved (somebody removed the reservation pod)"
        await self._condition(pod, "DisruptionTarget", "True", "DeletionByFairlead", why)
        meta = pod.metadata
        self._log.warning("pod.unreserved", pod=f"{meta.namespace}/{meta.name}", node=node)
        with _unless_gone():
            await self._client.delete(kinds.POD, meta.name, meta.namespace, uid=meta.uid)

    async def _condition(self, pod: Pod, kind: str, status: str, reason: str, message: str) -> None:
        now, meta = text_of(self._clock.now()), pod.metadata
        condition = Condition(type=kind, status=status, reason=reason, message=message, last_transition_time=now)
        with _unless_gone():
            await self._client.patch_conditions(kinds.POD, meta.name, [condition], meta.namespace, uid=meta.uid)


def _unless_gone() -> suppress:
    """For what is done to one very object: that it is gone, or another has its name, is as good."""
    return suppress(NotFound, Conflict)
