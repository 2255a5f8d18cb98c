"""How a pod's part of a device is enforced, as it is said on the pod: at its binding, and whenever that changes.

`memory` is said only while all of it holds: the container is a client of MPS, its node's agent is there and says that the daemon of the
device answers, and the container was started since. All of it is in objects, so whoever looks next comes to the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from msgspec import Struct

from fairlead.cluster.controllers.observe import Observed
from fairlead.kube.cache import Cache
from fairlead.kube.client import Client
from fairlead.objects import fields, kinds
from fairlead.objects.json import JsonObject
from fairlead.objects.meta import condition_of
from fairlead.objects.pod import Pod
from fairlead.runtime.errors import Conflict, NotFound
from fairlead.runtime.logs import logger
from fairlead.workloads import mps
from fairlead.workloads.gpus import count_of
from fairlead.workloads.mps import Choice, Statement

_AGENT: Final = "app.kubernetes.io/name=fairlead-node"
_EARLIER: Final = "it was made before its namespace was ready for MPS, or while admission did not answer. Make it again"


class EnforcementOptions(Struct, frozen=True, kw_only=True):
    """Whose memory is enforced, and where the nodes' agents are."""

    choice: Choice = "off"
    agents: str = "fairlead-node"
    """Namespace of the nodes' agents."""


class Enforcement:
    """Says it; without options everything is `none`."""

    def __init__(self, client: Client, observed: Observed, options: EnforcementOptions | None = None) -> None:
        self._client = client
        self._observed = observed
        self._options = options or EnforcementOptions()
        self._agents: Cache[Pod] | None = None
        if self._options.choice != "off":
            self._agents = Cache(client, kinds.POD, self._options.agents, labels=_AGENT)
        self._log = logger("enforcement")

    def caches(self) -> tuple[Cache[Any], ...]:
        """The nodes' agents, where anything depends on them."""
        return (self._agents,) if self._agents is not None else ()

    async def notes(self, pod: Pod, node: str, held: Sequence[Pod]) -> JsonObject:
        """Annotations of a pod that is being bound. `held`: the reservation pods of its devices."""
        if not mps.takes_part(pod):
            return _notes(self._left_out(pod))
        limit = mps.memory_limit(pod, await self._device_mib(node))
        said = _notes(mps.stated(pod, limit, self._daemon(held[0]) if held else None))
        return {**said, **({fields.GPU_MEMORY_LIMIT: limit} if limit else {})}

    async def restate(self, pod: Pod, reservation: Pod) -> None:
        """The pod says what holds now."""
        notes = pod.metadata.annotations
        if not mps.takes_part(pod):
            return
        now = mps.stated(pod, notes.get(fields.GPU_MEMORY_LIMIT, ""), self._daemon(reservation))
        if Statement(notes.get(fields.ENFORCEMENT, ""), notes.get(fields.ENFORCEMENT_REASON, "")) == now:
            return
        meta = pod.metadata
        self._log.info("enforcement.now", pod=f"{meta.namespace}/{meta.name}", said=now.enforcement, why=now.reason)
        changed: JsonObject = {fields.ENFORCEMENT: now.enforcement, fields.ENFORCEMENT_REASON: now.reason or None}
        with suppress(NotFound, Conflict):
            await self._client.patch(
                kinds.POD, meta.name, {"metadata": {"annotations": changed}}, meta.namespace, uid=meta.uid
            )

    def _left_out(self, pod: Pod) -> Statement:
        """Of a pod that is no client of MPS."""
        if not mps.is_wanted(pod, self._options.choice):
            return Statement("none")
        namespace = self._observed.namespaces.get(pod.metadata.namespace)
        claim = namespace.metadata.annotations.get(fields.MPS_CLAIM, "") if namespace else ""
        return Statement("none", mps.obstacle(pod, claim) or _EARLIER)

    def _daemon(self, reservation: Pod) -> Pod | None:
        """The reservation pod, where somebody is there to keep what it says true."""
        node = reservation.spec.node_name
        there = (a for a in self._agents or () if a.spec.node_name == node and not a.metadata.deletion_timestamp)
        return reservation if any(_is_ready(agent) for agent in there) else None

    async def _device_mib(self, node: str) -> int:
        """Memory of each device of the node, as the scheduler reads it; 0 where it is not known."""
        found = await self._client.find(kinds.NODE, node)
        return count_of(found.metadata.labels.get(fields.GPU_MEMORY_LABEL), 0) if found is not None else 0


def _is_ready(pod: Pod) -> bool:
    condition = condition_of(pod.status.conditions, "Ready")
    return condition is not None and condition.status == "True"


def _notes(said: Statement) -> JsonObject:
    return {
        fields.ENFORCEMENT: said.enforcement,
        **({fields.ENFORCEMENT_REASON: said.reason} if said.reason else {}),
    }
