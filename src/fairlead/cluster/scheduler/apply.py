"""A plan as calls: holds first, then evictions, then binds side by side; then what people read about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from fairlead.cluster.scheduler.assumed import UNCERTAIN_SECONDS, Assumed
from fairlead.kube.client import Client
from fairlead.kube.errors import AlreadyExists, Uncertain
from fairlead.model import Bind, Evict, Keep, PodGroup
from fairlead.objects import fields, kai, kinds
from fairlead.objects.builtin import Event
from fairlead.objects.json import JsonObject
from fairlead.objects.kinds import Kind
from fairlead.objects.meta import Condition, ObjectMeta, ObjectReference
from fairlead.objects.pod import Pod
from fairlead.objects.times import micro_text_of, text_of
from fairlead.runtime.clock import Clock
from fairlead.runtime.errors import Conflict, FairleadError, NotFound
from fairlead.runtime.logs import logger

T = TypeVar("T")

IN_FLIGHT = 32
"""Calls at once; a small API server is full with fewer."""
TOLD_IN_FLIGHT = 8
"""Of them, those that only people wait for."""


class Known(Struct, frozen=True, kw_only=True):
    """The objects behind the names in a plan."""

    pods: Mapping[str, Pod]
    groups: Mapping[str, PodGroup]
    first: Mapping[str, str]
    """Group's uid to that of its first pod: it speaks for the group, and its labels say whose the group is."""

    def first_of(self, group: str) -> Pod | None:
        """The pod that speaks for a group."""
        return self.pods.get(self.first.get(group, ""))


class Applier:
    """Carries plans out. Preconditions are pod UIDs; whatever is refused is found again by the next cycle."""

    def __init__(self, client: Client, clock: Clock, assumed: Assumed, name: str) -> None:
        self._client = client
        self._clock = clock
        self._assumed = assumed
        self._name = name
        self._busy = asyncio.Semaphore(IN_FLIGHT)
        self._telling = asyncio.Semaphore(TOLD_IN_FLIGHT)
        self._events: list[Event] = []
        self._numbered = 0
        self._log = logger("scheduler.apply")

    async def apply(self, commands: Iterable[Bind | Evict | Keep], known: Known) -> dict[str, str]:
        """Does it all; gives back pods whose bind failed: UID -> why. Nobody is evicted for a promise that could not be written."""
        listed = list(commands)
        keeps = [c for c in listed if isinstance(c, Keep)]
        written = await self._all(self._keep(c, known) for c in keeps)
        unwritten = {c.group for c, ok in zip(keeps, written, strict=True) if not ok}
        await self._all(self._evict(c, known) for c in listed if isinstance(c, Evict) and c.for_group not in unwritten)
        binds = [c for c in listed if isinstance(c, Bind)]
        done = await self._all(self._bind(c, known) for c in binds)
        return {c.pod: why for c, why in zip(binds, done, strict=True) if why and c.pod in known.pods}

    async def tell(self) -> None:
        """Writes the events of what was done since the last time."""
        events, self._events = self._events, []
        async with asyncio.TaskGroup() as group:
            for event in events:
                group.create_task(self._tell(event), name="scheduler.event")

    async def _tell(self, event: Event) -> None:
        async with self._telling:
            await self._quietly(lambda: self._client.create(kinds.EVENT, event, event.metadata.namespace))

    async def say_why(self, pod: Pod, message: str) -> None:
        """Writes why the pod waits, where it is not written already."""
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
        notes: JsonObject = {fields.GPU_GROUP: ",".join(bind.shared)} if bind.shared else {}
        try:
            await self._client.bind(meta.name, meta.namespace, bind.node, uid=meta.uid, annotations=notes or None)
        except (NotFound, Conflict) as error:
            self._log.info("bind.refused", pod=f"{meta.namespace}/{meta.name}", message=str(error))
            return ""
        except Uncertain as error:
            self._log.info("bind.uncertain", pod=f"{meta.namespace}/{meta.name}", message=str(error))
            self._assumed.bind(bind.pod, bind.node, bind.shared, self._clock.now() + UNCERTAIN_SECONDS)
            return ""
        except FairleadError as error:
            self._log.warning("bind.failed", pod=f"{meta.namespace}/{meta.name}", message=str(error))
            return str(error)
        self._assumed.bind(bind.pod, bind.node, bind.shared)
        self._event(pod, "Scheduled", f"Placed on {bind.node}")
        return ""

    async def _evict(self, evict: Evict, known: Known) -> None:
        pod = known.pods.get(evict.pod)
        if pod is None:
            return
        taker = known.groups.get(evict.for_group)
        speaker = known.first_of(evict.for_group)
        meta = pod.metadata
        message = eviction_text(evict, taker, speaker.metadata.labels if speaker else {}, meta.namespace)
        condition = Condition(
            type="DisruptionTarget",
            status="True",
            reason="PreemptionByScheduler",
            message=message,
            last_transition_time=text_of(self._clock.now()),
        )
        try:
            await self._client.patch_conditions(kinds.POD, meta.name, [condition], meta.namespace, uid=meta.uid)
            await self._client.delete(kinds.POD, meta.name, meta.namespace, uid=meta.uid)
        except (NotFound, Conflict):
            return
        except FairleadError as error:
            self._log.warning("evict.uncertain", pod=f"{meta.namespace}/{meta.name}", message=str(error))
            self._assumed.evict(evict.pod, self._clock.now() + UNCERTAIN_SECONDS)
            return
        self._assumed.evict(evict.pod)
        self._event(pod, "Evicted", message)

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

    def _event(self, pod: Pod, reason: str, message: str) -> None:
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
            message=message,
            type="Normal",
            event_time=micro_text_of(now),
            action=reason,
            reporting_component=self._name,
            reporting_instance=self._name,
            first_timestamp=text_of(now),
            last_timestamp=text_of(now),
            count=1,
        )
        self._events.append(event)

    async def _all(self, calls: Iterable[Awaitable[T]]) -> list[T]:
        async def one(call: Awaitable[T]) -> T:
            async with self._busy:
                return await call

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(c), name="scheduler.call") for c in calls]
        return [t.result() for t in tasks]

    async def _quietly(self, call: Callable[[], Awaitable[object]]) -> None:
        """For what people read only: a refusal is logged, and nothing depends on it."""
        try:
            await call()
        except (NotFound, AlreadyExists, Conflict):
            return
        except FairleadError as error:
            self._log.info("note.failed", message=str(error))


def eviction_text(evict: Evict, taker: PodGroup | None, labels: Mapping[str, str], namespace: str) -> str:
    """Who takes the place and why, as a sentence for whoever was stopped in that namespace: work of other projects is not named.

    `labels`: of the taker's pods, which name its workload and project.
    """
    if taker is None:
        return "Stopped: too few of its pods were left to go on"
    work = labels.get(fields.WORKLOAD, taker.name) if taker.namespace == namespace else "work"
    who = f"{work} of {labels.get(fields.PROJECT, taker.queue)}"
    if evict.action.value == "reclaim":
        return f"Stopped for {who}, which takes back GPUs its project is owed (reclaim)"
    if evict.action.value == "consolidate":
        return f"Moved to {evict.moved_to} to make room for {who} (consolidate)"
    return f"Stopped for {who}, which has a higher priority in the same project (preempt)"
