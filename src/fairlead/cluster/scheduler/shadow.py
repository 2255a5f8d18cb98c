"""Shadow mode: nothing is done; what would have been is told beside what whoever schedules does.

Each waiting pod is remembered with the place it would have got, or with why it would have waited. Once somebody else gave it a place the
two are compared: a line in the log, and a count.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from fairlead.cluster.scheduler.apply import Known
from fairlead.model import Bind, Evict, Plan, Pod, PodStatus, Snapshot, build_snapshot
from fairlead.runtime.instruments import counter
from fairlead.runtime.logs import logger
from fairlead.wire.reasons import distinct, render

COMPARED: Final = counter("fairlead_shadow_placements_total", ("same-node",), ("other-node",), ("wait",))
EVICTIONS: Final = counter("fairlead_shadow_evictions_total")


class _Would(Struct, frozen=True):
    """What would have become of a waiting pod: a node, or waiting and why."""

    node: str
    why: str = ""


class Shadow:
    """What was told already, so that it is told once."""

    def __init__(self) -> None:
        self._would: dict[str, _Would] = {}
        self._placed: dict[str, frozenset[str]] = {}
        """Node pool to the pods that had a node when it was decided on last."""
        self._behind: frozenset[str] = frozenset()
        """Pods that somebody else gave a node before they were ever decided on here."""
        self._evicted: set[str] = set()
        self._log = logger("scheduler.shadow")

    def as_if_waiting(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot as it would be if nobody had been quicker: pods that got a node since the last are decided on all the same."""
        placed = frozenset(str(pod.uid) for pod in snapshot.pods if pod.node)
        before = self._placed.get(snapshot.pool, placed)
        self._placed[snapshot.pool] = placed
        self._behind = placed - before - self._would.keys()
        if not self._behind:
            return snapshot
        pods = [_waiting(pod) if pod.uid in self._behind else pod for pod in snapshot.pods]
        return build_snapshot(
            pool=snapshot.pool,
            nodes=snapshot.nodes,
            queues=snapshot.queues,
            groups=snapshot.groups,
            pods=pods,
            levels=snapshot.levels,
            demand=snapshot.demand,
        )

    def note(self, plan: Plan, known: Known, pods_of: dict[str, list[str]]) -> None:
        """Tells what is new in a plan, and what others did since the last. `pods_of`: group to its pods, by UID."""
        self._compare(known)
        for command in plan.commands:
            if isinstance(command, Bind):
                self._expect(known, (command.pod,), _Would(command.node))
            elif isinstance(command, Evict):
                self._would_evict(command, known)
        for outcome in plan.outcomes:
            if outcome.result == "waiting":
                why = "; ".join(render(reason).message for reason in distinct(outcome.reasons))
                self._expect(known, pods_of.get(outcome.group, ()), _Would("", why))
        if self._behind:
            self._compare(known)

    def _expect(self, known: Known, uids: Iterable[str], would: _Would) -> None:
        for uid in uids:
            pod = known.pods.get(uid)
            if pod is None or (pod.spec.node_name and uid not in self._behind) or self._would.get(uid) == would:
                continue
            self._would[uid] = would
            name = f"{pod.metadata.namespace}/{pod.metadata.name}"
            self._log.info("would.bind" if would.node else "would.wait", pod=name, node=would.node, why=would.why)

    def _would_evict(self, evict: Evict, known: Known) -> None:
        pod = known.pods.get(evict.pod)
        if pod is None or evict.pod in self._evicted:
            return
        self._evicted.add(evict.pod)
        EVICTIONS.inc()
        name = f"{pod.metadata.namespace}/{pod.metadata.name}"
        self._log.info("would.evict", pod=name, action=evict.action.value, group=evict.for_group)

    def _compare(self, known: Known) -> None:
        self._evicted &= known.pods.keys()
        for uid, would in list(self._would.items()):
            pod = known.pods.get(uid)
            if pod is not None and not pod.spec.node_name:
                continue
            del self._would[uid]
            if pod is None:
                continue
            instead = "wait" if not would.node else "same-node" if would.node == pod.spec.node_name else "other-node"
            COMPARED.labels(instead).inc()
            name = f"{pod.metadata.namespace}/{pod.metadata.name}"
            self._log.info(
                "compared", pod=name, node=pod.spec.node_name, instead=instead, mine=would.node, why=would.why
            )


def _waiting(pod: Pod) -> Pod:
    return replace(pod, status=PodStatus.PENDING, node="", shared=())
