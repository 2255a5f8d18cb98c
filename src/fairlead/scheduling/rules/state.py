"""State: what the rules and actions of one decision share: the ledger, the policy, the time, fair shares, and what was decided so far."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from fairlead.model import Action, NodeRules, PodStatus, Policy, Reason, Snapshot
from fairlead.scheduling.ledger import Ledger, group_pods, pending_memory
from fairlead.scheduling.rules.company import Company
from fairlead.scheduling.rules.placement import CPU_WORKER, GPU_WORKER, Placer, gpu_weights
from fairlead.scheduling.rules.turns import Victim, amounts, elastic_state, may_start, pods_wanted

Amounts3 = tuple[int, int, int]
JobKey = tuple[int, int, int]
"""Order of groups in a leaf queue; the smaller one is in front."""
QueueKey = tuple[bool, bool, int, bool, float, float]
"""Order of queues, see `order.queue_key`."""
Best = tuple[QueueKey, int, int] | None
"""(key, queue, leaf of the group in front below it); None = nobody is there."""


class State:
    """One decision under way."""

    def __init__(self, snapshot: Snapshot, policy: Policy, now: float) -> None:
        self.snapshot, self.policy, self.now = snapshot, policy, now
        self.ledger = Ledger(snapshot, policy)
        self.total = cluster_total(snapshot, policy)
        self.ledger.tree.share_out(self.total, snapshot, policy.usage_k)
        self.placer = Placer(self.ledger, snapshot, policy)
        self.company = Company(snapshot, self.ledger)
        self.claim_users: dict[str, list[int]] = {}
        """Shared claim to the pods that name it."""
        for row, pod in enumerate(snapshot.pods):
            for claim in pod.claims:
                if claim.shared:
                    self.claim_users.setdefault(claim.name, []).append(row)
        extra = pending_memory(snapshot, policy).tolist()
        self.wish: list[Amounts3] = [
            (row[0] + more[0], row[1], row[2]) for row, more in zip(self.ledger.charge, extra, strict=True)
        ]
        """[C] charge of a pending pod for fair share and order (memory requests by the smallest device)."""
        self.waiting: dict[int, list[tuple[JobKey, int]]] = {}
        """Leaf queue to its waiting groups in order, as of the start of the action; those that got a place since are taken out."""
        self.front: dict[int, Best] = {}
        """What a line of all `waiting` groups knows of its queues; whatever settles takes out the queues on its way up."""
        self.moving: set[int] = set()
        """Groups whose pods are being tried somewhere: what they ask is not remembered."""
        self._asks: dict[int, Amounts3] = {}
        self._entries: dict[int, tuple[JobKey, int]] = {}
        self.changed: set[int] = set()
        """Groups whose pods changed in this decision."""
        self.redeemed: set[int] = set()
        """Groups whose earlier promise was bound in this decision."""
        self.because: dict[int, tuple[Action, int]] = {}
        """Evicted pod to the action and the group it was evicted for (-1 = nobody)."""
        self.holders: dict[int, list[int]] = {}
        """Group to the pods evicted for it."""
        self.failures: dict[tuple[object, ...], int] = {}
        """What failed, by signature, with the ledger version it failed in."""
        self.reasons: dict[int, list[Reason]] = {}
        self.causes: dict[tuple[object, ...], tuple[int, tuple[Reason, ...]]] = {}
        """What excludes nodes, with the ledger version it was found in."""
        self.free_gpus = (-1, 0)
        """Version of the ledger, and milli of GPUs free or being freed in it."""
        self.searches = self.probes = self.most_probes = 0
        self.current = -1
        """The group at work, for whoever reports a bug."""
        self.skipped = {
            row
            for row, group in enumerate(snapshot.groups)
            if group.set_aside or group.is_undecidable or group.retry_at > now
        }

    @cached_property
    def node_rules(self) -> NodeRules:
        """Rules against the nodes, for those that want to know which line of a rule leaves a node out."""
        return NodeRules(self.snapshot.nodes)

    def ask(self, group: int) -> Amounts3:
        """What the group's next turn would be charged, for order and fair share."""
        if group in self.moving:
            return amounts(self.wish, self.ledger, pods_wanted(self.ledger, group, simulated=True))
        found = self._asks.get(group)
        if found is None:
            found = self._asks[group] = amounts(self.wish, self.ledger, pods_wanted(self.ledger, group, simulated=True))
        return found

    def settled(self, groups: set[int]) -> None:
        """Pods of these groups were placed or evicted for good: forgets what was remembered of them."""
        self.changed |= groups
        for group in groups:
            self._asks.pop(group, None)
            queue = self.ledger.queue_of[group]
            for above in self.ledger.tree.path[queue] if queue >= 0 else ():
                self.front.pop(above, None)
            if group in self._entries and not self.is_pending(group):
                line = self.waiting[queue]
                del line[bisect_left(line, self._entries.pop(group))]

    def job_key(self, group: int) -> JobKey:
        """Order in its leaf: higher priority, then below its minimum before at it before above it, then older."""
        return (-int(self.snapshot.j.priority[group]), elastic_state(self.ledger, group), group)

    def is_candidate(self, group: int) -> bool:
        """Whether the group may ask for a place at all: a queue that takes pods, enough pods, something to place."""
        queue = self.ledger.queue_of[group]
        if queue < 0 or group in self.skipped or not self.ledger.tree.takes_pods(queue):
            return False
        return bool(pods_wanted(self.ledger, group, simulated=False)) and may_start(self.ledger, group)

    def pending_groups(self) -> list[int]:
        """Groups with a pod that waits now (by columns, then by what changed)."""
        snapshot = self.snapshot
        rows = set(np.unique(snapshot.p.group[snapshot.p.status == PodStatus.PENDING]).tolist()) | self.changed
        return [group for group in sorted(rows) if self.is_candidate(group)]

    def line_up(self, action: Action) -> None:
        """Fills `waiting`; each leaf keeps as many groups as the policy lets this action look at."""
        self.waiting, self.front, self._asks = {}, {}, {}
        for group in self.pending_groups():
            self.waiting.setdefault(self.ledger.queue_of[group], []).append((self.job_key(group), group))
        depth = dict(self.policy.queue_depth).get(action, len(self.snapshot.groups))
        for queue, found in self.waiting.items():
            self.waiting[queue] = sorted(found)[:depth]
        self._entries = {entry[1]: entry for found in self.waiting.values() for entry in found}

    def is_pending(self, group: int) -> bool:
        """Whether the group still has a pod to place."""
        ledger = self.ledger
        return any(ledger.is_waiting(pod, simulated=False) for pod in group_pods(ledger, group))

    def note(self, group: int, *reasons: Reason) -> None:
        """Remembers causes; equal ones once."""
        known = self.reasons.setdefault(group, [])
        known += [reason for reason in reasons if reason not in known]

    def signature(self, action: Action, group: int, pods: Sequence[int]) -> tuple[object, ...]:
        """Equal for groups that an action must treat alike: queue, rank, rules and classes of the turn."""
        found = self.snapshot.groups[group]
        shape = tuple((self.ledger.klass[pod], self.snapshot.leaves[self.ledger.leaf_of[pod]]) for pod in pods)
        tree = (
            found.subgroups if len(found.subgroups) > 1 else (),
            found.topology,
            found.required_level,
            found.preferred_level,
        )
        own = group if self.has_own_rules(group, pods) else -1
        return (action, self.ledger.queue_of[group], found.priority, found.preemptible, shape, tree, own)

    def has_own_rules(self, group: int, pods: Sequence[int]) -> bool:
        """Whether names matter to the group: claims, a nominated node, or pods that hold a place already."""
        values = self.snapshot.pods
        if any(values[pod].claims or values[pod].nominated for pod in pods):
            return True
        return any(
            self.ledger.active[leaf]
            for leaf in range(self.ledger.leaf_offset[group], self.ledger.leaf_offset[group + 1])
        )

    def victim(self, group: int) -> Victim:
        """A fresh view of the group as one to take chunks from."""
        return Victim(self.ledger, group)


def cluster_total(snapshot: Snapshot, policy: Policy) -> Amounts3:
    """What there is to share: allocatable of ready nodes without what other schedulers' pods use; MIG and DRA devices count as GPUs."""
    n = snapshot.n
    count = n.ready.copy()
    free = n.allocatable - n.foreign
    gpu = (free * np.array(gpu_weights(n.resources), dtype=np.int64)).sum(axis=1)
    if policy.restrict_node_scheduling:
        worker = [{key for key, _ in node.labels} for node in snapshot.nodes]
        gpu = np.where(np.array([GPU_WORKER in keys for keys in worker], dtype=np.bool_), gpu, 0)
        count &= np.array([GPU_WORKER in keys or CPU_WORKER in keys for keys in worker], dtype=np.bool_)
    return int(gpu[count].sum()), int(free[count, 1].sum()), int(free[count, 2].sum())
