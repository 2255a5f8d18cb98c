"""Disruption budgets: whose pods may not be moved now. Pure; what the API says when a pod is moved after all is final."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fairlead.objects.builtin import PodDisruptionBudget
from fairlead.objects.pod import Pod
from fairlead.objects.selectors import matches, of_object


def kept(budgets: Iterable[PodDisruptionBudget], placed: Mapping[str, Sequence[Pod]]) -> frozenset[str]:
    """The groups of which a budget covers more pods than may go. `placed`: group's uid -> its pods that have a node."""
    found: set[str] = set()
    for budget in budgets:
        if not budget.status.observed_generation or budget.spec.selector is None:
            continue  # nobody has counted its pods
        selector, namespace = of_object(budget.spec.selector), budget.metadata.namespace
        for group, pods in placed.items():
            covered = [p for p in pods if p.metadata.namespace == namespace and matches(selector, p.metadata.labels)]
            if len(covered) > budget.status.disruptions_allowed:
                found.add(group)
    return frozenset(found)
