"""Pod keys as the model's task class: what a pod asks for and where it may go."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from fairlead.model import GpuRequest, ModelError, NodeRule, TaskClass, Term
from fairlead.model.selectors import Requirement, parse_selector
from fairlead.simulator.scenario import amounts
from fairlead.simulator.scenario.faults import Wrong
from fairlead.simulator.scenario.spec import Ask, Pairs

Map: TypeAlias = dict[str, Any]
_COMPANY = (("pod_affinity", "need"), ("pod_anti_affinity", "avoid"))


def ask_of(keys: Map, selected: frozenset[str]) -> Ask:
    """The request that resolved pod keys stand for; of its labels only the `selected` ones."""
    affinity, wishes = _affinity(keys.get("node_affinity", []))
    terms = [(_term(term, kind), term.get("weight", 0)) for key, kind in _COMPANY for term in keys.get(key, ())]
    klass = TaskClass(
        request=_request(keys),
        gpu=_gpus(keys),
        claims=dra_of(keys.get("dra", 0)),
        rule=NodeRule(
            selector=tuple(sorted(keys.get("node_selector", {}).items())),
            affinity=affinity,
            tolerations=tuple(_toleration(text) for text in keys.get("tolerations", ())),
        ),
        terms=tuple(term for term, weight in terms if not weight),
        preferred=(*wishes, *((term, weight) for term, weight in terms if weight)),
        labels=tuple(sorted((k, v) for k, v in keys.get("labels", {}).items() if k in selected)),
    )
    return Ask(klass=klass, claims=tuple(keys.get("claims", ())), task_priority=keys.get("task_priority"))


def selected_labels(holders: Iterable[Map]) -> frozenset[str]:
    """Pod labels that some pod term in these gangs (or below them) mentions.  Raises: Wrong for text that is no selector."""
    return frozenset(
        requirement[0]
        for holder in holders
        for part in _holders(holder)
        for key, _ in _COMPANY
        for term in part.get(key, ())
        for requirement in selector(term["match"])
    )


def selector(text: str) -> tuple[Requirement, ...]:
    """The requirements of a selector text.  Raises: Wrong."""
    try:
        return parse_selector(text)
    except ModelError:
        raise Wrong(f"'{text}' is not a selector such as `gpu in (a100,h100), !spot`") from None


def mig_resources(profiles: Map) -> Pairs:
    """MIG profiles as resources: `1g.10gb` is `nvidia.com/mig-1g.10gb`."""
    return tuple(sorted((f"nvidia.com/mig-{profile}", count) for profile, count in profiles.items() if count))


def dra_of(value: Any) -> Pairs:
    """DRA devices by class; a bare number is class `gpu.nvidia.com`."""
    by_class = value if isinstance(value, dict) else {"gpu.nvidia.com": value}
    return tuple(sorted((name, count) for name, count in by_class.items() if count))


def _request(keys: Map) -> Pairs:
    parts = {name: amounts.whole(value) for name, value in keys.get("resources", {}).items()}
    parts["cpu"] = amounts.milli(keys.get("cpu", 0))
    parts["memory"] = amounts.whole(keys.get("memory", 0))
    parts["pods"] = 1
    return tuple(sorted((name, amount) for name, amount in parts.items() if amount))


def _gpus(keys: Map) -> GpuRequest:
    extra: Map = {"mig": mig_resources(keys.get("mig", {})), "legacy_mig": keys.get("legacy_mig", False)}
    gpu, devices = keys.get("gpu", 0), keys.get("devices", 1)
    if "gpu_memory" in keys:
        if gpu:
            raise Wrong("a pod asks for gpu or gpu_memory, not both", ("gpu_memory",))
        return GpuRequest(devices=devices, memory_mib=amounts.mib(keys["gpu_memory"]), **extra)
    if gpu >= 1:
        return GpuRequest(devices=int(gpu), portion_milli=1000, **extra)
    return GpuRequest(devices=devices, portion_milli=round(gpu * 1000), **extra) if gpu else GpuRequest(**extra)


def _affinity(
    terms: Any,
) -> tuple[tuple[tuple[Requirement, ...], ...], tuple[tuple[NodeRule | Term, int], ...]]:
    written = terms if isinstance(terms, list) else [terms]
    full: list[Map] = [{"match": term} if isinstance(term, str) else term for term in written]
    required = tuple(selector(term["match"]) for term in full if "weight" not in term)
    wishes = ((selector(term["match"]), term["weight"]) for term in full if "weight" in term)
    return required, tuple((NodeRule(affinity=(match,)), weight) for match, weight in wishes)


def _term(term: Map, kind: Any) -> Term:
    names = tuple(sorted(term.get("namespaces", ())))
    return Term(kind=kind, level=term["topology_key"], selector=term["match"], namespaces=names)


def _toleration(text: str) -> tuple[str, str, str, str]:
    """(key, operator, value, effect); an empty effect is every effect."""
    head, _, effect = text.partition(":")
    if head == "*":
        return "", "Exists", "", effect
    key, equals, value = head.partition("=")
    return (key, "Equal", value, effect) if equals else (key, "Exists", "", effect)


def _holders(holder: Map) -> Iterator[Map]:
    yield holder
    pods = holder.get("pods")
    yield from pods if isinstance(pods, list) else ()
    for sub in holder.get("subgroups", {}).values():
        yield from _holders(sub)
