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
@given(clusters(), policies(), st.data())
def test_a_decision_with_memory_equals_one_without(snapshot: Snapshot, policy: Policy, data: st.DataObject) -> None:
    snapshot, warm = _with_moments(snapshot, data), Warm()
    policy = msgspec.structs.replace(policy, stale_grace=5.0, preempt_min_runtime=4.0, reclaim_min_runtime=3.0)
    for passed in (0.0, *sorted(data.draw(st.lists(st.sampled_from((1.0, 2.0, 3.0, 4.0, 9.0)), max_size=3)))):
        plan, warm = decide(snapshot, policy, NOW + passed, warm)
        assert plan == decide(snapshot, policy, NOW + passed)[0]


def _with_moments(snapshot: Snapshot, data: st.DataObject) -> Snapshot:
    """The same with groups that something is due for within seconds."""
    moments = st.sampled_from((None, -4.0, -2.0, 0.0))
    groups = []
    for group in snapshot.groups:
        started, stale, retry = (data.draw(moments) for _ in range(3))
        changes = {
            "started": None if started is None else NOW + started,
            "stale_since": None if stale is None else NOW + stale,
            "retry_at": 0.0 if retry is None else NOW - retry,
        }
        groups.append(msgspec.structs.replace(group, **changes))
    parts = {name: getattr(snapshot, name) for name in ("nodes", "queues", "pods", "shared_gpus")}
    return build_snapshot(pool=snapshot.pool, levels=snapshot.levels, demand=snapshot.demand, groups=groups, **parts)


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
@given(clusters(), policies().filter(lambda policy: policy.keep_holds))
def test_a_cluster_left_alone_comes_to_rest(snapshot: Snapshot, policy: Policy) -> None:
    assert _evictions_at_last(snapshot, policy) == []


@SETTINGS
@given(clusters(), policies().filter(lambda policy: not policy.keep_holds))
def test_where_promises_are_forgotten_nobody_is_lost_for_ever(snapshot: Snapshot, policy: Policy) -> None:
    """Work that is moved for others may be back before them, as `Policy.keep_holds` says: what never ends are moves alone."""
    assert [evict for evict in _evictions_at_last(snapshot, policy) if not evict.moved_to] == []


def _evictions_at_last(snapshot: Snapshot, policy: Policy) -> list[Evict]:
    """Those of the last three of fourteen cycles."""
    evictions: list[list[Evict]] = []
    for cycle in range(14):
        plan, _ = decide(snapshot, policy, NOW + cycle)
        evictions.append([command for command in plan.commands if isinstance(command, Evict)])
        snapshot = move_on(snapshot, plan, policy.keep_holds)
    return [evict for made in evictions[-3:] for evict in made]


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
