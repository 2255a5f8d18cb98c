"""Lines of `running` and `pending` as gangs: ranges expanded, pod keys resolved (the nearest one holds), names handed out."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, TypeAlias

from fairlead.simulator.scenario import amounts
from fairlead.simulator.scenario.faults import Wrong
from fairlead.simulator.scenario.keys import POD_KEYS, PRIORITIES
from fairlead.simulator.scenario.names import dealt, expand, has_range
from fairlead.simulator.scenario.requests import ask_of
from fairlead.simulator.scenario.spec import Ask, GangSpec, PodSpec, SubGroupSpec

Map: TypeAlias = dict[str, Any]

_ONE_PER_GANG: Final = ("labels", "node_selector", "claims", "nominated")
_PLACED: Final = frozenset(("pipelined", "bound", "running", "releasing"))


def gangs_of(line: Map, section: str, selected: frozenset[str], topology: str) -> Iterator[GangSpec]:
    """Every gang that one line of `section` stands for.

    `selected` = pod labels that some pod term of the file mentions; `topology` = the one meant where a line names none.
    """
    return _Line(line, section, selected, topology).gangs()


class _Member:
    """One written pod (or `count` equal ones): its resolved keys, and the request built from them once."""

    __slots__ = ("ask", "count", "keys", "name", "subgroup")

    def __init__(self, keys: Map, subgroup: str, name: str, count: int, ask: Ask | None) -> None:
        self.keys = keys
        self.subgroup = subgroup
        self.name = name
        self.count = count
        self.ask = ask


class _Line:
    """What a written line says, read once; `gangs` then only hands out names."""

    def __init__(self, line: Map, section: str, selected: frozenset[str], topology: str) -> None:
        self.line = line
        self.topology = topology
        self.selected = selected
        self.default_state = section
        self.names = expand(line["gang"])
        self.turns = {key: dealt(line.get(key, "default")) for key in ("queue", "namespace")}
        self.dealers: dict[str, Iterator[str]] = {}
        self.members: list[_Member] = []
        self.subgroups: list[SubGroupSpec] = []
        keys = _pod_keys(line, {})
        if "subgroups" in line:
            top = line.get("topology")
            if top is not None:
                self.subgroups.append(self._subgroup("", "", (0, False), top))
            self._tree(line["subgroups"], keys, "")
        else:
            count = self._pods(line, keys, "")
            self.subgroups.append(self._subgroup("", "", (line.get("min", count), True), line.get("topology")))

    def gangs(self) -> Iterator[GangSpec]:
        line = self.line
        priority = line.get("priority", "train")
        number = PRIORITIES[priority] if isinstance(priority, str) else priority
        age = amounts.seconds(line["age"]) if "age" in line else 0.0
        running_for = line.get("running_for")
        shared: dict[str, Any] = {
            "priority": number,
            "preemptible": line.get("preemptible", number < 100),
            "age": age,
            "running_for": age if running_for is None else _or_never(running_for),
            "stale_for": amounts.seconds(line["stale_for"]) if "stale_for" in line else None,
            "after_release": line.get("after_release", "pending"),
            "subgroups": tuple(self.subgroups),
        }
        queues, namespaces = self.turns["queue"], self.turns["namespace"]
        for name in self.names:
            pods = tuple(self._one_gangs_pods(name))
            yield GangSpec(name=name, queue=next(queues), namespace=next(namespaces), pods=pods, **shared)

    def _tree(self, subgroups: Map, outer: Map, parent: str) -> None:
        for name, sub in subgroups.items():
            if any(known.name == name for known in self.subgroups):
                raise Wrong(f"two subgroups are called {name}", ("subgroups",))
            keys = _pod_keys(sub, outer)
            place = len(self.subgroups)
            deeper = "subgroups" in sub
            if deeper:
                if "pods" in sub:
                    raise Wrong(f"subgroup {name} has pods or deeper subgroups, not both", ("subgroups",))
                self._tree(sub["subgroups"], keys, name)
            count = len(sub["subgroups"]) if deeper else self._pods(sub, keys, name)
            spec = self._subgroup(name, parent, (sub.get("min", count), not deeper), sub.get("topology"))
            self.subgroups.insert(place, spec)

    def _subgroup(self, name: str, parent: str, size: tuple[int, bool], written: Map | None) -> SubGroupSpec:
        if written is None:
            return SubGroupSpec(name, parent, *size)
        wants = (written.get("name", self.topology), written.get("required", ""), written.get("preferred", ""))
        return SubGroupSpec(name, parent, *size, *wants)

    def _pods(self, holder: Map, keys: Map, subgroup: str) -> int:
        pods = holder.get("pods", 1)
        if isinstance(pods, int):
            if pods:
                self.members.append(self._member(keys, subgroup, "", pods))
            return pods
        for pod in pods:
            name, count = pod.get("name", ""), pod.get("count", 1)
            own = _pod_keys(pod, keys)
            for part in expand(name):
                self.members.append(self._member(own, subgroup, part, count))
        return sum(member.count for member in self.members if member.subgroup == subgroup)

    def _member(self, keys: Map, subgroup: str, name: str, count: int) -> "_Member":
        varies = any(has_range(text) for key in _ONE_PER_GANG if key in keys for text in _texts(keys[key]))
        return _Member(keys, subgroup, name, count, None if varies else ask_of(keys, self.selected))

    def _one_gangs_pods(self, gang: str) -> Iterator[PodSpec]:
        index = 0
        asks: dict[int, tuple[Ask, str]] = {}
        for member in self.members:
            ask, nominated = self._ask(member, asks)
            for _ in range(member.count):
                state, node = self._place(member.keys)
                devices = self._devices(member.keys, ask, node)
                name = member.name or f"{gang}-{index}"
                yield PodSpec(name, member.subgroup, ask, state, node, devices, nominated)
                index += 1

    def _ask(self, member: _Member, seen: dict[int, tuple[Ask, str]]) -> tuple[Ask, str]:
        """The request of a member in this gang; names of one written value are handed out once a gang."""
        if member.ask is not None:
            return member.ask, member.keys.get("nominated", "")
        known = seen.get(id(member.keys))
        if known is None:
            keys: Map = {**member.keys, **{k: self._dealt(member.keys[k]) for k in _ONE_PER_GANG if k in member.keys}}
            known = seen[id(member.keys)] = (ask_of(keys, self.selected), keys.get("nominated", ""))
        return known

    def _dealt(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._dealt(text) for key, text in value.items()}
        if isinstance(value, list):
            return [self._dealt(text) for text in value]
        if not has_range(value):
            return value
        return next(self.dealers.setdefault(value, dealt(value)))

    def _place(self, keys: Map) -> tuple[str, str]:
        state = keys.get("state", self.default_state)
        node = next(keys["node"]) if "node" in keys else ""
        if state in _PLACED and not node:
            raise Wrong(f"a {state} pod needs a node: write `node: NAME`")
        return state, "" if state in ("pending", "gated") else node

    def _devices(self, keys: Map, ask: Ask, node: str) -> tuple[str, ...]:
        if "device" not in keys or not node:
            return ()
        return tuple(islice(keys["device"], max(1, ask.klass.gpu.devices)))


def _pod_keys(holder: Map, outer: Map) -> Map:
    """The pod keys that hold inside `holder`; names of `node` and `device` are handed out from where they are written."""
    own = {key: holder[key] for key in holder if key in POD_KEYS}
    if "node" in own:
        own["node"] = dealt(own["node"])
    if "device" in own:
        written = own["device"]
        own["device"] = dealt([str(one) for one in (written if isinstance(written, list) else [written])])
    if not own:
        return outer
    kept = outer
    if ("gpu" in own) != ("gpu_memory" in own):
        kept = {key: value for key, value in outer.items() if key not in ("gpu", "gpu_memory")}
    return {**kept, **own}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value.values()
    else:
        yield from value


def _or_never(text: str) -> float | None:
    return None if text == "never" else amounts.seconds(text)
