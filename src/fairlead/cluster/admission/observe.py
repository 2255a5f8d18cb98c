"""What admission looks up: whose project a namespace is, its queues, and who keeps a pod group."""

from __future__ import annotations

from typing import Any

from fairlead.cluster.admission.review import Place
from fairlead.kube.cache import Cache
from fairlead.kube.client import Client
from fairlead.objects import fields, kinds
from fairlead.objects.builtin import Namespace
from fairlead.objects.kai import PodGroup, Queue
from fairlead.objects.pod import Pod

_DEFAULT_POOL = "default"


class Observed:
    """Three caches, read only."""

    def __init__(self, client: Client) -> None:
        self.namespaces: Cache[Namespace] = Cache(client, kinds.NAMESPACE)
        self.queues: Cache[Queue] = Cache(client, kinds.QUEUE)
        self.groups: Cache[PodGroup] = Cache(client, kinds.POD_GROUP)

    def caches(self) -> tuple[Cache[Any], ...]:
        """All of them."""
        return (self.namespaces, self.queues, self.groups)

    @property
    def is_ready(self) -> bool:
        """Whether everything was listed once."""
        return all(cache.synced.is_set() for cache in self.caches())

    def is_project(self, namespace: str) -> bool:
        """Whether the namespace belongs to a project."""
        found = self.namespaces.get(namespace)
        return found is not None and bool(found.metadata.labels.get(fields.PROJECT))

    def place(self, pod: Pod, namespace: str) -> Place | None:
        """What is known of a pod's namespace; None where it belongs to no project."""
        found = self.namespaces.get(namespace)
        project = found.metadata.labels.get(fields.PROJECT) if found else None
        if not project:
            return None
        queues = {
            q.metadata.labels.get(fields.NODE_POOL, _DEFAULT_POOL): q.metadata.name
            for q in self.queues
            if q.metadata.labels.get(fields.PROJECT) == project
        }
        pool = pod.metadata.labels.get(fields.NODE_POOL, _DEFAULT_POOL)
        return Place(
            queue=queues.get(pool, project),
            queues=frozenset(queues.values()),
            foreign_group=self._keeper(pod, namespace),
            mps_claim=found.metadata.annotations.get(fields.MPS_CLAIM, "") if found else "",
        )

    def _keeper(self, pod: Pod, namespace: str) -> str:
        """Whose the pod group is that the pod names: a group with an owner is filled by its owner's controller alone."""
        name = pod.metadata.annotations.get(fields.POD_GROUP)
        group = self.groups.get(name, namespace) if name else None
        owner = next(iter(group.metadata.owner_references), None) if group else None
        return f"{owner.kind} {owner.name}" if owner else ""
