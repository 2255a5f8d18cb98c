"""Properties that hold of every decision on every cluster."""

from __future__ import annotations

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.strategies import clusters, policies

from fairlead.model import Evict, Plan, Pod, PodStatus, Policy, Snapshot, Warm, build_snapshot
from fairlead.scheduling import decide
from fairlead.scheduling.invariants import SUCCESSOR, apply_plan, violations
from fairlead.scheduling.ledger import Ledger, group_pods
from fairlead.scheduling.rules.state import State

NOW = 1_000_000.0
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SETTINGS
@given(clusters(), policies())
def test_every_plan_keeps_all_invariants(snapshot: Snapshot, policy: Policy) -> None:
    plan, _ = decide(snapshot, policy, NOW)
    assert violations(snapshot, policy, NOW, plan) == ()


@SETTINGS
@given(clusters(), policies(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_changes_nothing(snapshot: Snapshot, policy: Policy, shuffle: st.DataObject) -> None:
    parts = {name: list(getattr(snapshot, name)) for name in ("nodes", "queues", "groups", "pods", "shared_gpus")}
    for values in parts.values():
        shuffle.shuffle(values)  # type: ignore[attr-defined]  # a seeded random.Random
    other = build_snapshot(pool=snapshot.pool, levels=snapshot.levels, demand=snapshot.demand, **parts)
    assert other.digest == snapshot.digest
    assert decide(other, policy, NOW)[0] == decide(snapshot, policy, NOW)[0]


@SETTINGS
@given(clusters(), policies())
def test_a_decision_with_memory_equals_one_without(snapshot: Snapshot, policy: Policy) -> None:
    plan, warm = decide(snapshot, policy, NOW)
    assert isinstance(warm, Warm)
    assert decide(snapshot, policy, NOW, warm)[0] == plan


@SETTINGS
@given(clusters(), st.data())
def test_rollback_restores_every_amount(snapshot: Snapshot, data: st.DataObject) -> None:
    state = State(snapshot, Policy(), NOW)
    ledger, fresh = state.ledger, Ledger(snapshot, Policy())
    mark = ledger.checkpoint()
    for group in range(len(snapshot.groups)):
        if data.draw(st.booleans()):
            ledger.evict_many([pod for pod in group_pods(ledger, group) if ledger.is_active(pod)])
    ledger.rollback(mark)
    assert (ledger.idle == fresh.idle).all()
    assert (ledger.releasing == fresh.releasing).all()
    assert ledger.tree.allocated == fresh.tree.allocated
    assert ledger.active == fresh.active
    assert (ledger.members == fresh.members).all()
    assert (ledger.amounts == fresh.amounts).all()


@SETTINGS
@given(clusters(), policies())
def test_a_cluster_left_alone_comes_to_rest(snapshot: Snapshot, policy: Policy) -> None:
    evictions = []
    for cycle in range(14):
        plan, _ = decide(snapshot, policy, NOW + cycle)
        evictions.append(sum(isinstance(command, Evict) for command in plan.commands))
        snapshot = move_on(snapshot, plan, policy.keep_holds)
    assert evictions[-3:] == [0, 0, 0]


def move_on(snapshot: Snapshot, plan: Plan, keep_holds: bool) -> Snapshot:
    """The next cycle's snapshot: bound pods run, evicted ones wait again (or keep their promised place), promises last or are forgotten."""
    after = apply_plan(snapshot, plan)
    moved = {pod.uid.removesuffix(SUCCESSOR): pod for pod in after.pods if pod.uid.endswith(SUCCESSOR)}
    pods = [_next_life(pod, moved, keep_holds) for pod in after.pods if not pod.uid.endswith(SUCCESSOR)]
    return build_snapshot(nodes=after.nodes, queues=after.queues, groups=after.groups, pods=pods)


def _next_life(pod: Pod, moved: dict[str, Pod], keep_holds: bool) -> Pod:
    if pod.uid in moved and keep_holds:
        return msgspec.structs.replace(moved[pod.uid], uid=pod.uid)
    if pod.status == PodStatus.BOUND:
        return msgspec.structs.replace(pod, status=PodStatus.RUNNING)
    if pod.status == PodStatus.RELEASING or (pod.status == PodStatus.HELD and not keep_holds):
        return msgspec.structs.replace(pod, status=PodStatus.PENDING, node="", shared=())
    return pod
