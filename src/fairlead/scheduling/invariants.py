"""Invariants: what must hold of every plan, checked from the values rather than from the ledger that made it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec
import numpy as np

from fairlead.model import (
    UNLIMITED,
    Bind,
    Evict,
    Hold,
    Keep,
    Plan,
    Pod,
    PodGroup,
    PodStatus,
    Policy,
    Snapshot,
    Uid,
    Value,
    build_snapshot,
)
from fairlead.model.charges import portions
from fairlead.scheduling.cycle import decide
from fairlead.scheduling.ledger import Ledger
from fairlead.scheduling.rules.state import State

SUCCESSOR = "+moved"
"""Ends the uid of the pod that stands for a moved pod's next life."""
_USING = (PodStatus.BINDING, PodStatus.BOUND, PodStatus.RUNNING, PodStatus.RELEASING)


class Violation(Value, frozen=True, kw_only=True):
    """One broken rule: its name and what broke it."""

    rule: str
    subject: str
    detail: str = ""


def violations(snapshot: Snapshot, policy: Policy, now: float, plan: Plan, again: bool = True) -> tuple[Violation, ...]:
    """Everything wrong with this plan; `again` also decides twice and once more on the planned state. Faults of the start do not count."""
    after = apply_plan(snapshot, plan)
    found = [
        *_excess(snapshot, after),
        *_broken_gangs(snapshot, after, plan),
        *_over_limit(snapshot, after, policy),
        *_wrong_victims(snapshot, plan),
        *_share_sums(snapshot, policy, now, plan),
    ]
    if again:
        found += _decides_again(snapshot, after, policy, now, plan)
    return tuple(found)


def apply_plan(snapshot: Snapshot, plan: Plan) -> Snapshot:
    """The snapshot right after the plan: bound pods BOUND, evicted ones RELEASING, promised ones HELD (a moved pod's next life is a pod
    of its own), holds written on their groups."""
    pods = {pod.uid: pod for pod in snapshot.pods}
    groups = {group.uid: group for group in snapshot.groups}
    evicted = {command.pod for command in plan.commands if isinstance(command, Evict)}
    for command in plan.commands:
        if isinstance(command, Bind):
            pods[command.pod] = _at(pods[command.pod], PodStatus.BOUND, command.node, command.shared)
        elif isinstance(command, Keep):
            _keep(command, pods, groups, evicted)
    for uid in evicted:
        pods[uid] = msgspec.structs.replace(pods[uid], status=PodStatus.RELEASING)
    return build_snapshot(
        pool=snapshot.pool,
        nodes=snapshot.nodes,
        queues=snapshot.queues,
        groups=groups.values(),
        pods=pods.values(),
        shared_gpus=snapshot.shared_gpus,
        levels=snapshot.levels,
        demand=snapshot.demand,
    )


def _keep(command: Keep, pods: dict[Uid, Pod], groups: dict[Uid, PodGroup], evicted: set[Uid]) -> None:
    group = groups[command.group] = msgspec.structs.replace(groups[command.group], hold=command.hold)
    held = {uid for uid, _, _ in command.hold.places} if command.hold else set()
    for uid, pod in list(pods.items()):
        if pod.group == group.uid and pod.status == PodStatus.HELD and uid not in held:
            pods[uid] = _at(pod, PodStatus.PENDING, "", ())
    for uid, node, shared in command.hold.places if isinstance(command.hold, Hold) else ():
        if uid in evicted:
            next_life = msgspec.structs.replace(pods[uid], uid=Uid(uid + SUCCESSOR))
            pods[next_life.uid] = _at(next_life, PodStatus.HELD, node, shared)
        else:
            pods[uid] = _at(pods[uid], PodStatus.HELD, node, shared)


def _at(pod: Pod, status: PodStatus, node: str, shared: Iterable[str]) -> Pod:
    return msgspec.structs.replace(pod, status=status, node=node, shared=tuple(shared))


def _excess(before: Snapshot, after: Snapshot) -> Iterator[Violation]:
    """No node over any resource, now or when all that is freed is free; no device over 1.0 or its memory."""
    old, new = Ledger(before, Policy()), Ledger(after, Policy())
    for name, start, end in (
        ("idle", old.idle, new.idle),
        ("idle and releasing", old.idle + old.releasing, new.idle + new.releasing),
    ):
        for row, column in zip(*np.nonzero((end < 0) & (end < start)), strict=True):
            detail = f"{after.n.resources[column]} {name} {end[row, column]}"
            yield Violation(rule="node-over-resource", subject=after.nodes[row].name, detail=detail)
    faulty = _over_full(before)
    for device, detail in _over_full(after).items():
        if device not in faulty:
            yield Violation(rule="device-over-one", subject=device, detail=detail)


def _over_full(snapshot: Snapshot) -> dict[str, str]:
    """Device to what is wrong with it: pods that stay or go, and pods that stay or are promised, each within one device."""
    memory: dict[str, int] = {node.name: node.gpu_memory_mib for node in snapshot.nodes}
    sums: dict[tuple[str, str, bool], list[int]] = defaultdict(lambda: [0, 0])
    for pod in snapshot.pods:
        mib = memory.get(pod.node, 0)
        part = portions(0 if pod.klass.gpu.memory_mib else pod.klass.gpu.portion_milli, pod.klass.gpu.memory_mib, mib)
        for device in pod.shared:
            for promised in (False, True):
                if pod.status in _USING[:3] or pod.status == (PodStatus.HELD if promised else PodStatus.RELEASING):
                    sums[device, pod.node, promised][0] += part[0]
                    sums[device, pod.node, promised][1] += part[1]
    return {
        device: f"{milli} milli, {mib} MiB"
        for (device, node, _), (milli, mib) in sums.items()
        if milli > 1000 or (memory.get(node) and mib > memory[node])
    }


def _broken_gangs(before: Snapshot, after: Snapshot, plan: Plan) -> Iterator[Violation]:
    """A group that got or lost a place holds its minimum in every subgroup, or nothing."""
    touched = {command.pod for command in plan.commands if isinstance(command, Bind | Evict)}
    rows = {pod.group for pod in before.pods if pod.uid in touched}
    rows |= {command.group for command in plan.commands if isinstance(command, Keep)}
    old, new = Ledger(before, Policy()), Ledger(after, Policy())
    start = {group.uid: row for row, group in enumerate(before.groups)}
    for row, group in enumerate(after.groups):
        if group.uid not in rows or _is_whole(new, row) or not _is_whole(old, start[group.uid]):
            continue
        yield Violation(rule="gang-not-whole", subject=group.uid)


def _is_whole(ledger: Ledger, group: int) -> bool:
    leaves = range(ledger.leaf_offset[group], ledger.leaf_offset[group + 1])
    held = [ledger.active[leaf] for leaf in leaves]
    return not any(held) or all(count >= ledger.leaf_min[leaf] for count, leaf in zip(held, leaves, strict=True))


def _over_limit(before: Snapshot, after: Snapshot, policy: Policy) -> Iterator[Violation]:
    """No queue grew past its limit, and none grew in fixed work past what it deserves."""
    old, new = Ledger(before, policy).tree, Ledger(after, policy).tree
    for row, queue in enumerate(after.queues):
        for axis in (0, 1, 2):
            rules = (
                ("over-limit", old.allocated, new.allocated, new.limit),
                ("fixed-over-deserved", old.fixed, new.fixed, new.deserved),
            )
            for rule, start, end, bound in rules:
                if bound[row][axis] < UNLIMITED and bound[row][axis] < end[row][axis] > start[row][axis]:
                    yield Violation(rule=rule, subject=queue.name, detail=f"{end[row][axis]} of {bound[row][axis]}")


def _wrong_victims(snapshot: Snapshot, plan: Plan) -> Iterator[Violation]:
    """Only preemptible, running pods are evicted for somebody, each once, and whoever they go for gets a place."""
    groups = {group.uid: group for group in snapshot.groups}
    pods = {pod.uid: pod for pod in snapshot.pods}
    served = {command.group for command in plan.commands if isinstance(command, Keep) and command.hold}
    served |= {pods[command.pod].group for command in plan.commands if isinstance(command, Bind)}
    seen: set[Uid] = set()
    for command in plan.commands:
        if not isinstance(command, Evict):
            continue
        if command.pod in seen:
            yield Violation(rule="evicted-twice", subject=command.pod)
        seen.add(command.pod)
        if command.for_group and not groups[pods[command.pod].group].preemptible:
            yield Violation(rule="non-preemptible-evicted", subject=command.pod)
        if command.for_group and command.for_group not in served:
            yield Violation(rule="evicted-for-nothing", subject=command.pod, detail=command.for_group)


def _share_sums(snapshot: Snapshot, policy: Policy, now: float, plan: Plan) -> Iterator[Violation]:
    """What siblings get is never more than there is beyond what they deserve, and never less than what can be used."""
    state = State(snapshot, policy, now)
    tree, shares = state.ledger.tree, dict(plan.fair_share)
    for parent in [-1, *(row for row in range(len(tree.parent)) if tree.children[row])]:
        siblings = tree.roots if parent < 0 else tree.children[parent]
        for axis in (0, 1, 2):
            total = state.total[axis] if parent < 0 else tree.fair[parent][axis]
            given = sum(shares[snapshot.queues[row].name][axis] for row in siblings)
            sure = sum(
                min(tree.deserved[row][axis], tree.limit[row][axis], tree.requested[row][axis]) for row in siblings
            )
            if given > max(total, sure):
                subject = "(top)" if parent < 0 else snapshot.queues[parent].name
                yield Violation(rule="shares-over-total", subject=subject, detail=f"{given} of {total}")


def _decides_again(snapshot: Snapshot, after: Snapshot, policy: Policy, now: float, plan: Plan) -> Iterator[Violation]:
    """Equal input gives equal bytes; and the next decision ends nothing that this one placed or moved (it may move it)."""
    if msgspec.msgpack.encode(decide(snapshot, policy, now)[0]) != msgspec.msgpack.encode(plan):
        yield Violation(rule="not-deterministic", subject=snapshot.digest)
    if policy.keep_holds:
        placed = {command.pod for command in plan.commands if isinstance(command, Bind)}
        placed |= {
            place[0]
            for command in plan.commands
            if isinstance(command, Keep) and command.hold
            for place in command.hold.places
        }
        for command in decide(after, policy, now)[0].commands:
            if isinstance(command, Evict) and not command.moved_to and command.pod.removesuffix(SUCCESSOR) in placed:
                yield Violation(rule="evicts-again", subject=command.pod, detail=command.for_group)
