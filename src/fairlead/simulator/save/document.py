"""A snapshot as a scenario file: what the scheduler read at one moment, to be looked at, played and changed anywhere. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from fairlead.model import Pod, PodGroup, Snapshot, SubGroup
from fairlead.simulator.life import HAS_PLACE, WORD
from fairlead.simulator.save.asks import keys_of
from fairlead.simulator.save.cluster import duration, labels_that_matter, lost_of, node_map, paths_of, queue_map
from fairlead.simulator.scenario.keys import PRIORITIES

Map = dict[str, Any]

_BY_NUMBER: Final = {number: name for name, number in PRIORITIES.items()}


class Written(Struct, frozen=True, kw_only=True):
    """`document`: the file's content; `left_out`: what the format has no word for, a sentence each."""

    document: Map
    left_out: tuple[str, ...]


def written(snapshot: Snapshot, now: float, title: str) -> Written:
    """The file of a snapshot. `now`: the time it was read at, in seconds since the epoch."""
    return _Writer(snapshot, now).whole(title)


class _Writer:
    def __init__(self, snapshot: Snapshot, now: float) -> None:
        self._snapshot, self._now = snapshot, now
        self._left_out: Counter[str] = Counter()
        self._queues = paths_of(snapshot.queues)
        self._devices = {gpu.id: f"d{at}" for at, gpu in enumerate(snapshot.shared_gpus)}
        self._pods: dict[str, list[Pod]] = {}
        for pod in snapshot.pods:
            self._pods.setdefault(pod.group, []).append(pod)
        names = Counter(pod.name for pod in snapshot.pods)
        self._twice = {name for name, times in names.items() if times > 1}
        self._gangs = self._named(snapshot.groups)
        self._tainted = frozenset(key for node in snapshot.nodes for key, _, _ in node.taints)

    def whole(self, title: str) -> Written:
        snapshot = self._snapshot
        topologies: dict[str, list[str]] = {}
        for name, label in snapshot.levels:
            topologies.setdefault(name, []).append(label)
        running, pending = self._lines()
        queues = {
            self._queues[q.name]: queue_map(q) for q in sorted(snapshot.queues, key=lambda q: (q.created, q.name))
        }
        named = [
            *(group.queue for group in snapshot.groups),
            *(c.queue for p in snapshot.pods for c in p.claims if c.queue),
        ]
        gone = {self._path(name): "missing" for name in named if name not in self._queues}
        selected = labels_that_matter(snapshot)
        nodes = {str(node.name): node_map(node, selected) for node in snapshot.nodes}
        self._left_out.update(text for node in snapshot.nodes for text in lost_of(node))
        left = {str(name): "missing" for pod in snapshot.pods for name in (pod.node, pod.nominated) if name}
        document = {
            "title": title,
            "nodes": {**left, **nodes},
            "topologies": topologies,
            "queues": {**queues, **gone},
            "claims": self._claims(),
            "running": running,
            "pending": pending,
        }
        told = tuple(f"{text} ({times} times)" if times > 1 else text for text, times in self._left_out.items())
        kept = {key: value for key, value in document.items() if value or key in ("nodes", "queues")}
        return Written(document=kept, left_out=told)

    def _named(self, groups: Sequence[PodGroup]) -> dict[str, str]:
        """A name for each group by its uid, that neither another nor a pod has: what its pods' names begin with, where they do."""
        wanted = {group.uid: _base(group, self._pods.get(group.uid, [])) for group in groups}
        times = Counter(wanted.values())
        taken = {pod.name for pod in self._snapshot.pods}
        found: dict[str, str] = {}
        for group in groups:
            name = wanted[group.uid]
            clear = times[name] == 1 and name not in taken
            found[group.uid] = name if clear else f"{group.namespace}.{name}" if times[name] > 1 else f"{name}.gang"
        return found

    def _lines(self) -> tuple[list[Map], list[Map]]:
        """Gangs that have a place, or had, and gangs that wait."""
        running, pending, ages = list[Map](), list[Map](), self._ages()
        for group in self._snapshot.groups:
            pods = self._pods.get(group.uid, [])
            waits = all(_state(pod) in ("pending", "gated") for pod in pods)
            line = self._gang(group, pods, ages[group.uid], "pending" if waits else "running")
            (pending if waits else running).append(line)
        return running, pending

    def _ages(self) -> dict[str, int]:
        """By the group's uid, in milliseconds; each is older than the next, as two of one second are told apart by their order."""
        found, younger = dict[str, int](), -1
        for group in reversed(self._snapshot.groups):
            younger = found[group.uid] = max(round((self._now - group.created) * 1000), younger + 1)
        return found

    def _gang(self, group: PodGroup, pods: Sequence[Pod], age: int, section: str) -> Map:
        self._note(group)
        started = None if group.started is None else max(round((self._now - group.started) * 1000), 0)
        line: Map = {"gang": self._gangs[group.uid], "queue": self._path(group.queue)}
        if group.namespace not in ("", "default"):
            line["namespace"] = group.namespace
        line["priority"] = _BY_NUMBER.get(group.priority, group.priority)
        if group.preemptible != (group.priority < PRIORITIES["build"]):
            line["preemptible"] = group.preemptible
        line["age"] = duration(age)
        line["running_for"] = "never" if started is None else duration(started)
        if group.stale_since is not None:
            line["stale_for"] = duration(max(round((self._now - group.stale_since) * 1000), 0))
        if any(_state(pod) == "releasing" for pod in pods):
            line["after_release"] = "gone"
        if group.topology:
            line["topology"] = _topology(group.topology, group.required_level, group.preferred_level)
        return line | self._members(group, pods, section)

    def _members(self, group: PodGroup, pods: Sequence[Pod], section: str) -> Map:
        """The pods, below the subgroups that the group has."""
        by_leaf: dict[str, list[Pod]] = {}
        for pod in pods:
            by_leaf.setdefault(pod.subgroup, []).append(pod)
        index = iter(range(len(pods)))
        gang, in_order = self._gangs[group.uid], _is_in_order(pods)
        children: dict[str, list[SubGroup]] = {}
        for sub in group.subgroups:
            children.setdefault(sub.parent, []).append(sub)

        def of_leaf(sub: SubGroup) -> Map:
            mine = by_leaf.get(sub.name, [])
            entries = [self._pod(pod, f"{gang}-{next(index)}", section, in_order=in_order) for pod in mine]
            return {"min": sub.min_member, **_gathered(entries)}

        def of(sub: SubGroup) -> Map:
            below = children.get(sub.name, [])
            inner = (
                {"min": sub.min_member, "subgroups": {each.name: of(each) for each in below}} if below else of_leaf(sub)
            )
            wants = _topology(sub.topology, sub.required_level, sub.preferred_level) if sub.topology else None
            return {**({"topology": wants} if wants else {}), **inner}

        if len(group.subgroups) == 1 and not group.subgroups[0].name:
            return of_leaf(group.subgroups[0])
        return {"subgroups": {each.name: of(each) for each in children.get("", [])}}

    def _pod(self, pod: Pod, usual: str, section: str, *, in_order: bool) -> Map:
        keys, lost = keys_of(pod.klass, self._tainted)
        self._left_out.update(lost)
        name = f"{pod.namespace}.{pod.name}" if pod.name in self._twice else pod.name
        found: Map = {} if name == usual else {"name": name}
        found |= keys
        if claims := [claim.name for claim in pod.claims if claim.shared]:
            found["claims"] = claims
        if pod.task_priority is not None and not in_order:
            found["task_priority"] = pod.task_priority
        state = _state(pod)
        if state != section:
            found["state"] = state
        if pod.node and state not in ("pending", "gated"):
            found["node"] = str(pod.node)
        if devices := [self._devices[each] for each in pod.shared if each in self._devices]:
            found["device"] = devices[0] if len(devices) == 1 else devices
        if pod.nominated:
            found["nominated"] = str(pod.nominated)
        return found

    def _claims(self) -> Map:
        """Claims that pods name, once each."""
        found: Map = {}
        for pod in self._snapshot.pods:
            for claim in pod.claims:
                if not claim.shared or claim.name in found:
                    continue
                value: Map = {
                    "class": claim.device_class,
                    "count": claim.count,
                    "namespace": pod.namespace or "default",
                }
                value |= {"queue": self._path(claim.queue)} if claim.queue else {}
                value |= {"other_users": claim.shared_with} if claim.shared_with else {}
                if claim.node and claim.devices:
                    value |= {"node": str(claim.node), "devices": list(claim.devices)}
                found[claim.name] = value
        return found

    def _path(self, queue: str) -> str:
        """The whole path; of one that is not there its name, which has no parent."""
        return self._queues.get(queue, queue.replace("/", "."))

    def _note(self, group: PodGroup) -> None:
        """What a group remembers that a file cannot say."""
        told = {
            "a gang that may not be moved": not group.movable,
            "a gang that waits after binds that failed": bool(group.failed_binds),
            "a gang that was set aside": group.set_aside,
            "a gang that cannot be decided on": group.is_undecidable,
            "whom a promised place was taken from": group.hold is not None and bool(group.hold.victims),
        }
        self._left_out.update(text for text, is_so in told.items() if is_so)


def _state(pod: Pod) -> str:
    return "pending" if pod.status in HAS_PLACE and not pod.node else WORD[pod.status]


def _base(group: PodGroup, pods: Sequence[Pod]) -> str:
    """What the pods' names begin with, where they are numbered as in a file; else the group's own name."""
    base = pods[0].name.removesuffix("-0") if pods else group.name
    numbered = [f"{base}-{number}" for number in range(len(pods))]
    return base if [pod.name for pod in pods] == numbered else group.name


def _is_in_order(pods: Sequence[Pod]) -> bool:
    """Whether the pods stand as their priorities have them, so that these say nothing more."""
    priorities = [pod.task_priority for pod in pods if pod.task_priority is not None]
    return len(priorities) == len(pods) and priorities == sorted(priorities, reverse=True)


def _topology(name: str, required: str, preferred: str) -> Map:
    wants = {"required": required, "preferred": preferred}
    return {"name": name, **{key: value for key, value in wants.items() if value}}


def _gathered(entries: list[Map]) -> Map:
    """Pods as short as the format allows: what all say stands on the gang, and equal ones are counted."""
    common = {key: value for key, value in (entries[0] if entries else {}).items() if key != "name"}
    common = {key: value for key, value in common.items() if all(each.get(key, _NOTHING) == value for each in entries)}
    rest = [{key: value for key, value in each.items() if key not in common} for each in entries]
    if not any(rest):
        return {**common, "pods": len(entries)}
    counted: list[Map] = []
    for each in rest:
        if counted and "name" not in each and {**each, "count": 0} == {**counted[-1], "count": 0}:
            counted[-1]["count"] = counted[-1].get("count", 1) + 1
        else:
            counted.append(dict(each))
    return {**common, "pods": counted}


_NOTHING: Final = object()
