"""Fixes: the smallest single changes that would start a waiting group, each proven by deciding again on the changed state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Final, Literal

import msgspec

from fairlead.model import (
    K_NAMES,
    QUANTUM,
    UNLIMITED,
    Bind,
    Code,
    Evict,
    Node,
    NodeName,
    NodeRule,
    Plan,
    Pod,
    PodGroup,
    Policy,
    QueueSpec,
    Reason,
    Snapshot,
    TaskClass,
    Uid,
    Value,
    build_snapshot,
    with_group,
    with_queue,
)
from fairlead.scheduling.bisection import least_count
from fairlead.scheduling.cycle import decide

PROOF: Final = "locally minimal, proven on the current state"
PROOF_EMPTIED: Final = "locally minimal, proven on the nodes without other work"
_PART: Final = 100
"""Step in which parts of devices are made smaller. Units: milli-GPU."""
PRIORITIES: Final = (50, 75, 100, 125)
FixKind = Literal[
    "raise-deserved",
    "raise-limit",
    "drop-selector",
    "drop-affinity",
    "add-tolerations",
    "lower-minimum",
    "raise-priority",
    "make-preemptible",
    "make-non-preemptible",
    "ask-less",
    "uncordon",
    "add-nodes",
]


_AMOUNTS: Final[tuple[tuple[str, FixKind, tuple[Code, ...]], ...]] = (
    ("limit", "raise-limit", (Code.OVER_LIMIT,)),
    ("deserved", "raise-deserved", (Code.OVER_DESERVED_FIXED, Code.OVER_FAIR_SHARE, Code.WOULD_STARVE)),
)
"""Queue field, the fix that raises it, and the causes that it can lift."""


class Fix(Value, frozen=True, kw_only=True):
    """One change that starts the group. `amount` is the new value (for nodes: how many more) in the unit of `resource`."""

    kind: FixKind
    subject: str = ""
    """Queue, rule or node it changes."""
    resource: str = ""
    before: int = 0
    amount: int = 0
    starts: Literal["now", "when victims are gone", "when others end"] = "now"
    """"when others end": it is needed first, and the group then still waits for room."""
    evicts: tuple[Uid, ...] = ()
    """Pods that would be evicted or moved in that cycle."""
    proof: str = PROOF


class Case:
    """The parts of a snapshot that a change touches, and the memory of decisions made on changed ones."""

    def __init__(self, snapshot: Snapshot, policy: Policy, now: float, uid: Uid) -> None:
        self.snapshot, self.policy, self.now, self.uid = snapshot, policy, now, uid
        self.group = next(group for group in snapshot.groups if group.uid == uid)
        self.pods = [pod for pod in snapshot.pods if pod.group == uid]
        self.reasons: tuple[Reason, ...] = ()

    def plan(
        self,
        *,
        group: PodGroup | None = None,
        queue: QueueSpec | None = None,
        klass: Callable[[TaskClass], TaskClass] | None = None,
        nodes: Iterable[Node] = (),
    ) -> Plan:
        """The decision with one change made. `nodes`: more of them, or others in place of those of the same name."""
        snapshot = self.snapshot
        if queue is not None:
            return decide(with_queue(snapshot, queue), self.policy, self.now)[0]
        if group is not None:
            return decide(with_group(snapshot, group), self.policy, self.now)[0]
        changed = build_snapshot(
            pool=snapshot.pool,
            nodes=[*{node.name: node for node in (*snapshot.nodes, *nodes)}.values()],
            queues=snapshot.queues,
            groups=snapshot.groups,
            pods=snapshot.pods if klass is None else [self._changed(pod, klass) for pod in snapshot.pods],
            shared_gpus=snapshot.shared_gpus,
            levels=snapshot.levels,
            demand=snapshot.demand,
        )
        return decide(changed, self.policy, self.now)[0]

    def emptied(self) -> Case:
        """The case as if no other group had pods: what stands in the way then, stands there whatever ends."""
        snapshot = self.snapshot
        alone = build_snapshot(
            pool=snapshot.pool,
            nodes=snapshot.nodes,
            queues=snapshot.queues,
            groups=[self.group],
            pods=self.pods,
            levels=snapshot.levels,
        )
        return Case(alone, self.policy, self.now, self.uid)

    def _changed(self, pod: Pod, klass: Callable[[TaskClass], TaskClass]) -> Pod:
        return msgspec.structs.replace(pod, klass=klass(pod.klass)) if pod.group == self.uid else pod

    def starts(self, plan: Plan) -> bool:
        """Whether the group got a place in it."""
        return any(outcome.group == self.uid and outcome.result in ("bound", "held") for outcome in plan.outcomes)

    def fix(self, kind: FixKind, plan: Plan, **more: object) -> Fix:
        """The change as an answer, with what the plan shows."""
        bound = any(
            isinstance(command, Bind) and command.pod in {pod.uid for pod in self.pods} for command in plan.commands
        )
        starts = "now" if bound else "when victims are gone"
        return Fix(kind=kind, starts=starts, evicts=evicted_for(plan, self.uid), **more)  # type: ignore[arg-type]  # fields of Fix


def evicted_for(plan: Plan, group: Uid) -> tuple[Uid, ...]:
    """Pods a plan evicts (or moves) for this group."""
    return tuple(command.pod for command in plan.commands if isinstance(command, Evict) and command.for_group == group)


def fixes(case: Case) -> Iterator[Fix]:
    """Every single change that was found to start the group, kind by kind."""
    yield from _queue_fixes(case)
    yield from _rule_fixes(case)
    yield from _group_fixes(case)
    yield from _size_fixes(case)
    yield from _node_fixes(case)


def _queue_fixes(case: Case) -> Iterator[Fix]:
    """More deserved or a higher limit for the queue or one above it, per resource."""
    by_name = {queue.name: queue for queue in case.snapshot.queues}
    name = case.group.queue
    while name in by_name:
        queue = by_name[name]
        for axis, resource in enumerate(K_NAMES):
            for field, kind, codes in _AMOUNTS:
                if any(reason.code in codes and reason.resource in (resource, "") for reason in case.reasons):
                    yield from _raise_amount(case, queue, (field, axis), (kind, resource))
        name = queue.parent


def _raise_amount(case: Case, queue: QueueSpec, where: tuple[str, int], what: tuple[FixKind, str]) -> Iterator[Fix]:
    field, axis = where
    quota: tuple[int, int, int] = getattr(queue, field)
    if quota[axis] >= UNLIMITED:
        return

    unit = QUANTUM[axis] // 1000 or 1 if axis == 0 else (1 << 20 if axis == 2 else 1)
    step = 10 * unit if axis == 0 else unit
    most = sum(_charge(case.snapshot, axis)) // step + quota[axis] // step + 1

    @cache
    def with_steps(count: int) -> Plan:
        raised = (*quota[:axis], quota[axis] + count * step, *quota[axis + 1 :])
        return case.plan(queue=msgspec.structs.replace(queue, **{field: raised}))

    wanted = max((reason.wanted for reason in case.reasons if reason.resource == what[1]), default=0)
    guess = -(-(wanted - quota[axis]) // step)
    steps = least_count(lambda count: case.starts(with_steps(count)), most, guess)
    if steps:
        amount = quota[axis] + steps * step
        yield case.fix(
            what[0], with_steps(steps), subject=queue.name, resource=what[1], before=quota[axis], amount=amount
        )


def _charge(snapshot: Snapshot, axis: int) -> list[int]:
    charges = snapshot.p.charge[:, axis]
    return [int(charges.sum()), int(snapshot.c.charge[:, axis].sum()), 1 << 30 if axis == 2 else 1000]


def _rule_fixes(case: Case) -> Iterator[Fix]:
    """Without one line of the selector, without required affinity, or tolerating everything."""
    rules = {pod.klass.rule for pod in case.pods}
    for key, value in sorted({pair for rule in rules for pair in rule.selector}):
        plan = case.plan(klass=_with_rule(lambda rule, pair=(key, value): _without(rule, pair)))  # type: ignore[misc]
        if case.starts(plan):
            yield case.fix("drop-selector", plan, subject=f"{key}={value}")
    if any(rule.affinity for rule in rules):
        plan = case.plan(klass=_with_rule(lambda rule: msgspec.structs.replace(rule, affinity=())))
        if case.starts(plan):
            yield case.fix("drop-affinity", plan)
    taints = sorted({taint for node in case.snapshot.nodes for taint in node.taints})
    for taint in taints:
        toleration = (taint[0], "Equal", taint[1], taint[2])
        plan = case.plan(klass=_with_rule(lambda rule, one=toleration: _tolerating(rule, one)))  # type: ignore[misc]
        if case.starts(plan):
            yield case.fix("add-tolerations", plan, subject=f"{taint[0]}={taint[1]}:{taint[2]}")


def _with_rule(change: Callable[[NodeRule], NodeRule]) -> Callable[[TaskClass], TaskClass]:
    return lambda klass: msgspec.structs.replace(klass, rule=change(klass.rule))


def _without(rule: NodeRule, pair: tuple[str, str]) -> NodeRule:
    return msgspec.structs.replace(rule, selector=tuple(one for one in rule.selector if one != pair))


def _tolerating(rule: NodeRule, toleration: tuple[str, str, str, str]) -> NodeRule:
    return msgspec.structs.replace(rule, tolerations=(*rule.tolerations, toleration))


def _group_fixes(case: Case) -> Iterator[Fix]:
    """Higher priority, the other preemptibility, a smaller minimum."""
    group = case.group
    higher = [priority for priority in PRIORITIES if priority > group.priority]

    @cache
    def with_priority(rank: int) -> Plan:
        return case.plan(group=msgspec.structs.replace(group, priority=higher[rank - 1]))

    rank = least_count(lambda at: case.starts(with_priority(at)), len(higher))
    if rank:
        yield case.fix("raise-priority", with_priority(rank), before=group.priority, amount=higher[rank - 1])
    plan = case.plan(group=msgspec.structs.replace(group, preemptible=not group.preemptible))
    if case.starts(plan):
        yield case.fix("make-non-preemptible" if group.preemptible else "make-preemptible", plan)
    least = group.subgroups[0].min_member
    if len(group.subgroups) == 1 and least > 1:

        @cache
        def withleast(lower: int) -> Plan:
            leaf = msgspec.structs.replace(group.subgroups[0], min_member=least - lower)
            return case.plan(group=msgspec.structs.replace(group, subgroups=(leaf,)))

        lower = least_count(lambda count: case.starts(withleast(count)), least - 1)
        if lower:
            yield case.fix("lower-minimum", withleast(lower), before=least, amount=least - lower)


def _size_fixes(case: Case) -> Iterator[Fix]:
    """Less of one resource per pod. Of what no node is large enough for, also where the rest of the group's needs is in use."""
    found = {fix.resource: fix for fix in _smaller(case)}
    yield from found.values()
    too_large = {reason.resource for reason in case.reasons if reason.code == Code.TOO_LARGE} - found.keys()
    if too_large:
        for fix in _smaller(case.emptied()):
            if fix.resource in too_large:
                yield msgspec.structs.replace(fix, starts="when others end", proof=PROOF_EMPTIED)


def _smaller(case: Case) -> Iterator[Fix]:
    """Fewer whole devices, a smaller part or less memory of one, less CPU or memory per pod."""
    classes = {pod.klass for pod in case.pods}
    devices = max((klass.gpu.devices for klass in classes if _is_whole(klass)), default=0)
    yield from _ask_less(case, "gpu", (devices - 1, 1000, devices * 1000), _fewer_devices)
    part = max((klass.gpu.portion_milli for klass in classes if _is_part(klass)), default=0)
    yield from _ask_less(case, "gpu", ((part - 1) // _PART, _PART, part), _smaller_part)
    mib = max((klass.gpu.memory_mib for klass in classes), default=0)
    yield from _ask_less(case, "gpu-memory", ((mib - 1) // 1024, 1024, mib), _less_gpu_memory)
    for resource, unit in (("cpu", 1000), ("memory", 1 << 30)):
        amount = max((dict(klass.request).get(resource, 0) for klass in classes), default=0)
        yield from _ask_less(case, resource, (amount // unit, unit, amount), _less_of(resource))


def _ask_less(
    case: Case, resource: str, sizes: tuple[int, int, int], change: Callable[[TaskClass, int], TaskClass]
) -> Iterator[Fix]:
    most, unit, before = sizes

    @cache
    def with_less(steps: int) -> Plan:
        return case.plan(klass=lambda klass: change(klass, before - steps * unit))

    steps = least_count(lambda count: case.starts(with_less(count)), most) if most > 0 else 0
    if steps:
        yield case.fix("ask-less", with_less(steps), resource=resource, before=before, amount=before - steps * unit)


def _is_whole(klass: TaskClass) -> bool:
    return klass.gpu.portion_milli >= 1000 and not klass.gpu.memory_mib


def _is_part(klass: TaskClass) -> bool:
    return 0 < klass.gpu.portion_milli < 1000 and not klass.gpu.memory_mib


def _fewer_devices(klass: TaskClass, milli: int) -> TaskClass:
    if not _is_whole(klass) or klass.gpu.devices * 1000 <= milli:
        return klass
    return msgspec.structs.replace(klass, gpu=msgspec.structs.replace(klass.gpu, devices=milli // 1000))


def _smaller_part(klass: TaskClass, milli: int) -> TaskClass:
    if not _is_part(klass) or klass.gpu.portion_milli <= milli:
        return klass
    return msgspec.structs.replace(klass, gpu=msgspec.structs.replace(klass.gpu, portion_milli=milli))


def _less_gpu_memory(klass: TaskClass, mib: int) -> TaskClass:
    least = min(klass.gpu.memory_mib, mib)
    return msgspec.structs.replace(klass, gpu=msgspec.structs.replace(klass.gpu, memory_mib=least))


def _less_of(resource: str) -> Callable[[TaskClass, int], TaskClass]:
    def change(klass: TaskClass, amount: int) -> TaskClass:
        request = tuple((name, min(have, amount) if name == resource else have) for name, have in klass.request)
        return msgspec.structs.replace(klass, request=request)

    return change


def _node_fixes(case: Case) -> Iterator[Fix]:
    """A cordoned node opened again; more nodes."""
    if any(reason.code == Code.NODE_STATE for reason in case.reasons):
        closed = (node for node in case.snapshot.nodes if node.ready and node.unschedulable)
        opened = ((node, case.plan(nodes=[msgspec.structs.replace(node, unschedulable=False)])) for node in closed)
        found = next(((node, plan) for node, plan in opened if case.starts(plan)), None)
        if found is not None:
            yield case.fix("uncordon", found[1], subject=found[0].name)
    yield from _more_nodes(case)


def _more_nodes(case: Case) -> Iterator[Fix]:
    """More nodes like the one most pods could use: the first, by name, of each kind (what it offers and how it is labelled)."""
    kinds: dict[object, Node] = {}
    for node in case.snapshot.nodes:
        if node.ready and not node.unschedulable:
            kinds.setdefault((node.allocatable, node.taints, node.gpu_memory_mib, node.mig, node.gpu_model), node)
    for model in kinds.values():

        @cache
        def with_nodes(count: int, model: Node = model) -> Plan:
            return case.plan(nodes=[_like(model, at) for at in range(count)])

        offers = dict(model.allocatable).get("gpu", 0)
        guess = -(-_gpus(case) // offers) if offers else 1
        count = least_count(
            lambda many: case.starts(with_nodes(many)), max(len(case.pods), 1), guess
        )  # used up in this turn
        if count:
            yield case.fix("add-nodes", with_nodes(count), subject=model.name, amount=count)
            return


def _gpus(case: Case) -> int:
    """Milli of whole devices and parts that the group's pods ask for together."""
    return sum(pod.klass.gpu.devices * pod.klass.gpu.portion_milli for pod in case.pods)


def _like(model: Node, at: int) -> Node:
    """A node of the same kind under a name of its own."""
    return msgspec.structs.replace(model, name=NodeName(f"~new-{at}"), foreign=())
