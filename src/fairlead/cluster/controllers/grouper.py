"""Pods that other controllers made: finds who owns them, makes their pod group and marks them, so that the scheduler may place them."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from msgspec.structs import replace

from fairlead.cluster.controllers.groups import ensure_group
from fairlead.cluster.controllers.observe import Observed
from fairlead.kube.client import Client
from fairlead.objects import fields, kinds
from fairlead.objects.codec import to_json
from fairlead.objects.json import JsonObject
from fairlead.objects.meta import Condition, OwnerReference, controller_of
from fairlead.objects.pod import Pod
from fairlead.runtime.errors import Conflict, NotFound
from fairlead.workloads import table
from fairlead.workloads.grouping import Chain, Grouped, Malformed, meta_of

_DEEPEST = 8
"""Owners are followed this far; a ring of references ends here."""
_AT_ONCE = 16
AGAIN_SECONDS = 10.0
"""Owners are not watched: one that was malformed is looked at again after this long."""


class OwnerKey(NamedTuple):
    """The controller that made some pods."""

    namespace: str
    uid: str


class Grouper:
    """Reconciles the pods of one controller at a time."""

    def __init__(self, client: Client, observed: Observed) -> None:
        self._client = client
        self._observed = observed
        self._deciders: dict[str, str] = {}
        """Controller's UID -> UID of the owner whose row decides, of those looked at so far."""

    async def reconcile(self, key: OwnerKey) -> float | None:
        """Every waiting pod of that controller has its group, or is marked as one of its own; unreadable owners are read again."""
        pods = self._observed.made_by(key.uid)
        waiting = [p for p in pods if not p.spec.node_name and not p.metadata.deletion_timestamp]
        if not pods:
            self._deciders.pop(key.uid, None)
        if not waiting:
            return None
        owners = await self._owners(waiting[0])
        self._deciders[key.uid] = table.decider_of(Chain(pod=waiting[0], owners=owners))
        chain = Chain(pod=waiting[0], owners=owners, siblings=self._siblings(key))
        looked = [(pod, await self._look(replace(chain, pod=pod))) for pod in waiting]
        found = [(pod, said) for pod, said in looked if said is not None and not _is_named_by_others(pod, said)]
        for group in {said.group.metadata.name: said.group for _, said in found if said.group is not None}.values():
            await ensure_group(self._client, self._observed.groups, group)
        busy = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            for pod, said in found:
                tasks.create_task(self._mark(pod, said, busy), name="grouper.mark")
        return AGAIN_SECONDS if any(said is None for _, said in looked) else None

    async def _look(self, chain: Chain) -> Grouped | None:
        try:
            return table.group(chain, self._observed.queue_for(chain.pod.metadata))
        except Malformed as error:
            await self._refuse(chain.pod, str(error))
            return None

    def _siblings(self, key: OwnerKey) -> tuple[Pod, ...]:
        decider = self._deciders[key.uid]
        makers = [uid for uid, found in self._deciders.items() if found == decider] if decider else [key.uid]
        return tuple(pod for uid in sorted(makers) for pod in self._observed.made_by(uid))

    async def _owners(self, pod: Pod) -> tuple[JsonObject, ...]:
        """Nearest first, as far as there are rows to read them by."""
        found: list[JsonObject] = []
        owner = controller_of(pod.metadata)
        while owner is not None and len(found) < _DEEPEST:
            read = await self._read(owner, pod.metadata.namespace)
            if read is None:
                break
            found.append(read)
            owner = controller_of(meta_of(read))
        return tuple(found)

    async def _read(self, owner: OwnerReference, namespace: str) -> JsonObject | None:
        """The owner's object; None where its kind has no row, the cluster does not serve it, or another bears its name."""
        if (owner.api_version, owner.kind) == ("v1", "Pod"):
            leader = await self._client.find(kinds.POD, owner.name, namespace)
            read = None if leader is None else to_json(leader)
        else:
            row = table.row_of(owner.api_version, owner.kind)
            version = owner.api_version.rpartition("/")[2]
            read = None if row is None else await self._client.find(row.served(version), owner.name, namespace)
        return read if read is not None and meta_of(read).uid == owner.uid else None

    async def _mark(self, pod: Pod, grouped: Grouped, busy: asyncio.Semaphore) -> None:
        meta = pod.metadata
        notes = {k: v for k, v in grouped.annotations.items() if meta.annotations.get(k) != v}
        if not notes and not grouped.labels:
            return
        patch: JsonObject = {"metadata": {"labels": {**grouped.labels}, "annotations": {**notes}}}
        async with busy:
            try:
                await self._client.patch(kinds.POD, meta.name, patch, meta.namespace, uid=meta.uid)
            except (NotFound, Conflict):
                return  # that very pod is gone

    async def _refuse(self, pod: Pod, why: str) -> None:
        """Says on the pod why it cannot be grouped; it waits until its owner can be read."""
        told = Condition(type="PodScheduled", status="False", reason="Ungrouped", message=f"Cannot be grouped: {why}")
        if any((c.type, c.message) == (told.type, told.message) for c in pod.status.conditions):
            return
        meta = pod.metadata
        try:
            await self._client.patch_conditions(kinds.POD, meta.name, [told], meta.namespace, uid=meta.uid)
        except (NotFound, Conflict):
            return


def _is_named_by_others(pod: Pod, said: Grouped) -> bool:
    """Whether somebody else has put it into a group."""
    return pod.metadata.annotations.get(fields.POD_GROUP, "") not in ("", said.annotations.get(fields.POD_GROUP))
