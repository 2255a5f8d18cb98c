"""A plan as calls: holds first, then evictions, then binds side by side; then what people read about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from fairlead.cluster.scheduler.assumed import UNCERTAIN_SECONDS, Assumed
from fairlead.cluster.scheduler.evictions import Kept, end, eviction_text, losses
from fairlead.cluster.scheduler.measured import BINDS, EVICTIONS
from fairlead.kube.client import Client
from fairlead.kube.errors import AlreadyExists, Uncertain
from fairlead.model import Bind, Evict, Keep, PodGroup
from fairlead.model.charges import memory_charge
from fairlead.objects import fields, kai, kinds
from fairlead.objects.builtin import Event
from fairlead.objects.crds import OURS
from fairlead.objects.json import JsonObject
from fairlead.objects.kinds import Kind
from fairlead.objects.meta import Condition, ObjectMeta, ObjectReference, OwnerReference
from fairlead.objects.pod import Pod
from fairlead.objects.times import micro_text_of, text_of
from fairlead.runtime.clock import Clock
from fairlead.runtime.errors import Conflict, FairleadError, NotFound
from fairlead.runtime.logs import logger
from fairlead.workloads.gpus import gpu_of

T = TypeVar("T")

IN_FLIGHT = 32
"""Calls at once; a small API server is full with fewer."""
TOLD_IN_FLIGHT = 8
"""Of them, those that only people wait for."""
MOST_OF_EVENT = 1024
"""Characters of an event's message that Kubernetes takes."""


class Known(Struct, frozen=True, kw_only=True):
    """The objects behind the names in a plan."""

    pods: Mapping[str, Pod]
    groups: Mapping[str, PodGroup]
    first: Mapping[str, str]
    """Group's uid to that of its first pod: it speaks for the group, and its labels say whose the group is."""
    waiting_for_volumes: frozenset[str] = frozenset()
    """UIDs of pods whose volumes are bound only once they have a node."""
    gpu_memory_mib: Mapping[str, int] = {}
    """Node's name to the memory of one of its devices; 0 where nobody knows."""

    def first_of(self, group: str) -> Pod | None:
        """The pod that speaks for a group."""
        return self.pods.get(self.first.get(group, ""))


class Applier:
    """Carries plans out. Preconditions are pod UIDs; whatever is refused is found again by the next cycle."""

    def __init__(self, client: Client, clock: Clock, assumed: Assumed, name: str, *, has_binder: bool = False) -> None:
        self._client = client
        self._has_binder = has_binder
        self._clock = clock
        self._assumed = assumed
        self._name = name
        self._busy = asyncio.Semaphore(IN_FLIGHT)
        self._telling = asyncio.Semaphore(TOLD_IN_FLIGHT)
        self._events: list[Event] = []
        self._numbered = 0
        self._log = logger("scheduler.apply")

    async def apply(self, commands: Iterable[Bind | Evict | Keep], known: Known) -> dict[str, str]:
        """Does it all; gives back pods that could not be bound, or had no room made for them: UID -> why.

        Nobody is evicted for a promise that could not be written.
        """
        listed = list(commands)
        keeps = [c for c in listed if isinstance(c, Keep)]
        written = await self._all(self._keep(c, known) for c in keeps)
        unwritten = {c.group for c, ok in zip(keeps, written, strict=True) if not ok}
        kept = await self._evict_all(
            [c for c in listed if isinstance(c, Evict) and c.for_group not in unwritten], known
        )
        binds = [c for c in listed if isinstance(c, Bind)]
        done = await self._all(self._bind(c, known) for c in binds)
        return kept | {c.pod: why for c, why in zip(binds, done, strict=True) if why and c.pod in known.pods}

    async def withdraw(self, request: kai.BindRequest) -> None:
        """Ends a request that the binder could not do; one that is gone is fine."""
        meta = request.metadata
        await self._quietly(lambda: self._client.delete(kinds.BIND_REQUEST, meta.name, meta.namespace, uid=meta.uid))

    async def tell(self) -> None:
        """Writes the events of what was done since the last time."""
        events, self._events = self._events, []
        async with asyncio.TaskGroup() as group:
            for event in events:
                group.create_task(self._tell(event), name="scheduler.event")

    async def _tell(self, event: Event) -> None:
        async with self._telling:
            await self._quietly(lambda: self._client.create(kinds.EVENT, event, event.metadata.namespace))

    async def say_why(self, pod: Pod, message: str, *, is_new: bool) -> None:
        """Writes why the pod waits, unless it was given a place since that was found. `is_new`: the cause is another than before."""
        if self._assumed.is_bound(pod.metadata.uid):
            return
        if is_new:
            self._event(pod, "FailedScheduling", message, "Warning")
        now = text_of(self._clock.now())
        condition = Condition(
            type="PodScheduled", status="False", reason="Unschedulable", message=message, last_transition_time=now
        )
        meta = pod.metadata
        await self._quietly(
            lambda: self._client.patch_conditions(kinds.POD, meta.name, [condition], meta.namespace, uid=meta.uid)
        )

    async def say_of_group(self, group: kai.PodGroup, conditions: tuple[kai.SchedulingCondition, ...]) -> None:
        """Writes on the group's object why it waits in each node pool."""
        now, meta = text_of(self._clock.now()), group.metadata
        dated = [msgspec.structs.replace(c, last_transition_time=c.last_transition_time or now) for c in conditions]
        status: JsonObject = {"schedulingConditions": msgspec.to_builtins(dated)}
        await self._quietly(
            lambda: self._client.patch_status(kinds.POD_GROUP, meta.name, status, meta.namespace, uid=meta.uid)
        )

    async def _bind(self, bind: Bind, known: Known) -> str:
        """Why it failed; empty where it did not, or where the next cycle sees what became of it."""
        pod = known.pods.get(bind.pod)
        if pod is None:
            return ""
        meta = pod.metadata
        try:
            await self._place(bind, pod, known)
        except (NotFound, AlreadyExists, Conflict) as error:
            BINDS.labels("refused").inc()
            self._log.info("bind.refused", pod=f"{meta.namespace}/{meta.name}", message=str(error))
            return ""
        except Uncertain as error:
            BINDS.labels("uncertain").inc()
            self._log.info("bind.uncertain", pod=f"{meta.namespace}/{meta.name}", message=str(error))
            self._assumed.bind(bind.pod, bind.node, bind.shared, self._clock.now() + UNCERTAIN_SECONDS)
            return ""
        except FairleadError as error:
            BINDS.labels("failed").inc()
            self._log.warning("bind.failed", pod=f"{meta.namespace}/{meta.name}", message=str(error))
            return str(error)
        BINDS.labels("done").inc()
        # what the binder cannot do is withdrawn
        until = self._clock.now() + UNCERTAIN_SECONDS if self._is_for_binder(bind, known) else None
        self._assumed.bind(bind.pod, bind.node, bind.shared, until)
        self._event(pod, "Scheduled", f"Placed on {bind.node}")
        return ""

    def _is_for_binder(self, bind: Bind, known: Known) -> bool:
        return self._has_binder and (bool(bind.shared) or bind.pod in known.waiting_for_volumes)

    async def _place(self, bind: Bind, pod: Pod, known: Known) -> None:
        """Binds what needs nothing else; has the binder do what needs a device reserved or a volume bound first."""
        meta = pod.metadata
        if self._is_for_binder(bind, known):
            await self._client.create(kinds.BIND_REQUEST, bind_request(bind, pod, known), meta.namespace)
            return
        notes: JsonObject = {fields.GPU_GROUP: ",".join(bind.shared)} if bind.shared else {}
        if gpu_of(pod).mig:
            notes |= {fields.RECEIVED_TYPE: "MigInstance", fields.ENFORCEMENT: "hardware"}
        await self._client.bind(meta.name, meta.namespace, bind.node, uid=meta.uid, annotations=notes or None)

    async def _evict_all(self, evictions: list[Evict], known: Known) -> dict[str, str]:
        """First pods of the groups whose room a disruption budget keeps: UID -> why. Their promises are taken back."""
        lost = losses(evictions, known.pods, self._clock.now())
        said = await self._all(self._evict(e, known, lost.get(e.pod, 0)) for e in evictions)
        kept = {e.for_group: why for e, why in zip(evictions, said, strict=True) if why}
        await self._all(self._keep(Keep(group=group, hold=None), known) for group in kept)
        return {known.first[group]: why for group, why in kept.items() if group in known.first}

    async def _evict(self, evict: Evict, known: Known, spent: int) -> str:
        """Why a disruption budget keeps the pod; empty where none does. `spent`: what its work loses."""
        pod = known.pods.get(evict.pod)
        if pod is None:
            return ""
        taker = known.groups.get(evict.for_group)
        speaker = known.first_of(evict.for_group)
        meta = pod.metadata
        message = eviction_text(evict, taker, speaker.metadata.labels if speaker else {}, meta.namespace, spent)
        condition = Condition(
            type="DisruptionTarget",
            status="True",
            reason="PreemptionByScheduler",
            message=message,
            last_transition_time=text_of(self._clock.now()),
        )
        try:
            await end(self._client, pod, condition, evict.action)
        except Kept as why:
            self._log.info("evict.kept", pod=f"{meta.namespace}/{meta.name}", message=str(why))
            return str(why)
        except (NotFound, Conflict):
            return ""
        except FairleadError as error:
            self._log.warning("evict.uncertain", pod=f"{meta.namespace}/{meta.name}", message=str(error))
            self._assumed.evict(evict.pod, self._clock.now() + UNCERTAIN_SECONDS)
            return ""
        self._assumed.evict(evict.pod)
        EVICTIONS.labels(evict.action.value).inc()
        self._event(pod, "Evicted", message)
        return ""

    async def _keep(self, keep: Keep, known: Known) -> bool:
        group = known.groups.get(keep.group)
        if group is None:
            return False
        text = None if keep.hold is None else msgspec.json.encode(keep.hold).decode()
        patch: JsonObject = {"metadata": {"annotations": {fields.HOLD: text}}}
        kind: Kind[Any] = kinds.POD if keep.group in known.pods else kinds.POD_GROUP
        try:
            await self._client.patch(kind, group.name, patch, group.namespace, uid=group.uid)
        except FairleadError as error:
            self._log.info("hold.failed", group=f"{group.namespace}/{group.name}", message=str(error))
            return False
        self._assumed.keep(keep.group, keep.hold, self._clock.now())
        return True

    def _event(self, pod: Pod, reason: str, message: str, grade: str = "Normal") -> None:
        """Kept until `tell` writes it."""
        self._numbered += 1
        now = self._clock.now()
        meta = pod.metadata
        event = Event(
            metadata=ObjectMeta(name=f"{meta.name}.{int(now * 1e6):x}{self._numbered:x}", namespace=meta.namespace),
            involved_object=ObjectReference(
                api_version="v1", kind="Pod", name=meta.name, namespace=meta.namespace, uid=meta.uid
            ),
            reason=reason,
            message=message[:MOST_OF_EVENT],
            type=grade,
            event_time=micro_text_of(now),
            action=reason,
            reporting_component=self._name,
            reporting_instance=self._name,
            first_timestamp=text_of(now),
            last_timestamp=text_of(now),
            count=1,
        )
        self._events.append(event)

    async def _all(self, calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
        async def one(call: Coroutine[Any, Any, T]) -> T:
            async with self._busy:
                return await call

        listed = list(calls)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(c), name="scheduler.call") for c in listed]
        finally:
            for call in listed:
                call.close()  # one whose turn never came, for the lease was lost
        return [t.result() for t in tasks]

    async def _quietly(self, call: Callable[[], Awaitable[object]]) -> None:
        """For what people read only: a refusal is logged, and nothing depends on it."""
        try:
            await call()
        except (NotFound, AlreadyExists, Conflict):
            return
        except FairleadError as error:
            self._log.info("note.failed", message=str(error))


def bind_request(bind: Bind, pod: Pod, known: Known) -> kai.BindRequest:
    """What the binder is to do. It is named like the pod and ends with it: made twice it conflicts instead of doubling."""
    meta, asked = pod.metadata, gpu_of(pod)
    milli = asked.portion_milli or memory_charge(asked.memory_mib, known.gpu_memory_mib.get(bind.node, 0), 1)
    return kai.BindRequest(
        metadata=ObjectMeta(
            name=meta.name,
            namespace=meta.namespace,
            labels={fields.SELECTED_NODE: bind.node, OURS[0]: OURS[1]},
            owner_references=(OwnerReference(api_version="v1", kind="Pod", name=meta.name, uid=meta.uid),),
        ),
        spec=kai.BindRequestSpec(
            pod_name=meta.name,
            selected_node=bind.node,
            received_resource_type="Fraction" if bind.shared else "Regular",
            received_gpu=kai.ReceivedGpu(count=len(bind.shared) or asked.devices, portion=f"{milli / 1000:.2f}"),
            selected_gpu_groups=bind.shared,
        ),
    )
