"""What each queue uses and asks for, from the snapshot decided on, written to its status when it changed."""

from __future__ import annotations

import numpy as np

from fairlead.kube.client import Client
from fairlead.model import K_NAMES, PodStatus, Quota, Snapshot
from fairlead.objects import fields, kinds
from fairlead.objects.json import JsonObject
from fairlead.runtime.errors import FairleadError
from fairlead.runtime.logs import logger
from fairlead.wire.amounts import number

_HOLDING = (PodStatus.BINDING, PodStatus.BOUND, PodStatus.RUNNING, PodStatus.RELEASING)


class QueueUse:
    """Amounts per queue, children included: (allocated, of it non-preemptible, requested)."""

    def __init__(self, snapshot: Snapshot) -> None:
        count = len(snapshot.queues)
        self.names = [q.name for q in snapshot.queues]
        self.allocated = np.zeros((count, len(K_NAMES)), dtype=np.int64)
        self.fixed = self.allocated.copy()
        self.requested = self.allocated.copy()
        queue = snapshot.j.queue[snapshot.p.group] if len(snapshot.pods) else np.zeros(0, dtype=np.int32)
        known = queue >= 0
        holding = known & np.isin(snapshot.p.status, _HOLDING)
        fixed = holding & ~snapshot.j.preemptible[snapshot.p.group] if len(snapshot.pods) else holding
        for into, rows in ((self.allocated, holding), (self.fixed, fixed), (self.requested, known)):
            np.add.at(into, queue[rows], snapshot.p.charge[rows])
        for row in range(count - 1, -1, -1):
            parent = int(snapshot.q.parent[row])
            if parent >= 0:
                for amounts in (self.allocated, self.fixed, self.requested):
                    amounts[parent] += amounts[row]


class QueueStatuses:
    """The one writer of queue statuses: only what changed."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._written: dict[str, JsonObject] = {}
        self._log = logger("scheduler.queues")

    async def write(self, snapshot: Snapshot, fair_share: tuple[tuple[str, Quota], ...]) -> None:
        """Brings each queue's status to what the snapshot says."""
        use, shares = QueueUse(snapshot), dict(fair_share)
        for row, name in enumerate(use.names):
            status: JsonObject = {
                "allocated": _amounts(use.allocated[row]),
                "allocatedNonPreemptible": _amounts(use.fixed[row]),
                "requested": _amounts(use.requested[row]),
                "fairShare": _amounts(np.array(shares.get(name, (0, 0, 0)))),
            }
            if self._written.get(name) == status:
                continue
            try:
                await self._client.patch_status(kinds.QUEUE, name, status)
            except FairleadError as error:
                self._log.info("queue_status.failed", queue=name, message=str(error))
                continue
            self._written[name] = status


def _amounts(row: np.ndarray) -> JsonObject:
    """As queue statuses write amounts: devices, cores and bytes as text."""
    gpu, cpu, memory = (int(v) for v in row)
    return {fields.GPU_RESOURCE: number(gpu / 1000), "cpu": f"{cpu}m", "memory": str(memory)}
