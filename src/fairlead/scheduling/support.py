"""Support: what a snapshot or policy asks that the core cannot decide, by name."""

from __future__ import annotations

from fairlead.model import Policy, Snapshot, Term


def unsupported(snapshot: Snapshot, policy: Policy) -> tuple[str, ...]:
    """Names of features that are needed and missing, sorted; empty = the core decides all of it."""
    found: set[str] = set()
    for klass in snapshot.classes:
        terms = (*klass.terms, *(what for what, _ in klass.preferred if isinstance(what, Term)))
        found |= {f"term {term.kind}" for term in terms if term.kind in ("spread", "at-most")}
        if klass.rule.volumes:
            found.add("volumes")
    if policy.placement_gpu in ("binpack", "spread") and policy.placement_cpu in ("fit", "dense"):
        found.add(f"placement of CPU pods by {policy.placement_cpu} beside {policy.placement_gpu}")
    return tuple(sorted(found))
