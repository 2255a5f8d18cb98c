"""LeaderWorkerSet: each replica, a leader with its workers, is a gang."""

from __future__ import annotations

from typing import Final

from fairlead.objects.json import JsonObject
from fairlead.objects.kai import SubGroup
from fairlead.objects.meta import Wire
from fairlead.workloads.grouping import Chain, Gang, read

_INDEX: Final = "leaderworkerset.sigs.k8s.io/group-index"
_WORKER: Final = "leaderworkerset.sigs.k8s.io/worker-index"


class _Template(Wire, frozen=True, kw_only=True):
    size: int = 1


class _Spec(Wire, frozen=True, kw_only=True):
    leader_worker_template: _Template = _Template()
    startup_policy: str = "LeaderCreated"


class _Set(Wire, frozen=True, kw_only=True):
    spec: _Spec = _Spec()


def replica(owner: JsonObject, chain: Chain) -> Gang | None:
    """Leader and workers of the pod's replica. With `LeaderReady` workers are made late: the leader starts alone until all are there."""
    index = chain.pod.metadata.labels.get(_INDEX)
    if index is None:
        return None
    spec = read(owner, _Set).spec
    size = max(spec.leader_worker_template.size, 1)
    there = sum(1 for pod in chain.siblings if pod.metadata.labels.get(_INDEX) == index)
    waits = spec.startup_policy == "LeaderReady" and there < size
    workers = 0 if waits else size - 1
    parts = [SubGroup(name="leader", min_member=1)]
    parts += [SubGroup(name="workers", min_member=workers)] if workers else []
    mine = "leader" if chain.pod.metadata.labels.get(_WORKER) == "0" else "workers"
    return Gang(name=f"group-{index}", min_member=1 + workers, sub_groups=tuple(parts), subgroup=mine)
