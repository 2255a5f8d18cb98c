"""What a pod asks that this scheduler does not decide yet, or asks in words nobody can read: it waits and is told so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fairlead.cluster.scheduler import company
from fairlead.objects import pod as objects
from fairlead.workloads.gpus import malformed_shares
from fairlead.workloads.shares import holder_of, is_told

_OPERATORS: Final = frozenset({"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"})


def unsupported(pod: objects.Pod, *, reserves: bool = False) -> str:
    """The features, as the object of "It asks for ..."; empty for a pod that can be decided on.

    `reserves`: a container of the pod has to read which devices it shares (`workloads.shares`).
    """
    found = [*_spec(pod.spec), *malformed_shares(pod)]
    if reserves and not found and holder_of(pod) and not is_told(pod):
        found.append("a part of a GPU but was made while admission did not answer (delete it and make it again)")
    return ", ".join(dict.fromkeys(found))


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
