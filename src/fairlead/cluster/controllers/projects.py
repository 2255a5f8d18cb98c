"""Projects and departments: a namespace for each project, a Queue for each of them in each node pool."""

from __future__ import annotations

from typing import Literal

import msgspec

from fairlead.cluster.controllers.mps_claims import LOOK_SECONDS, MpsClaims
from fairlead.cluster.controllers.observe import Observed, department_queue, pool_names, queue_name
from fairlead.kube.client import Client
from fairlead.kube.errors import AlreadyExists
from fairlead.objects import kinds
from fairlead.objects.builtin import Namespace
from fairlead.objects.fields import DEPARTMENT, NODE_POOL, PROJECT, QUEUE, QUEUE_OLD
from fairlead.objects.json import JsonObject
from fairlead.objects.kai import Queue, QueueResource, QueueResources, QueueSpec
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.organisation import PoolResources, Project, Share
from fairlead.runtime.errors import NotFound

_MANAGED = "fairlead.dev/managed-by"
DEFAULT_DEPARTMENT = "default"


class Projects:
    """Reconciles one project or department at a time. Keys: ("project" or "department", name)."""

    def __init__(
        self, client: Client, observed: Observed, claims: MpsClaims | None = None, *, makes_namespaces: bool = True
    ) -> None:
        self._client = client
        self._observed = observed
        self._claims = claims
        """Of namespaces whose pods may be clients of MPS; None where it is not used."""
        self._makes_namespaces = makes_namespaces
        """Else whoever runs the cluster makes and labels them."""

    async def reconcile(self, key: tuple[str, str]) -> float | None:
        """Makes queues and namespace what the object says; removes queues of what is gone."""
        what, name = key
        wanted = self._project_queues(name) if what == "project" else self._department_queues(name)
        label = PROJECT if what == "project" else DEPARTMENT
        for queue in wanted.values():
            await self._ensure_queue(queue)
        mine = [
            q for q in self._observed.queues if q.metadata.labels.get(label) == name and _MANAGED in q.metadata.labels
        ]
        for queue in mine:
            if queue.metadata.name not in wanted and (what == "department") == (PROJECT not in queue.metadata.labels):
                await self._remove_queue(queue)
        if what == "project":
            await self._ensure_namespace(name)
        return await self._ensure_claim(name) if what == "project" else None

    def _project_queues(self, name: str) -> dict[str, Queue]:
        project = self._observed.projects.get(name)
        if project is None:
            return {}
        department = project.spec.department or DEFAULT_DEPARTMENT
        return {
            q.metadata.name: q
            for pool, resources in self._pools(project.spec.resources)
            for q in [
                _queue(
                    queue_name(name, pool),
                    department_queue(department, pool),
                    resources,
                    project.spec.priority,
                    {PROJECT: name, DEPARTMENT: department, NODE_POOL: pool},
                )
            ]
        }

    def _department_queues(self, name: str) -> dict[str, Queue]:
        department = self._observed.departments.get(name)
        if department is None:
            return {}
        return {
            q.metadata.name: q
            for pool, resources in self._pools(department.spec.resources)
            for q in [
                _queue(
                    department_queue(name, pool),
                    "",
                    resources,
                    department.spec.priority,
                    {DEPARTMENT: name, NODE_POOL: pool},
                )
            ]
        }

    def _pools(self, resources: tuple[PoolResources, ...]) -> list[tuple[str, PoolResources]]:
        said = {r.node_pool: r for r in resources}
        return [(p, said.get(p, PoolResources(node_pool=p))) for p in pool_names(self._observed.pools)]

    async def _ensure_queue(self, wanted: Queue) -> None:
        present = self._observed.queues.get(wanted.metadata.name)
        if present is None:
            try:
                await self._client.create(kinds.QUEUE, wanted)
                return
            except AlreadyExists:
                present = await self._client.get(kinds.QUEUE, wanted.metadata.name)
        if present.spec != wanted.spec or not wanted.metadata.labels.items() <= present.metadata.labels.items():
            patch: JsonObject = {"metadata": {"labels": {**wanted.metadata.labels}}, "spec": _explicit(wanted.spec)}
            await self._client.patch(kinds.QUEUE, wanted.metadata.name, patch)

    async def _remove_queue(self, queue: Queue) -> None:
        try:
            await self._client.delete(kinds.QUEUE, queue.metadata.name, uid=queue.metadata.uid)
        except NotFound:
            return

    async def _ensure_namespace(self, name: str) -> None:
        project = self._observed.projects.get(name)
        if project is None:
            return
        namespace = namespace_of(project)
        labels = {PROJECT: name, QUEUE: name, QUEUE_OLD: name}
        present = self._observed.namespaces.get(namespace)
        if self._makes_namespaces:
            present = await self._made(namespace, labels, present)
        phase, message = self._state(project, namespace, labels, present)
        if (project.status.phase, project.status.message, project.status.namespace) != (phase, message, namespace):
            status: JsonObject = {"phase": phase, "message": message, "namespace": namespace}
            await self._client.patch_status(kinds.PROJECT, name, status)

    async def _made(self, name: str, labels: dict[str, str], present: Namespace | None) -> Namespace:
        if present is None:
            try:
                return await self._client.create(
                    kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name=name, labels=labels))
                )
            except AlreadyExists:
                present = await self._client.get(kinds.NAMESPACE, name)
        if not labels.items() <= present.metadata.labels.items():
            return await self._client.patch(kinds.NAMESPACE, name, {"metadata": {"labels": {**labels}}})
        return present

    def _state(
        self, project: Project, namespace: str, labels: dict[str, str], present: Namespace | None
    ) -> tuple[Literal["Ready", "Creating", "Failed"], str]:
        """(phase, what is missing for work to run in it)."""
        department = project.spec.department or DEFAULT_DEPARTMENT
        queue = department_queue(department, pool_names(self._observed.pools)[0])
        if self._observed.departments.get(department) is None and self._observed.queues.get(queue) is None:
            return "Failed", f"There is no department {department!r}: make it, or name another in spec.department."
        words = " ".join(f"{key}={value}" for key, value in labels.items())
        if present is None:
            return "Creating", (
                f"Namespaces are made by whoever runs this cluster: kubectl create namespace {namespace}"
                f" && kubectl label namespace {namespace} {words}"
            )
        if present.status.phase == "Terminating":
            return "Creating", f"The namespace {namespace} is being removed; it is made again once it is gone."
        if not labels.items() <= present.metadata.labels.items():
            return "Creating", f"The namespace lacks labels: kubectl label namespace {namespace} {words}"
        return "Ready", ""

    async def _ensure_claim(self, name: str) -> float | None:
        """By which the project's pods reach MPS; looked at again now and then, for nobody tells of claims that are removed."""
        project = self._observed.projects.get(name)
        namespace = self._observed.namespaces.get(namespace_of(project)) if project else None
        if self._claims is None or project is None or namespace is None:
            return None
        await self._claims.ensure(project, namespace)
        return LOOK_SECONDS


def namespace_of(project: Project) -> str:
    """Name of its namespace."""
    return project.spec.namespace or f"runai-{project.metadata.name}"


def _queue(name: str, parent: str, pool: PoolResources, priority: int | None, labels: dict[str, str]) -> Queue:
    spec = QueueSpec(
        parent_queue=parent,
        priority=priority,
        resources=QueueResources(
            gpu=_resource(pool.gpu, 1000), cpu=_resource(pool.cpu, 1), memory=_resource(pool.memory, 1_000_000)
        ),
    )
    return Queue(metadata=ObjectMeta(name=name, labels={**labels, _MANAGED: "fairlead"}), spec=spec)


def _resource(share: Share, unit: int) -> QueueResource:
    """Amounts in the units of a Queue: devices, millicores, megabytes; -1 is unlimited."""

    def amount(value: int) -> float:
        return -1.0 if value < 0 else value / unit

    return QueueResource(
        quota=amount(share.deserved), limit=amount(share.limit), over_quota_weight=share.over_quota_weight
    )


def _explicit(spec: QueueSpec) -> JsonObject:
    """The spec with every number written, also zeros: a merge patch must be able to lower one to 0."""
    resources = spec.resources or QueueResources()
    amounts: JsonObject = {
        kind: {
            "quota": share.quota,
            "limit": share.limit,
            "overQuotaWeight": share.over_quota_weight,
        }
        for kind, share in (("gpu", resources.gpu), ("cpu", resources.cpu), ("memory", resources.memory))
    }
    return {**msgspec.to_builtins(spec), "priority": spec.priority, "resources": amounts}
