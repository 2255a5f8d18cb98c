"""What the controllers read: one cache a kind, and the questions they ask of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fairlead.kube.cache import Cache, Key
from fairlead.kube.client import Client
from fairlead.objects import kinds
from fairlead.objects.builtin import Namespace
from fairlead.objects.fields import NODE_POOL, PROJECT, WORKLOAD, WORKLOAD_KIND
from fairlead.objects.kai import PodGroup, Queue
from fairlead.objects.meta import ObjectMeta, controller_of
from fairlead.objects.organisation import Department, NodePool, Project
from fairlead.objects.pod import Pod
from fairlead.objects.workload import DistributedTraining, Training, Workload, Workspace
from fairlead.workloads.evictions import is_evicted
from fairlead.workloads.gpus import groups_of
from fairlead.workloads.pods import Owner

DEFAULT_POOL = "default"


class Observed:
    """The caches, and indexes over them."""

    def __init__(self, client: Client, scheduler_names: Sequence[str]) -> None:
        self.projects: Cache[Project] = Cache(client, kinds.PROJECT)
        self.departments: Cache[Department] = Cache(client, kinds.DEPARTMENT)
        self.pools: Cache[NodePool] = Cache(client, kinds.NODE_POOL)
        self.namespaces: Cache[Namespace] = Cache(client, kinds.NAMESPACE)
        self.queues: Cache[Queue] = Cache(client, kinds.QUEUE)
        self.groups: Cache[PodGroup] = Cache(client, kinds.POD_GROUP)
        self.pods: Cache[Pod] = Cache(client, kinds.POD, labels=WORKLOAD_KIND)
        self.workspaces: Cache[Workspace] = Cache(client, kinds.WORKSPACE)
        self.trainings: Cache[Training] = Cache(client, kinds.TRAINING)
        self.distributed: Cache[DistributedTraining] = Cache(client, kinds.DISTRIBUTED_TRAINING)
        self.foreign: tuple[Cache[Pod], ...] = tuple(
            Cache(client, kinds.POD, labels=f"!{WORKLOAD_KIND}", fields=f"spec.schedulerName={name}")
            for name in scheduler_names
        )
        """Pods of others that our scheduler is to place, by the name they call it."""
        self._pods_of: dict[tuple[str, str], set[Key]] = {}
        self._left: dict[tuple[str, str], dict[Key, Pod]] = {}
        self._made_by: dict[str, dict[Key, Pod]] = {}
        self._sharing: dict[str, dict[Key, Pod]] = {}
        self.pods.on_change(self._index)
        for cache in self.foreign:
            cache.on_change(self._index_maker)
        for cache in (self.pods, *self.foreign):
            cache.on_change(self._index_sharing)

    def caches(self) -> tuple[Cache[Any], ...]:
        """All of them."""
        return (
            self.projects,
            self.departments,
            self.pools,
            self.namespaces,
            self.queues,
            self.groups,
            self.pods,
            self.workspaces,
            self.trainings,
            self.distributed,
            *self.foreign,
        )

    def workload(self, kind: str, key: Key) -> Workload | None:
        """The workload of that kind and name."""
        if kind == "Workspace":
            return self.workspaces.get(key.name, key.namespace)
        if kind == "Training":
            return self.trainings.get(key.name, key.namespace)
        return self.distributed.get(key.name, key.namespace)

    def pods_of(self, namespace: str, workload: str, kind: str) -> tuple[Pod, ...]:
        """Pods labelled as that workload's, those of an earlier one of the same name included."""
        keys = sorted(self._pods_of.get((namespace, workload), ()))
        found = (self.pods.get(key.name, key.namespace) for key in keys)
        return tuple(p for p in found if p is not None and p.metadata.labels.get(WORKLOAD_KIND) == kind)

    def left_of(self, namespace: str, workload: str) -> tuple[Pod, ...]:
        """Evicted pods of that workload as they were last, gone since: one that goes with its node may never be seen with its reason."""
        return tuple(self._left.get((namespace, workload), {}).values())

    def forget(self, pods: Iterable[Pod]) -> None:
        """These are written down."""
        for pod in pods:
            known = self._left.get(_owner_key(pod), {})
            known.pop(Key(pod.metadata.namespace, pod.metadata.name), None)
            if not known:
                self._left.pop(_owner_key(pod), None)

    def owner_of(self, workload: Workload) -> Owner | None:
        """Project, queue and pool of a workload; None where its namespace is no project's."""
        namespace = self.namespaces.get(workload.metadata.namespace)
        project = namespace.metadata.labels.get(PROJECT) if namespace else None
        if not project or self.projects.get(project) is None:
            return None
        pool = next(iter(workload.spec.node_pools), DEFAULT_POOL)
        return Owner(project=project, queue=queue_name(project, pool), pool=pool)

    def pod(self, name: str, namespace: str) -> Pod | None:
        """A pod of ours, or of others that our scheduler is to place."""
        found = (cache.get(name, namespace) for cache in (self.pods, *self.foreign))
        return next((pod for pod in found if pod is not None), None)

    def sharing(self, group: str) -> tuple[Pod, ...]:
        """Bound pods that share the device of a gpu group, by name."""
        return tuple(pod for _, pod in sorted(self._sharing.get(group, {}).items()))

    def shared_groups(self) -> tuple[str, ...]:
        """Gpu groups that some bound pod is in."""
        return tuple(sorted(self._sharing))

    def made_by(self, uid: str) -> tuple[Pod, ...]:
        """Foreign pods that the controller with that UID made, by name."""
        return tuple(pod for _, pod in sorted(self._made_by.get(uid, {}).items()))

    def queue_for(self, pod: ObjectMeta) -> str:
        """The queue of the project that a pod's namespace belongs to, in the pool the pod is for; empty where it belongs to none."""
        namespace = self.namespaces.get(pod.namespace)
        project = namespace.metadata.labels.get(PROJECT) if namespace else None
        return queue_name(project, pod.labels.get(NODE_POOL, DEFAULT_POOL)) if project else ""

    def _index_maker(self, key: Key, before: Pod | None, after: Pod | None) -> None:
        for pod in filter(None, (before, after)):
            maker = controller_of(pod.metadata)
            if maker is not None and (held := self._made_by.get(maker.uid)) is not None:
                held.pop(key, None)
                if not held:
                    del self._made_by[maker.uid]
        if after is not None and (maker := controller_of(after.metadata)) is not None:
            self._made_by.setdefault(maker.uid, {})[key] = after

    def _index_sharing(self, key: Key, before: Pod | None, after: Pod | None) -> None:
        for group in groups_of(before) if before and before.spec.node_name else ():
            self._sharing.get(group, {}).pop(key, None)
            if not self._sharing.get(group):
                self._sharing.pop(group, None)
        if after is not None and after.spec.node_name:
            for group in groups_of(after):
                self._sharing.setdefault(group, {})[key] = after

    def _index(self, key: Key, before: Pod | None, after: Pod | None) -> None:
        for pod in filter(None, (before, after)):
            self._pods_of.setdefault(_owner_key(pod), set()).discard(key)
        if after is not None:
            self._pods_of.setdefault(_owner_key(after), set()).add(key)
        elif before is not None and is_evicted(before):
            self._left.setdefault(_owner_key(before), {})[key] = before


def queue_name(unit: str, pool: str) -> str:
    """Name of a project's or department's queue in a node pool."""
    return unit if pool == DEFAULT_POOL else f"{unit}-{pool}"


def department_queue(name: str, pool: str) -> str:
    """Name of a department's queue: prefixed, so that a project may have its department's name."""
    return queue_name(f"department-{name}", pool)


def pool_names(pools: Iterable[NodePool]) -> tuple[str, ...]:
    """The default pool first, then the others by name."""
    return (DEFAULT_POOL, *sorted(p.metadata.name for p in pools if p.metadata.name != DEFAULT_POOL))


def _owner_key(pod: Pod) -> tuple[str, str]:
    return pod.metadata.namespace, pod.metadata.labels.get(WORKLOAD, "")
