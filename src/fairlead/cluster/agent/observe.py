"""The agent's caches, and which rows changed since the last look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fairlead.cluster.agent import rows
from fairlead.cluster.agent.foreign import foreign_row, is_foreign
from fairlead.cluster.agent.health import CONFIG_NAME, health_of
from fairlead.kube.cache import Cache, Key
from fairlead.kube.client import Client
from fairlead.objects import builtin, fields, kai, kinds
from fairlead.objects import organisation as org
from fairlead.objects import pod as objects
from fairlead.objects.meta import Object, is_owned_by
from fairlead.objects.workload import DistributedTraining, Training, Workload, Workspace
from fairlead.wire.agent import AnyRow, ClusterHealth, Gone, Observed
from fairlead.workloads.makers import maker_of

Mark = tuple[str, Key]
"""(what, key): "node", "queue", "work:KIND", or "made:KIND" for work that others made."""


class Observer:
    """Rows by key, kept up to date from the caches."""

    def __init__(self, client: Client) -> None:
        self.nodes: Cache[builtin.Node] = Cache(client, kinds.NODE)
        self.reports: Cache[org.NodeReport] = Cache(client, kinds.NODE_REPORT)
        self.pools: Cache[org.NodePool] = Cache(client, kinds.NODE_POOL)
        self.queues: Cache[kai.Queue] = Cache(client, kinds.QUEUE)
        self.pods: Cache[objects.Pod] = Cache(client, kinds.POD)
        """All of them: a node is as full as what anybody runs on it makes it."""
        self.workspaces: Cache[Workspace] = Cache(client, kinds.WORKSPACE)
        self.trainings: Cache[Training] = Cache(client, kinds.TRAINING)
        self.distributed: Cache[DistributedTraining] = Cache(client, kinds.DISTRIBUTED_TRAINING)
        self.configs: Cache[org.ClusterConfig] = Cache(client, kinds.CLUSTER_CONFIG)
        self.changed = asyncio.Event()
        self._marks: set[Mark] = set()
        self._pods_of: dict[tuple[str, str, str], set[Key]] = {}
        self._pods_on: dict[str, set[Key]] = {}
        self._rows: dict[tuple[str, str], AnyRow] = {}
        self._made_of: dict[Mark, set[tuple[str, str]]] = {}
        self._health = ClusterHealth()
        self._simulated: set[str] = set()
        """Nodes whose GPUs do not exist."""
        self._listen()

    def caches(self) -> tuple[Cache[objects.Pod], ...]:
        """All of them."""
        return (  # type: ignore[return-value]  # run and waited for only
            self.nodes,
            self.reports,
            self.pools,
            self.queues,
            self.pods,
            self.workspaces,
            self.trainings,
            self.distributed,
            self.configs,
        )

    def everything(self, seq: int) -> Observed:
        """All rows there are."""
        self.delta(seq)
        return Observed(seq=seq, rows=tuple(self._rows.values()), full=True, health=self._health)

    def delta(self, seq: int) -> Observed:
        """Rows that changed, and those that are gone, since the last call."""
        self.changed.clear()
        marks, self._marks = self._marks, set()
        changed: dict[tuple[str, str], AnyRow] = {}
        gone: list[Gone] = []
        for mark in sorted(marks):
            made = {(type(r).__name__, r.key): r for r in self._rows_of(mark)}
            for name in self._made_of.get(mark, set()) - set(made):
                if self._rows.pop(name, None) is not None:
                    gone.append(Gone(row=name[0], key=name[1]))
            self._made_of[mark] = set(made)
            for name, row in made.items():
                if self._rows.get(name) != row:
                    self._rows[name] = changed[name] = row
        return Observed(seq=seq, rows=tuple(changed.values()), gone=tuple(gone), health=self._new_health())

    def _new_health(self) -> ClusterHealth | None:
        """How the cluster stands, where that is other than it was."""
        found = health_of(self.configs.get(CONFIG_NAME))
        if found == self._health:
            return None
        self._health = found
        return found

    def _rows_of(self, mark: Mark) -> list[AnyRow]:
        what, key = mark
        if what == "node":
            node = self.nodes.get(key.name)
            return [] if node is None else [self._node_row(node)]
        if what == "queue":
            queue = self.queues.get(key.name)
            return [] if queue is None else [rows.queue_row(queue, simulated=bool(self._simulated))]
        return self._work_rows(mark)

    def _work_rows(self, mark: Mark) -> list[AnyRow]:
        what, key = mark
        workload = self._workload(what, key)
        pods = self._pods(mark, workload)
        places = {p.spec.node_name for p in pods if p.spec.node_name}
        simulated = bool(places & self._simulated if places else self._simulated)
        sizes = {place: rows.device_mib(self.nodes.get(place)) for place in places}
        reports = {place: self.reports.get(place) for place in places}
        if workload is not None:
            row = rows.workload_row(workload, pods, simulated=simulated, sizes=sizes)
        elif what.startswith("made:") and pods:
            row = foreign_row(maker_of(pods[0]), pods, simulated=simulated, sizes=sizes)
        else:
            return []
        listed = [rows.pod_row(p, row.id, sizes.get(p.spec.node_name, 0), reports.get(p.spec.node_name)) for p in pods]
        return [row, *listed]

    def _node_row(self, node: builtin.Node) -> AnyRow:
        keys = sorted(self._pods_on.get(node.metadata.name, ()))
        pods = [p for p in (self.pods.get(k.name, k.namespace) for k in keys) if p is not None]
        names = {p.metadata.uid: maker_of(p).uid if _owner(p)[0] else "" for p in pods}
        return rows.node_row(node, self.reports.get(node.metadata.name), pods, names, self._pool(node))

    def _pool(self, node: builtin.Node) -> str:
        for pool in self.pools.values():
            key = pool.spec.label_key
            if key and node.metadata.labels.get(key) == pool.spec.label_value:
                return pool.metadata.name
        return rows.DEFAULT_POOL

    def _workload(self, what: str, key: Key) -> Workload | None:
        cache = dict(self._works()).get(what)
        found: Workload | None = None if cache is None else cache.get(key.name, key.namespace)
        return found

    def _pods(self, mark: Mark, workload: Workload | None) -> list[objects.Pod]:
        """Of work that others made, those of the newest that bears the name."""
        what, key = mark
        keys = sorted(self._pods_of.get((what, key.namespace, key.name), ()))
        found = [p for p in (self.pods.get(k.name, k.namespace) for k in keys) if p is not None]
        if workload is not None:
            return [p for p in found if is_owned_by(p.metadata, workload.metadata.uid)]
        newest = max(found, key=lambda p: (p.metadata.creation_timestamp or "", p.metadata.name), default=None)
        return [p for p in found if newest is not None and maker_of(p).uid == maker_of(newest).uid]

    def _listen(self) -> None:
        for what, cache in self._works():
            cache.on_change(self._marker(what))
        self.nodes.on_change(self._node_changed)
        self.reports.on_change(self._report_changed)
        self.queues.on_change(self._marker("queue"))
        self.pools.on_change(lambda _k, _b, _a: self._mark_nodes())
        self.pods.on_change(self._pod_changed)
        self.configs.on_change(lambda _k, _b, _a: self.changed.set())

    def _marker(self, what: str) -> Callable[[Key, Object | None, Object | None], None]:
        def changed(key: Key, _before: Object | None, _after: Object | None) -> None:
            self._mark(what, key)

        return changed

    def _works(self) -> tuple[tuple[str, Cache[Any]], ...]:
        return (
            ("work:Workspace", self.workspaces),
            ("work:Training", self.trainings),
            ("work:DistributedTraining", self.distributed),
        )

    def _node_changed(self, key: Key, before: builtin.Node | None, after: builtin.Node | None) -> None:
        """Queues and waiting work say, too, whether the GPUs of the cluster are simulated."""
        self._mark("node", key)
        known = bool(self._simulated)
        self._simulated.discard(key.name)
        if after is not None and after.metadata.labels.get(fields.SIMULATED) == "true":
            self._simulated.add(key.name)
        if bool(self._simulated) != known:
            for what, cache in (*self._works(), ("queue", self.queues)):
                for name in cache.items():
                    self._mark(what, name)

    def _report_changed(self, key: Key, _before: org.NodeReport | None, _after: org.NodeReport | None) -> None:
        """The node, and whoever has a device there."""
        self._mark("node", key)
        for pod in (self.pods.get(k.name, k.namespace) for k in self._pods_on.get(key.name, ())):
            if pod is not None and _owner(pod)[0]:
                what, name = _owner(pod)
                self._mark(what, Key(pod.metadata.namespace, name))

    def _mark_nodes(self) -> None:
        for key in self.nodes.items():
            self._mark("node", key)

    def _mark(self, what: str, key: Key) -> None:
        self._marks.add((what, key))
        self.changed.set()

    def _pod_changed(self, key: Key, before: objects.Pod | None, after: objects.Pod | None) -> None:
        for pod in filter(None, (before, after)):
            what, name = _owner(pod)
            self._pods_of.setdefault((what, key.namespace, name), set()).discard(key)
            self._pods_on.setdefault(pod.spec.node_name, set()).discard(key)
            if what:
                self._mark(what, Key(key.namespace, name))
            if pod.spec.node_name:
                self._mark("node", Key("", pod.spec.node_name))
        if after is not None:
            what, name = _owner(after)
            if what:
                self._pods_of.setdefault((what, key.namespace, name), set()).add(key)
            self._pods_on.setdefault(after.spec.node_name, set()).add(key)


def _owner(pod: objects.Pod) -> tuple[str, str]:
    """What it is of, as a mark says it, and the name; empty where Fairlead does not place it."""
    if fields.WORKLOAD_KIND not in pod.metadata.labels and not is_foreign(pod):
        return "", ""
    maker = maker_of(pod)
    return f"{'work' if maker.is_ours else 'made'}:{maker.kind}", maker.name
