"""Whose pods a disruption budget keeps."""

from __future__ import annotations

from fairlead.cluster.scheduler.budgets import kept
from fairlead.objects.builtin import DisruptionBudgetSpec, DisruptionBudgetStatus, PodDisruptionBudget
from fairlead.objects.meta import LabelSelector, ObjectMeta
from fairlead.objects.pod import Pod


def a_budget(allowed: int, *, counted: bool = True, namespace: str = "ns") -> PodDisruptionBudget:
    """Of pods labelled `app: a`, so many may go."""
    status = DisruptionBudgetStatus(disruptions_allowed=allowed, observed_generation=int(counted))
    spec = DisruptionBudgetSpec(selector=LabelSelector(match_labels={"app": "a"}))
    return PodDisruptionBudget(metadata=ObjectMeta(name="b", namespace=namespace), spec=spec, status=status)


def pods(count: int, app: str = "a") -> list[Pod]:
    """So many with that label."""
    return [Pod(metadata=ObjectMeta(name=f"p{n}", namespace="ns", labels={"app": app})) for n in range(count)]


def test_a_group_stays_where_more_of_its_pods_are_covered_than_may_go() -> None:
    placed = {"pair": pods(2), "one": pods(1), "other": pods(2, app="b")}
    assert kept([a_budget(1)], placed) == {"pair"}
    assert kept([a_budget(0)], placed) == {"pair", "one"}
    assert kept([a_budget(2)], placed) == frozenset()


def test_a_budget_of_another_namespace_keeps_nobody() -> None:
    assert kept([a_budget(0, namespace="elsewhere")], {"one": pods(1)}) == frozenset()


def test_a_budget_that_nobody_has_counted_leaves_it_to_the_api() -> None:
    assert kept([a_budget(0, counted=False)], {"one": pods(1)}) == frozenset()
