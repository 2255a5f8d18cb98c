"""Ledger: the one mutable thing of a decision. Copies of node, device, queue and gang amounts, and an undo log.

A pod's working state is four numbers beside its snapshot row: whether it was evicted, and where it was placed since (kind, node, devices).
Every change goes through `_change`, so that rollback is the same change backwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from fairlead.model import UNLIMITED, PodStatus, Policy, Snapshot
from fairlead.model.arrays import I64
from fairlead.model.charges import is_gpu_class, memory_charge, portions
from fairlead.model.occupancy import FREEING, PROMISED, STAYS
from fairlead.scheduling.fairshare import Amounts, Share, divide

NOWHERE, BOUND, PIPELINED = range(3)
"""Kinds of a new place: none, bound now, promised."""
_ACTIVE: Final = (PodStatus.HELD, PodStatus.BINDING, PodStatus.BOUND, PodStatus.RUNNING)
_ON_DEVICE: Final = {PodStatus.HELD: PROMISED, PodStatus.RELEASING: FREEING}
Entry = tuple[int, int, int, int, tuple[int, ...]]
"""(pod, evicted, kind, node, devices) before a change; pod -1 = a bulk eviction, whose pods are the last element."""


Standing = tuple[int, bytes, bytes, bytes]
"""(node, its idle and its releasing amounts, its shared devices) as bytes."""


class Tree:
    """The queues of a snapshot under a policy: paths, amounts, fair shares. Rows are the snapshot's."""

    def __init__(self, snapshot: Snapshot, policy: Policy) -> None:
        q = snapshot.q
        self.parent: list[int] = q.parent.tolist()
        self.rank: list[int] = q.rank.tolist()
        self.priority: list[int] = q.priority.tolist()
        self.deserved: list[Amounts] = q.deserved.tolist()
        self.limit: list[Amounts] = q.limit.tolist()
        self.leaf: list[bool] = q.leaf.tolist()
        self.known = [True] * len(self.parent)
        if not policy.full_hierarchy_fairness:
            self.known = [above >= 0 for above in self.parent]
            self.parent = [-1] * len(self.parent)
            self.leaf = list(self.known)
        self.path = [self._path(row) for row in range(len(self.parent))]
        self.roots = [row for row, above in enumerate(self.parent) if above < 0 and self.known[row]]
        self.children: list[list[int]] = [[] for _ in self.parent]
        for row, above in enumerate(self.parent):
            if above >= 0:
                self.children[above].append(row)
        self.allocated: list[Amounts] = [[0, 0, 0] for _ in self.parent]
        self.fixed: list[Amounts] = [[0, 0, 0] for _ in self.parent]
        self.requested: list[Amounts] = [[0, 0, 0] for _ in self.parent]
        self.fair: list[Amounts] = [[0, 0, 0] for _ in self.parent]
        self.room: list[tuple[int, int, int]] = []
        """What each queue may use at most of each resource, see `allocatable`; never changes once shares are given out."""

    def takes_pods(self, row: int) -> bool:
        """Whether groups may name this queue."""
        return self.known[row] and self.leaf[row]

    def allocatable(self, row: int, axis: int) -> int:
        """Limit of an unlimited queue, else its deserved amount or fair share, whichever is more, up to its limit."""
        if self.deserved[row][axis] >= UNLIMITED:
            return self.limit[row][axis]
        return min(self.limit[row][axis], max(self.deserved[row][axis], self.fair[row][axis]))

    def share_out(self, total: Sequence[int], snapshot: Snapshot, usage_k: float) -> None:
        """Sets `fair` from `requested` and what there is in `total`."""
        shares = [
            Share(self.deserved[row], self.limit[row], snapshot.queues[row].weight, snapshot.queues[row].usage)
            for row in range(len(self.parent))
        ]
        for row, share in enumerate(shares):
            share.priority, share.rank, share.requested = self.priority[row], self.rank[row], self.requested[row]
            share.fair = self.fair[row]
            share.children = [shares[below] for below in self.children[row]]
        divide(total, [shares[row] for row in self.roots], usage_k)
        self.room = [
            (self.allocatable(row, 0), self.allocatable(row, 1), self.allocatable(row, 2)) for row in range(len(shares))
        ]

    def _path(self, row: int) -> tuple[int, ...]:
        path = [row]
        while self.parent[path[-1]] >= 0:
            path.append(self.parent[path[-1]])
        return tuple(path)


class Ledger:
    """Amounts under change. `tree` holds the queues' amounts; every placement and eviction is seen there at once, on all ancestors."""

    def __init__(self, snapshot: Snapshot, policy: Policy) -> None:
        self.snapshot = snapshot
        self.idle, self.releasing = snapshot.n.idle.copy(), snapshot.n.releasing.copy()
        self.request = snapshot.c.request
        self.tree = Tree(snapshot, policy)
        self.ops = 0
        self.version = 0
        self.epoch = 0
        """Moves when so many nodes changed that `touched` does not list them."""
        self.touched: list[int] = []
        self._log: list[Entry] = []
        self._versions = 0
        self.members: I64 = np.zeros((0, 3), dtype=np.int64)
        """[device, pods that stay | are being freed | are promised]."""
        self.amounts: I64 = np.zeros((0, 3, 2), dtype=np.int64)
        """[device, stays | freeing | promised, milli | MiB]."""
        self.device_at: I64 = np.zeros(0, dtype=np.int64)
        """[device] node row."""
        self._load_pods(snapshot)
        self._load_claims(snapshot)
        self._load_devices(snapshot)
        self._load_queues(snapshot, policy)

    # --- reading -----------------------------------------------------------------------------------------------------

    def is_active(self, pod: int) -> bool:
        """Has a place and keeps it (promised ones too)."""
        return self.kind[pod] != NOWHERE or (not self.evicted[pod] and self.base_status[pod] in _ACTIVE)

    def is_waiting(self, pod: int, simulated: bool) -> bool:
        """Wants a place; in a simulation also those evicted by it."""
        if self.kind[pod] != NOWHERE:
            return False
        status = self.base_status[pod]
        if self.evicted[pod]:
            return simulated or status == PodStatus.HELD
        return status == PodStatus.PENDING

    def node_of(self, pod: int) -> int:
        """Node row of its newest place, -1 = none."""
        if self.kind[pod] != NOWHERE:
            return self.place_node[pod]
        return self.base_node[pod]

    def shared_of(self, pod: int) -> tuple[int, ...]:
        """Device rows of its newest place."""
        if self.kind[pod] != NOWHERE:
            return self.place_shared.get(pod, ())
        return self.base_shared.get(pod, ())

    def charge_at(self, pod: int, node: int) -> tuple[int, int, int]:
        """Quota charge of this pod on that node."""
        row = self.charge[self.klass[pod]]
        if pod in self.claim_charge:
            row = (row[0] + self.claim_charge[pod], row[1], row[2])
        mib = self.mib[self.klass[pod]]
        if not mib or node < 0:
            return row
        devices = self.fraction[self.klass[pod]]
        return (row[0] + memory_charge(mib, self.memory[node], devices), row[1], row[2])

    def part_on(self, klass: int, node: int) -> tuple[int, int]:
        """(milli, MiB) this class takes of one device of the node."""
        return portions(self.milli[klass], self.mib[klass], self.memory[node])

    def standing(self, node: int) -> Standing:
        """All amounts of a node: equal = it stands as it stood."""
        devices = self.devices_on.get(node)
        shared = self.members[devices].tobytes() + self.amounts[devices].tobytes() if devices else b""
        return node, self.idle[node].tobytes(), self.releasing[node].tobytes(), shared

    # --- changing ----------------------------------------------------------------------------------------------------

    def checkpoint(self) -> tuple[int, int]:
        """A mark to roll back to."""
        return len(self._log), self.version

    def rollback(self, mark: tuple[int, int]) -> None:
        """Undoes every change after the mark."""
        log = self._log
        while len(log) > mark[0]:
            pod, evicted, kind, node, shared = log.pop()
            if pod < 0:
                self._bulk(shared, back=True)
            else:
                self._change(pod, evicted, kind, node, shared)
        self.version = mark[1]

    def changes_since(self, mark: tuple[int, int]) -> list[int]:
        """Pods changed after the mark, each once, first change first."""
        pods: dict[int, None] = {}
        for pod, _, _, _, shared in self._log[mark[0] :]:
            pods.update(dict.fromkeys(shared if pod < 0 else (pod,)))
        return list(pods)

    def place(self, pod: int, node: int, shared: tuple[int, ...], kind: int) -> None:
        """Binds or pipelines a waiting pod; a pod evicted before that comes back to its own place is simply not evicted."""
        if self.evicted[pod] and node == self.base_node[pod] and shared == self.base_shared.get(pod, ()):
            self._set(pod, 0, NOWHERE, -1, ())
        else:
            self._set(pod, self.evicted[pod], kind, node, shared)

    def place_as(self, pod: int, node: int, shared: tuple[int, ...], kind: int) -> None:
        """Places a pod even where an earlier promise of the same place was; for promises that are redeemed."""
        self._set(pod, self.evicted[pod], kind, node, shared)

    def pipeline(self, pod: int) -> None:
        """Turns a bind of this decision into a promise."""
        self._set(pod, self.evicted[pod], PIPELINED, self.place_node[pod], self.place_shared.get(pod, ()))

    def evict(self, pod: int) -> None:
        """Takes an active pod's place away: a new place is cancelled, an old one starts to be freed."""
        if self.kind[pod] != NOWHERE:
            self._set(pod, self.evicted[pod], NOWHERE, -1, ())
        else:
            self._set(pod, 1, NOWHERE, -1, ())

    def restore(self, pod: int) -> None:
        """Un-evicts: the pod stays where it was."""
        self._set(pod, 0, NOWHERE, -1, ())

    def evict_many(self, pods: Sequence[int]) -> None:
        """Evicts active pods; plain ones (old place, no shared device) all at once."""
        plain = tuple(
            pod
            for pod in pods
            if self.kind[pod] == NOWHERE and pod not in self.base_shared and pod not in self.claims_of
        )
        if len(plain) > 16:
            self._log.append((-1, 0, 0, 0, plain))
            self._bulk(plain, back=False)
            pods = [pod for pod in pods if not self.evicted[pod]]
        for pod in pods:
            self.evict(pod)

    def new_device(self, node: int, name: str, besides: Sequence[int] = ()) -> int:
        """Row of a shared GPU that does not exist yet; the same node and name give the same row (unless it is one of `besides`)."""
        while (row := self.device_row.get(name)) is not None:
            free = row >= self._given and not self.members[row].any()
            if free and self.device_node[row] == node and row not in besides:
                return row
            name += "a"  # ids are label values
        row = len(self.device_node)
        self.device_row[name] = row
        self.device_node.append(node)
        if row >= len(self.device_at):
            self.device_at = np.concatenate((self.device_at, np.zeros_like(self.device_at)))
        self.device_at[row] = node
        self.device_name.append(name)
        self.devices_on.setdefault(node, []).append(row)
        if row >= len(self.members):
            self.members = np.concatenate((self.members, np.zeros_like(self.members)))
            self.amounts = np.concatenate((self.amounts, np.zeros_like(self.amounts)))
        return row

    # --- inside ------------------------------------------------------------------------------------------------------

    def _load_pods(self, snapshot: Snapshot) -> None:
        p, c = snapshot.p, snapshot.c
        self.klass: list[int] = p.klass.tolist()
        self.base_node: list[int] = p.node.tolist()
        self.base_status: list[int] = p.status.tolist()
        self.group_of: list[int] = p.group.tolist()
        self.leaf_of: list[int] = p.leaf.tolist()
        self.offset: list[int] = snapshot.j.pod_offset.tolist()
        self.leaf_offset: list[int] = snapshot.j.leaf_offset.tolist()
        self.leaf_min: list[int] = snapshot.j.leaf_min.tolist()
        self.queue_of: list[int] = snapshot.j.queue.tolist()
        self.preemptible: list[bool] = snapshot.j.preemptible.tolist()
        self.evicted = bytearray(len(self.klass))
        self.kind = bytearray(len(self.klass))
        self.place_node = [-1] * len(self.klass)
        self.place_shared: dict[int, tuple[int, ...]] = {}
        self.charge: list[tuple[int, int, int]] = [(row[0], row[1], row[2]) for row in c.charge.tolist()]
        self.mib: list[int] = c.mib.tolist()
        self.milli: list[int] = c.milli.tolist()
        self.fraction: list[int] = c.fraction.tolist()
        self.memory: list[int] = snapshot.n.gpu_memory_mib.tolist()
        active = np.isin(p.status, np.array(_ACTIVE, dtype=np.int32))
        self.active: list[int] = np.bincount(p.leaf[active], minlength=len(self.leaf_min)).tolist()

    def _load_claims(self, snapshot: Snapshot) -> None:
        """Claims that pods share, with the devices they take where their users sit."""
        self.claims_of: dict[int, tuple[int, ...]] = {}
        self.claim_charge: dict[int, int] = {}
        self.claim_devices: list[tuple[int, int, list[int]]] = []
        """Per claim: devices, resource column, users that stay, are being freed, are promised."""
        names = {name: at for at, name in enumerate(snapshot.n.resources)}
        row_of: dict[str, int] = {}
        nodes = {node.name: row for row, node in enumerate(snapshot.nodes)}
        for pod, claims in [(pod, value.claims) for pod, value in enumerate(snapshot.pods) if value.claims]:
            shared = [claim for claim in claims if claim.shared]
            for claim in shared:
                if claim.name not in row_of:
                    row_of[claim.name] = len(self.claim_devices)
                    self.claim_devices.append((claim.count, names.get(f"dra:{claim.device_class}", -1), [0, 0, 0]))
                    if claim.shared_with and claim.node in nodes:
                        self._use(row_of[claim.name], nodes[claim.node], STAYS, 1)
            self.claims_of[pod] = tuple(row_of[claim.name] for claim in shared)
            self.claim_charge[pod] = 1000 * sum(claim.count for claim in shared if is_gpu_class(claim.device_class))
            if self.base_node[pod] >= 0:
                for row in self.claims_of[pod]:
                    self._use(row, self.base_node[pod], _ON_DEVICE.get(PodStatus(self.base_status[pod]), STAYS), 1)

    def _load_devices(self, snapshot: Snapshot) -> None:
        g = snapshot.g
        count = len(snapshot.shared_gpus)
        self._given = count
        room = 2 * count + 64
        self.members = np.zeros((room, 3), dtype=np.int64)
        self.amounts = np.zeros((room, 3, 2), dtype=np.int64)
        self.members[:count] = g.members
        for kind, pair in enumerate(
            ((g.held_milli, g.held_mib), (g.freeing_milli, g.freeing_mib), (g.promised_milli, g.promised_mib))
        ):
            self.amounts[:count, kind, 0], self.amounts[:count, kind, 1] = pair
        self.device_node: list[int] = g.node.tolist()
        self.device_at = np.zeros(room, dtype=np.int64)
        self.device_at[:count] = g.node
        self.device_name: list[str] = [gpu.id for gpu in snapshot.shared_gpus]
        self.device_row: dict[str, int] = {name: row for row, name in enumerate(self.device_name)}
        self.devices_on: dict[int, list[int]] = {}
        for row, node in enumerate(self.device_node):
            self.devices_on.setdefault(node, []).append(row)
        rows = np.flatnonzero((snapshot.c.fraction[snapshot.p.klass] > 0) & (snapshot.p.node >= 0)).tolist()
        pods = snapshot.pods
        self.base_shared: dict[int, tuple[int, ...]] = {
            row: tuple(self.device_row[name] for name in pods[row].shared if name in self.device_row) for row in rows
        }

    def _load_queues(self, snapshot: Snapshot, policy: Policy) -> None:
        """Allocated, fixed and requested amounts of every queue, by sums over classes and queues rather than pods."""
        p, j = snapshot.p, snapshot.j
        if not len(p.klass) or not len(snapshot.queues):
            return
        queue = j.queue[p.group]
        active = np.isin(p.status, np.array(_ACTIVE, dtype=np.int32)) & (queue >= 0)
        pending = (p.status == PodStatus.PENDING) & (queue >= 0)
        charge = p.charge.copy()
        for pod, more in self.claim_charge.items():
            charge[pod, 0] += more
        wanted = charge + pending_memory(snapshot, policy)[p.klass] * (p.node < 0)[:, None]
        shape = (len(snapshot.queues), 3)
        held, fixed, asked = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        np.add.at(held, queue[active], charge[active])
        solid = active & ~j.preemptible[p.group]
        np.add.at(fixed, queue[solid], charge[solid])
        np.add.at(asked, queue[active | pending], wanted[active | pending])
        for row in range(len(snapshot.queues)):
            for above in self.tree.path[row]:
                for axis in (0, 1, 2):
                    self.tree.allocated[above][axis] += int(held[row, axis])
                    self.tree.fixed[above][axis] += int(fixed[row, axis])
                    self.tree.requested[above][axis] += int(asked[row, axis])

    def _set(self, pod: int, evicted: int, kind: int, node: int, shared: tuple[int, ...]) -> None:
        self._log.append((pod, self.evicted[pod], self.kind[pod], self.place_node[pod], self.place_shared.get(pod, ())))
        self._versions += 1
        self.version = self._versions
        self._change(pod, evicted, kind, node, shared)

    def _change(self, pod: int, evicted: int, kind: int, node: int, shared: tuple[int, ...]) -> None:
        self.ops += 1
        klass = self.klass[pod]
        if self.is_active(pod):
            self._account(pod, -1)
        if evicted != self.evicted[pod]:
            self._evict_base(pod, klass, evicted)
        if self.kind[pod] != NOWHERE:
            self._put(pod, self.kind[pod], (self.place_node[pod], self.place_shared.get(pod, ())), -1)
        self.evicted[pod], self.kind[pod], self.place_node[pod] = evicted, kind, node
        self.place_shared.pop(pod, None)
        if kind != NOWHERE:
            if shared:
                self.place_shared[pod] = shared
            self._put(pod, kind, (node, shared), 1)
        if self.is_active(pod):
            self._account(pod, 1)

    def _evict_base(self, pod: int, klass: int, evicted: int) -> None:
        node, sign = self.base_node[pod], 1 if evicted else -1
        if node < 0:
            return
        self.releasing[node] += sign * self.request[klass]
        self.touched.append(node)
        held = self.base_status[pod] == PodStatus.HELD
        for device in self.base_shared.get(pod, ()):
            self._move(device, node, klass, PROMISED if held else STAYS, -sign)
            if not held:
                self._move(device, node, klass, FREEING, sign)
        for claim in self.claims_of.get(pod, ()):
            self._use(claim, node, PROMISED if held else STAYS, -sign)
            if not held:
                self._use(claim, node, FREEING, sign)

    def _put(self, pod: int, kind: int, place: tuple[int, tuple[int, ...]], sign: int) -> None:
        klass, (node, shared) = self.klass[pod], place
        amounts = self.idle if kind == BOUND else self.releasing
        amounts[node] -= sign * self.request[klass]
        self.touched.append(node)
        for device in shared:
            self._move(device, node, klass, STAYS if kind == BOUND else PROMISED, sign)
        for claim in self.claims_of.get(pod, ()):
            self._use(claim, node, STAYS if kind == BOUND else PROMISED, sign)

    def _move(self, device: int, node: int, klass: int, kind: int, sign: int) -> None:
        members = self.members[device]
        before = _whole(members[0], members[1], members[2])
        members[kind] += sign
        after = _whole(members[0], members[1], members[2])
        part = self.part_on(klass, node)
        self.amounts[device, kind, 0] += sign * part[0]
        self.amounts[device, kind, 1] += sign * part[1]
        self.idle[node, 0] += after[0] - before[0]
        self.releasing[node, 0] += after[1] - before[1]

    def _use(self, claim: int, node: int, kind: int, sign: int) -> None:
        """One user more or less of a claim that pods share: its devices are taken once, as a shared device is."""
        count, column, users = self.claim_devices[claim]
        before = _whole(*users)
        users[kind] += sign
        after = _whole(*users)
        if column >= 0:
            self.idle[node, column] += (after[0] - before[0]) * count // 1000
            self.releasing[node, column] += (after[1] - before[1]) * count // 1000

    def _account(self, pod: int, sign: int) -> None:
        self.active[self.leaf_of[pod]] += sign
        group = self.group_of[pod]
        queue = self.queue_of[group]
        if queue < 0:
            return
        gpu, cpu, memory = self.charge_at(pod, self.node_of(pod))
        for table in (self.tree.allocated,) if self.preemptible[group] else (self.tree.allocated, self.tree.fixed):
            for above in self.tree.path[queue]:
                row = table[above]
                row[0] += sign * gpu
                row[1] += sign * cpu
                row[2] += sign * memory

    def _bulk(self, pods: tuple[int, ...], back: bool) -> None:
        """Evicts many old places (or takes that back): one scatter-add for the nodes, one sum per queue."""
        rows = np.array(pods, dtype=np.int64)
        sign = -1 if back else 1
        p = self.snapshot.p
        here = rows[p.node[rows] >= 0]
        np.add.at(self.releasing, p.node[here], sign * self.request[p.klass[here]])
        groups = p.group[rows]
        sums: dict[tuple[int, bool], I64] = {}
        for queue, solid in {(self.queue_of[g], not self.preemptible[g]) for g in groups.tolist()}:
            mine = (self.snapshot.j.queue[groups] == queue) & (self.snapshot.j.preemptible[groups] != solid)
            sums[queue, solid] = p.charge[rows[mine]].sum(axis=0)
        for (queue, solid), amounts in sums.items():
            self._account_sum(queue, solid, amounts, -sign)
        for pod in pods:
            self.evicted[pod] = not back
            self.active[self.leaf_of[pod]] -= sign
        self.ops += len(pods)
        self.epoch += 1
        self._versions += 1
        self.version = self._versions

    def _account_sum(self, queue: int, solid: bool, amounts: I64, sign: int) -> None:
        if queue < 0:
            return
        for table in (self.tree.allocated, self.tree.fixed) if solid else (self.tree.allocated,):
            for above in self.tree.path[queue]:
                for axis in (0, 1, 2):
                    table[above][axis] += sign * int(amounts[axis])


def pending_memory(snapshot: Snapshot, policy: Policy) -> I64:
    """[C,K] what pending memory requests are charged by: their size over the pool's smallest device, times the devices."""
    known = snapshot.n.gpu_memory_mib[snapshot.n.gpu_memory_mib > 0]
    smallest = policy.min_gpu_memory_mib or (int(known.min()) if len(known) else 0)
    extra = np.zeros_like(snapshot.c.charge)
    if smallest:
        extra[:, 0] = snapshot.c.mib * 1000 * snapshot.c.fraction // smallest
    return extra


def group_pods(ledger: Ledger, group: int) -> range:
    """Pod rows of a group, in task order."""
    return range(ledger.offset[group], ledger.offset[group + 1])


def place_all(ledger: Ledger, places: Iterable[tuple[int, int, tuple[int, ...]]], kind: int) -> None:
    """Puts pods where a list of (pod, node, devices) says."""
    for pod, node, shared in places:
        ledger.place(pod, node, shared, kind)


def _whole(stays: int, freeing: int, promised: int) -> tuple[int, int]:
    """What a shared device takes from its node's whole ones: (idle, releasing) milli; see `occupancy.device_delta`."""
    idle = -1000 if stays or freeing else 0
    return idle, (1000 if freeing and not stays else 0) - (1000 if promised and not stays else 0)
