"""Pod affinity and anti-affinity of a pod as terms of the core, and which labels those terms look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from fairlead.model import Term, parse_selector
from fairlead.objects import pod as objects
from fairlead.objects.meta import LabelSelector
from fairlead.objects.selectors import of_object, render


def terms_of(spec: objects.PodSpec) -> tuple[Term, ...]:
    """The company a pod must have or must avoid."""
    return tuple(_term(kind, term) for kind, wishes in _wishes(spec) for term in wishes.required)


def liked_by(spec: objects.PodSpec) -> tuple[tuple[Term, int], ...]:
    """The company a pod would rather have or avoid, with its weight."""
    return tuple(
        (_term(kind, each.pod_affinity_term), each.weight)
        for kind, wishes in _wishes(spec)
        for each in wishes.preferred
    )


def keys_of(spec: objects.PodSpec) -> frozenset[str]:
    """Label keys that the pod's terms select on: only those labels of others decide anything."""
    terms = (*terms_of(spec), *(term for term, _ in liked_by(spec)))
    return frozenset(key for term in terms for key, _, _ in parse_selector(term.selector))


def unreadable(spec: objects.PodSpec) -> Iterator[str]:
    """What of it the core has no words for."""
    try:
        keys_of(spec)
    except ValueError as error:
        yield f"a pod affinity that cannot be read ({error})"
    for _, wishes in _wishes(spec):
        for term in (*wishes.required, *(each.pod_affinity_term for each in wishes.preferred)):
            if term.namespace_selector not in (None, LabelSelector()):
                yield "a namespaceSelector in its pod affinity"
            if term.label_selector is None:
                yield "a pod affinity term without labelSelector"


def _wishes(spec: objects.PodSpec) -> Iterator[tuple[Literal["need", "avoid"], objects.PodAffinity]]:
    if spec.affinity and spec.affinity.pod_affinity:
        yield "need", spec.affinity.pod_affinity
    if spec.affinity and spec.affinity.pod_anti_affinity:
        yield "avoid", spec.affinity.pod_anti_affinity


def _term(kind: Literal["need", "avoid"], term: objects.PodAffinityTerm) -> Term:
    """An empty namespaceSelector means every namespace."""
    everywhere = ("*",) if term.namespace_selector == LabelSelector() else ()
    return Term(
        kind=kind,
        level=term.topology_key,
        selector=render(of_object(term.label_selector or LabelSelector())),
        namespaces=(*term.namespaces, *everywhere),
    )
