"""The scheduler's caches, and the snapshot of each node pool made from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec

from fairlead.cluster.scheduler import company, observe
from fairlead.cluster.scheduler.assumed import Assumed, Seen
from fairlead.cluster.scheduler.budgets import kept
from fairlead.cluster.scheduler.claims import NOTHING, Claims
from fairlead.cluster.scheduler.groups import NO_REFUSAL, Refusal, Retry, held, in_its_project, of_its_pods, with_life
from fairlead.cluster.scheduler.learned import Learned
from fairlead.cluster.scheduler.requests import Requests
from fairlead.cluster.scheduler.unsupported import unsupported
from fairlead.kube.cache import Cache, Key
from fairlead.kube.client import Client
from fairlead.model import (
    GpuGroup,
    Pod,
    PodGroup,
    PodStatus,
    QueueName,
    SharedGpu,
    Snapshot,
    TaskClass,
    build_snapshot,
    leaf_subgroups,
)
from fairlead.objects import builtin, fields, kai, kinds
from fairlead.objects import organisation as org
from fairlead.objects import pod as objects
from fairlead.workloads.claims import claims_of
from fairlead.workloads.shares import holder_of, is_told

_Said = objects.Pod | kai.Queue | kai.PodGroup


class WorldOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Whose pods are ours, and how shared devices are held."""

    scheduler_names: tuple[str, ...] = ("fairlead",)
    has_binder: bool = False
    """A binder reserves shared devices and sees to volumes; else the nodes do."""
    reservation_namespaces: tuple[str, ...] = ()
    """Where reservation pods are, those of KAI Scheduler included."""


class World:
    """Everything the scheduler reads, kept as values ready for a snapshot."""

    def __init__(self, client: Client, options: WorldOptions, changed: Callable[[], None]) -> None:
        self.nodes: Cache[builtin.Node] = Cache(client, kinds.NODE)
        self.pods: Cache[objects.Pod] = Cache(client, kinds.POD)
        self.queues: Cache[kai.Queue] = Cache(client, kinds.QUEUE)
        self.groups: Cache[kai.PodGroup] = Cache(client, kinds.POD_GROUP)
        self.pools: Cache[org.NodePool] = Cache(client, kinds.NODE_POOL)
        self.topologies: Cache[kai.Topology] = Cache(client, kinds.TOPOLOGY)
        self.namespaces: Cache[builtin.Namespace] = Cache(client, kinds.NAMESPACE)
        self.requests = Requests(client)
        self.claims = Claims(client, self._claims_changed)
        self.budgets: Cache[builtin.PodDisruptionBudget] = Cache(client, kinds.DISRUPTION_BUDGET)
        self.assumed = Assumed()
        self._learned = Learned()
        self._names = frozenset(options.scheduler_names)
        self._options = options
        self._classes = observe.Classes()
        self._class_of: dict[Key, TaskClass] = {}
        self._claiming: set[Key] = set()
        """Pods with volume claims."""
        self._selects: dict[Key, frozenset[str]] = {}
        self._selected: frozenset[str] = frozenset()
        self._unsupported: dict[Key, str] = {}
        self._untold: set[Key] = set()
        """Pods that would not see the devices they share."""
        self._foreign: dict[Key, objects.Pod] = {}
        self._below: dict[str, float] = {}
        self._now = 0.0
        self._changed = changed
        self.pods.on_change(self._pod_changed)
        self.queues.on_change(self._said_changed)
        self.groups.on_change(self._said_changed)
        for cache in self.caches():
            if cache not in (self.pods, self.queues, self.groups):
                cache.on_change(lambda _key, _before, _after: changed())

    def waiting_for_volumes(self) -> frozenset[str]:
        """UIDs of pods whose volumes are bound only once they have a node."""
        claiming = (self.pods.items()[key] for key in self._claiming)
        return frozenset(pod.metadata.uid for pod in claiming if self.claims.of(pod).waits)

    def caches(self) -> tuple[Cache[objects.Pod], ...]:
        """All of them."""
        about = (
            self.pools,
            self.topologies,
            self.namespaces,
            self.budgets,
            *(self.claims.caches() if self._options.has_binder else ()),
        )
        found = (self.nodes, self.pods, self.queues, self.groups, self.requests.cache, *about)
        return found  # type: ignore[return-value]  # run only

    def pool_names(self) -> tuple[str, ...]:
        """The default pool and all named ones."""
        return tuple(sorted({observe.DEFAULT_POOL, *(p.metadata.name for p in self.pools)}))

    def is_ours(self, pod: objects.Pod) -> bool:
        """Whether this scheduler is named by the pod."""
        return pod.spec.scheduler_name in self._names

    def pod_by_uid(self) -> dict[str, objects.Pod]:
        """Our pods that have not ended, by UID."""
        return {p.metadata.uid: p for p in self.pods if self.is_ours(p)}

    def catch_up(self, now: float) -> None:
        """Forgets what the caches show by now of what we did, and notes which gangs are below their minimum.

        `now` in seconds since the epoch.
        """
        self._now = now
        self._note_broken()
        if self.assumed.is_empty:
            return
        seen = {g.metadata.uid: Seen(hold=observe.hold_of(g.metadata)) for g in self.groups}
        for pod in self.pods:
            ending = pod.metadata.deletion_timestamp is not None or objects.has_ended(pod)
            seen[pod.metadata.uid] = Seen(
                is_placed=bool(pod.spec.node_name) or objects.has_ended(pod) or self.requests.of(pod) is not None,
                is_ending=ending,
                hold=observe.hold_of(pod.metadata),
            )
        self.assumed.forget(seen, now)

    def _note_broken(self) -> None:
        """Since when each gang has some of its pods placed but fewer than it needs; one of which a pod is done may be."""
        placed: Counter[tuple[str, str]] = Counter()
        done: set[tuple[str, str]] = set()
        for pod in self.pods:
            name = pod.metadata.annotations.get(fields.POD_GROUP)
            key = (pod.metadata.namespace, name or "")
            if not name or not self.is_ours(pod):
                continue
            if pod.status.phase == "Succeeded":
                done.add(key)
            elif pod.spec.node_name and not pod.metadata.deletion_timestamp and pod.status.phase != "Failed":
                placed[key] += 1
        below = {}
        for group in self.groups:
            key = (group.metadata.namespace, group.metadata.name)
            least = sum(s.min_member for s in leaf_subgroups(observe.group_of(group)))
            if key not in done and 0 < placed[key] < least:
                below[group.metadata.uid] = self._below.get(group.metadata.uid, self._now)
        self._below = below

    def failed_requests(self) -> list[tuple[kai.BindRequest, str]]:
        """Requests that the binder could not do, each with the UID of the group of its pod; empty for a pod that is gone."""
        found = []
        for request in self.requests.failed():
            pod = self.pods.get(request.spec.pod_name, request.metadata.namespace)
            found.append((request, self._group_uid(pod) if pod and kai.is_for(request, pod) else ""))
        return found

    def _group_uid(self, pod: objects.Pod) -> str:
        named = pod.metadata.annotations.get(fields.POD_GROUP)
        group = self.groups.get(named, pod.metadata.namespace) if named else None
        return group.metadata.uid if group else pod.metadata.uid

    def present(self) -> frozenset[str]:
        """UIDs of all groups there are: pod groups, and pods, which may be groups of their own."""
        return frozenset(o.metadata.uid for o in (*self.groups, *self.pods))

    def snapshot(self, pool: str, retries: dict[str, Retry], aside: frozenset[str]) -> Snapshot:
        """The pool as it is, with what we did and the caches do not show yet.

        `retries`: groups whose binds failed; `aside`: groups a bug was met with.
        """
        nodes = self._pool_nodes(pool)
        groups, pods = self._work(pool, {n.metadata.name for n in nodes})
        pods = [self.assumed.pod(p) for p in pods]
        held = [self._dated(with_life(self.assumed.group(g), retries, aside)) for g in groups]
        shared = {(g, p.node) for p in pods if p.node for g in p.shared}
        use = observe.foreign_use(self._foreign.values(), self._held_for({g for g, _ in shared}))
        return build_snapshot(
            pool=pool,
            nodes=[observe.node_of(n, use.get(n.metadata.name, {})) for n in nodes],
            queues=[observe.queue_spec(q) for q in self.queues if observe.pool_of(q.metadata) == pool],
            groups=held,
            pods=pods,
            shared_gpus=[SharedGpu(id=group, node=node) for group, node in sorted(shared)],
            levels=observe.levels_of(self.topologies.values()),
            demand=self._learned.demand(pool),
        )

    def _held_for(self, groups: set[GpuGroup]) -> Callable[[objects.Pod], bool]:
        """Says of a pod whether it holds the device of one of these groups, whose members are charged for it."""
        where = self._options.reservation_namespaces
        return lambda pod: pod.metadata.namespace in where and pod.metadata.labels.get(fields.GPU_GROUP, "") in groups

    def _dated(self, group: PodGroup) -> PodGroup:
        since = self._below.get(group.uid)
        if since is None or group.stale_since is not None:
            return group
        return msgspec.structs.replace(group, stale_since=since)

    def _pool_nodes(self, pool: str) -> list[builtin.Node]:
        return [n for n in self.nodes if self.pool_of_node(n) == pool]

    def pool_of_node(self, node: builtin.Node) -> str:
        """The named pool whose label the node carries, else the default pool."""
        for pool in self.pools.values():
            key = pool.spec.label_key
            if key and node.metadata.labels.get(key) == pool.spec.label_value:
                return pool.metadata.name
        return observe.DEFAULT_POOL

    def _work(self, pool: str, nodes: set[str]) -> tuple[list[PodGroup], list[Pod]]:
        gangs = {(g.metadata.namespace, g.metadata.name): observe.group_of(g) for g in self.groups}
        groups: dict[str, PodGroup] = {}
        pods: list[Pod] = []
        begun: dict[str, float] = {}
        refused: dict[str, Refusal] = {}
        placed: dict[str, list[objects.Pod]] = {}
        self._note_selected()
        for key, pod in self.pods.items().items():
            if not self.is_ours(pod) or not _belongs(pod, pool, nodes) or observe.awaits_grouping(pod):
                continue
            status = observe.status_of(pod)
            if status is None:
                continue
            named = pod.metadata.annotations.get(fields.POD_GROUP)
            gang = gangs.get((pod.metadata.namespace, named)) if named else None
            if named and gang is None and not pod.spec.node_name:
                continue  # its group is on its way; a placed pod takes room whether its group is still there or not
            group = gang or observe.lone_group(pod)
            groups.setdefault(group.uid, group)
            value = observe.pod_value(pod, group.uid, self._class(key, pod), status)
            pods.append(self.requests.placed(pod, value, self.nodes) if status is PodStatus.PENDING else value)
            if pod.spec.node_name and len(self.budgets):
                placed.setdefault(group.uid, []).append(pod)
            if status <= PodStatus.PENDING and (why := self._refusal(key, pod)) != NO_REFUSAL:
                refused[group.uid] = why
            if (since := observe.started_of(pod)) is not None:
                begun[group.uid] = min(since, begun.get(group.uid, since))
        projects = self._projects(pool)
        stay = kept(self.budgets, placed)
        listed = [
            of_its_pods(g, begun.get(g.uid), refused.get(g.uid, NO_REFUSAL), g.uid in stay) for g in groups.values()
        ]
        return [in_its_project(g, projects) for g in listed], held(pods, groups, self.assumed)

    def _refusal(self, key: Key, pod: objects.Pod) -> Refusal:
        """What keeps the pod from being decided on."""
        if key not in self._unsupported and key not in self._untold and key not in self._claiming:
            return NO_REFUSAL
        lacks = self.claims.of(pod).refused if key in self._claiming else ""
        return Refusal(unsupported=self._unsupported.get(key, ""), lacks=lacks, untold=key in self._untold)

    def _projects(self, pool: str) -> dict[str, tuple[frozenset[str], QueueName]]:
        """Namespace of a project -> all queues of the project, and the one it has in this pool. Labels of pods are not believed over it."""
        queues: dict[str, set[str]] = {}
        here: dict[str, str] = {}
        for queue in self.queues:
            project = queue.metadata.labels.get(fields.PROJECT, "")
            queues.setdefault(project, set()).add(queue.metadata.name)
            if observe.pool_of(queue.metadata) == pool:
                here[project] = queue.metadata.name
        owned = ((n.metadata.name, n.metadata.labels.get(fields.PROJECT)) for n in self.namespaces)
        return {
            name: (frozenset(queues.get(project, ())), QueueName(here.get(project, project)))
            for name, project in owned
            if project
        }

    def _note_selected(self) -> None:
        """Which labels some pod's affinity looks at; where they change, every class is read again."""
        selected = frozenset().union(*self._selects.values())
        if selected != self._selected:
            self._selected = selected
            self._class_of.clear()

    def _class(self, key: Key, pod: objects.Pod) -> TaskClass:
        found = self._class_of.get(key)
        if found is None:
            wanted = self.claims.of(pod) if key in self._claiming else NOTHING
            company = key not in self._unsupported
            found = self._class_of[key] = self._classes.of(pod, self._selected, wanted, with_company=company)
        return found

    def _pod_changed(self, key: Key, before: objects.Pod | None, after: objects.Pod | None) -> None:
        self._class_of.pop(key, None)
        self._foreign.pop(key, None)
        self._read(key, after)
        if before is None and after is not None and self.is_ours(after):
            where, when = observe.pool_of(after.metadata), observe.created_of(after.metadata)
            self._learned.saw(where, self._class(key, after), when)
        if after is not None and after.spec.node_name and not self.is_ours(after) and not objects.has_ended(after):
            self._foreign[key] = after
        if before is None or after is None or _matters(before, after):
            self._changed()

    def _said_changed(self, _key: Key, before: _Said | None, after: _Said | None) -> None:
        """Of queues and groups only what people say of them counts: their statuses we write ourselves, after each decision."""
        if before is None or after is None or _says_otherwise(before, after):
            self._changed()

    def _claims_changed(self) -> None:
        """Where pods with claims may go is read again."""
        for key in self._claiming:
            self._class_of.pop(key, None)
        self._changed()

    def _read(self, key: Key, pod: objects.Pod | None) -> None:
        """Notes what is rare in a pod, so that no cycle looks for it."""
        self._claiming.discard(key)
        self._untold.discard(key)
        for notes in (self._selects, self._unsupported):
            notes.pop(key, None)
        if pod is None or not self.is_ours(pod) or objects.has_ended(pod):
            return
        if self._options.has_binder and any(claims_of(pod)):
            self._claiming.add(key)
        if self._options.has_binder and holder_of(pod) and not is_told(pod):
            self._untold.add(key)
        if why := unsupported(pod):
            self._unsupported[key] = why
        elif keys := company.keys_of(pod.spec):
            self._selects[key] = keys


def _matters(before: objects.Pod, after: objects.Pod) -> bool:
    """Whether a change may change a decision; our own condition patches do not."""
    return before.status.phase != after.status.phase or _says_otherwise(before, after)


def _says_otherwise(before: _Said, after: _Said) -> bool:
    """Whether more than the status changed."""
    return (
        before.metadata.uid != after.metadata.uid
        or before.spec != after.spec
        or before.metadata.deletion_timestamp != after.metadata.deletion_timestamp
        or before.metadata.labels != after.metadata.labels
        or before.metadata.annotations != after.metadata.annotations
    )


def _belongs(pod: objects.Pod, pool: str, nodes: set[str]) -> bool:
    """A placed pod belongs to the pool of its node, a waiting one to the pool it is labelled for."""
    if pod.spec.node_name:
        return pod.spec.node_name in nodes
    return observe.pool_of(pod.metadata) == pool
