"""What a pod asks that this scheduler does not decide yet, or asks in words nobody can read: it waits and is told so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fairlead.cluster.scheduler import company
from fairlead.objects import pod as objects
from fairlead.workloads.gpus import malformed_shares

_OPERATORS: Final = frozenset({"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"})


def unsupported(pod: objects.Pod) -> str:
    """The features, as the object of "It asks for ..."; empty for a pod that can be decided on."""
    return ", ".join(dict.fromkeys([*_spec(pod.spec), *malformed_shares(pod)]))


def _spec(spec: objects.PodSpec) -> Iterator[str]:
    if any(c.when_unsatisfiable == "DoNotSchedule" for c in spec.topology_spread_constraints):
        yield "topologySpreadConstraints with DoNotSchedule"
    if spec.resource_claims:
        yield "resourceClaims (DRA)"
    if any(port.host_port for container in spec.containers for port in container.ports):
        yield "a hostPort"
    yield from company.unreadable(spec)
    affinity = spec.affinity.node_affinity if spec.affinity else None
    terms = affinity.required.node_selector_terms if affinity and affinity.required else ()
    for each in (requirement for term in terms for requirement in (*term.match_expressions, *term.match_fields)):
        if each.operator not in _OPERATORS:
            yield f"node affinity by the operator {each.operator!r} (one of {', '.join(sorted(_OPERATORS))} was expected)"
    if any(f.key != "metadata.name" for term in terms for f in term.match_fields):
        yield "node affinity by a field other than metadata.name"
