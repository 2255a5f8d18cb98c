"""Names that must exist: every queue, node, claim, topology, gang and pod that a file speaks of, and no name twice."""

import re
from collections.abc import Collection, Iterator
from typing import Any, Final, TypeAlias

from msgspec import Struct

from fairlead.simulator.scenario.faults import Path, Wrong, near
from fairlead.simulator.scenario.names import expand

Map: TypeAlias = dict[str, Any]
_PLACES: Final = re.compile(r" (?:on|from|to) (\S+)")
_COMMAND: Final = re.compile(r"\w+ (\S+)(?: on (\S+))?(?: for (\S+))?")


class Declared(Struct):
    """The names a file gives to things."""

    nodes: set[str]
    queues: set[str]
    gangs: set[str]
    pods: set[str]


def declared(document: Map) -> Declared:
    """Every name the file declares, ranges expanded.  Raises: Wrong where one name would mean two things."""
    names = Declared(set(), set(), set(), set())
    for section, into in (("nodes", names.nodes), ("queues", names.queues)):
        for key in document[section]:
            for name in expand(key):
                if name in into:
                    raise Wrong(f"two lines name {name}", (section, key))
                into.add(name)
    for section, position, gang in _gangs(document):
        _declare_gang(gang, (section, position), names)
    both = names.gangs & names.pods
    if both:
        raise Wrong(f"{min(both)} names a gang and a pod")
    return names


def _declare_gang(gang: Map, at: Path, names: Declared) -> None:
    for name in expand(gang["gang"]):
        if name in names.gangs:
            raise Wrong(f"two gangs are called {name}", (*at, "gang"))
        names.gangs.add(name)
        for pod in _pod_names(gang, name):
            if pod in names.pods:
                raise Wrong(f"two pods are called {pod}", at)
            names.pods.add(pod)


def check_references(document: Map, names: Declared) -> None:
    """Passes where everything the file names exists or is declared `missing`.  Raises: Wrong with the nearest name."""
    for key in document["queues"]:
        for queue in expand(key):
            if "/" in queue:
                _known_parent(queue.rpartition("/")[0], names.queues, ("queues", key))
    claims = document.get("claims", {})
    for key, claim in claims.items():
        _known_all("queue", claim.get("queue", ()), names.queues, ("claims", key, "queue"))
        _known_all("node", claim.get("node", ()), names.nodes, ("claims", key, "node"))
    for section, position, gang in _gangs(document):
        _check_gang(gang, (section, position), document, names)
    _check_expect(document.get("expect", {}), names)


def _check_gang(gang: Map, at: Path, document: Map, names: Declared) -> None:
    _known_all("queue", gang["queue"], names.queues, (*at, "queue"))
    claims, topologies = document.get("claims", {}), document.get("topologies", {})
    for path, holder in _holders(gang, at):
        for key, kind, have in (
            ("node", "node", names.nodes),
            ("nominated", "node", names.nodes),
            ("claims", "claim", claims),
        ):
            _known_all(kind, holder.get(key, ()), have, (*path, key))
        if "topology" in holder:
            _check_topology(holder["topology"], topologies, (*path, "topology"))
        for claim in holder.get("claims", ()):
            for name in expand(claim):
                space, own = claims[name].get("namespace", "default"), gang.get("namespace", "default")
                if space != own:
                    raise Wrong(f"claim {name} is in namespace {space}, the gang in {own}", (*path, "claims"))


def _check_topology(wanted: Map, topologies: Map, path: Path) -> None:
    if "name" in wanted:
        _known("topology", wanted["name"], topologies, (*path, "name"))
    elif len(topologies) != 1:
        raise Wrong(f"name the topology: the file has {len(topologies)}", path)
    levels = topologies[wanted.get("name", next(iter(topologies)))]
    for key in ("required", "preferred"):
        if key in wanted:
            _known("topology level", wanted[key], levels, (*path, key))


def _check_expect(expect: Map, names: Declared) -> None:
    things = names.gangs | names.pods
    have: dict[str, tuple[str, Collection[str]]] = {
        "state": ("gang or pod", things),
        "reasons": ("gang", things),
        "running_for": ("gang", things),
        "requested": ("gang, pod or queue", things | names.queues),
        "allocated": ("gang, pod or queue", things | names.queues),
        "fair_share": ("queue", names.queues),
        "nodes": ("node", names.nodes),
    }
    for section, (kind, known) in have.items():
        for key in expect.get(section, {}):
            _known_all(kind, key, known, ("expect", section, key))
    for position, group in enumerate(expect.get("same_device", ())):
        _known_all("pod", group, names.pods | names.gangs, ("expect", "same_device", position))
    for key, value in expect.get("state", {}).items():
        for text in [value] if isinstance(value, str) else value:
            for place in _PLACES.findall(text):
                _known_all("node", place.split("|"), names.nodes, ("expect", "state", key))
    for position, text in enumerate(expect.get("plan", ())):
        _check_command(text, ("expect", "plan", position), things, names)


def _check_command(text: str, path: Path, things: set[str], names: Declared) -> None:
    match = _COMMAND.match(text)
    subject, place, for_gang = match.groups() if match else (None, None, None)
    for one in (subject, for_gang):
        _known_all("gang or pod", one or (), things, path)
    _known_all("node", place.split("|") if place else (), names.nodes, path)


def _known_all(kind: str, written: str | Collection[str], have: Collection[str], path: Path) -> None:
    for text in (written,) if isinstance(written, str) else written:
        if text in have:
            continue
        for name in expand(text):
            _known(kind, name, have, path)


def _known(kind: str, name: str, have: Collection[str], path: Path) -> None:
    if name not in have:
        raise Wrong(f"no {kind} is called {name}{near(name, sorted(have))}", path)


def _known_parent(name: str, have: Collection[str], path: Path) -> None:
    """A queue whose parent is not there is told so, and not offered one of its own children."""
    if name not in have:
        hint = near(name, sorted(queue for queue in have if not queue.startswith(f"{name}/")))
        raise Wrong(f"no parent queue is called {name}{hint or f'; add it as {name}: unlimited'}", path)


def _gangs(document: Map) -> Iterator[tuple[str, int, Map]]:
    for section in ("running", "pending"):
        for position, gang in enumerate(document.get(section, ())):
            yield section, position, gang


def _holders(holder: Map, path: Path) -> Iterator[tuple[Path, Map]]:
    """A gang and everything below it that may hold pod keys."""
    yield path, holder
    pods = holder.get("pods")
    for position, pod in enumerate(pods if isinstance(pods, list) else ()):
        yield (*path, "pods", position), pod
    for name, sub in holder.get("subgroups", {}).items():
        yield from _holders(sub, (*path, "subgroups", name))


def _pod_names(gang: Map, name: str) -> Iterator[str]:
    for index, own in enumerate(_written_pods(gang)):
        yield own or f"{name}-{index}"


def _written_pods(holder: Map) -> Iterator[str]:
    """The own name of each pod in written order; empty where it has none."""
    for sub in holder.get("subgroups", {}).values():
        yield from _written_pods(sub)
    pods = holder.get("pods", 0 if "subgroups" in holder else 1)
    for pod in [{"count": pods}] if isinstance(pods, int) else pods:
        for part in expand(pod.get("name", "")):
            for _ in range(pod.get("count", 1)):
                yield part
