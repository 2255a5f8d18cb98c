"""Workloads: submitted, read, suspended, resumed, deleted."""

from __future__ import annotations

import uuid
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from fairlead.objects.workload import Workload as WorkloadObject
from fairlead.runtime.errors import Conflict, Invalid, NotFound
from fairlead.server.auth.permissions import Principal
from fairlead.server.db import clusters, org, stored, workloads
from fairlead.server.db.records import OrgUnit, Workload
from fairlead.server.services import specs
from fairlead.server.services.context import Context, record_event
from fairlead.server.services.directory import Directory, directory
from fairlead.server.services.feed import publish_workloads
from fairlead.server.services.organisation import pool_names
from fairlead.wire.agent import PodRow
from fairlead.wire.rest.workloads import DistributedCreate, WorkloadCreate

PATHS = tuple(specs.KINDS)
"""Kinds of workload that can be submitted, by path segment."""


async def render(
    context: Context, principal: Principal, path: str, body: WorkloadCreate
) -> tuple[OrgUnit, WorkloadObject]:
    """The object a submission would make, and its project; nothing is stored.

    Raises: Invalid, NotFound.
    """
    principal.require("create", "workloads")
    async with context.database.read() as c:
        project = await _project(c, principal, body)
        pools = set((await pool_names(c, project.cluster_id)).values())
    spec = body.spec
    if isinstance(body, DistributedCreate) and body.master_spec not in (None, spec):
        raise Invalid(
            "A gang of this version is made of like pods, the first of which serves the others as master, "
            "so its master cannot have a specification of its own.",
            fields={"masterSpec": "the same as `spec`, or leave it out and count the master in `spec.numWorkers`"},
            code="master-not-supported",
        )
    unknown = [p for p in (spec.node_pools if spec else None) or () if p not in pools]
    if unknown:
        raise NotFound(
            f"There is no node pool {unknown[0]!r}.",
            hint=f"Node pools: {', '.join(sorted(pools))}.",
            code="node-pool-not-found",
        )
    workload_id = str(uuid.uuid4())
    name = specs.check_name(body.name)
    if body.use_given_name_as_prefix:
        name = f"{name[:54]}-{workload_id[:8]}"
    asked = {"by": principal.username, "id": workload_id}
    return project, specs.to_object(path, name, project.namespace, spec, asked=asked)


async def submit(context: Context, principal: Principal, path: str, body: WorkloadCreate) -> Workload:
    """Stores a submission and asks the cluster to run it.

    Raises: Conflict where the name is taken; Invalid, NotFound.
    """
    project, made = await render(context, principal, path, body)
    now = context.now()
    async with context.database.write() as c:
        await workloads.add_workload(
            c,
            id=made.spec.workload_id,
            cluster_id=project.cluster_id,
            project_id=project.id,
            kind=type(made).__name__,
            name=made.metadata.name,
            namespace=project.namespace,
            spec=body.spec.model_dump(by_alias=True, exclude_none=True) if body.spec else {},
            object=specs.stored(made),
            revision=await clusters.next_revision(c, project.cluster_id),
            submitted_by=principal.username,
            created=now,
            updated=now,
            phase="Creating",
        )
        entity = ("workload", made.spec.workload_id, made.metadata.name)
        await record_event(context, c, principal, "create", entity, project=project.name)
        stored = await _existing(c, principal, made.spec.workload_id)
    context.agents.wake(project.cluster_id)
    await publish_workloads(context, [stored.id])
    return stored


async def list_workloads(
    context: Context, principal: Principal, page: workloads.Page
) -> tuple[tuple[Workload, ...], Directory, int | None]:
    """One page of workloads, the names they refer to, and the offset of the next page if there is one."""
    scope = principal.require("read", "workloads")
    async with context.database.read() as c:
        found = await workloads.workloads(c, scope, replace(page, limit=page.limit + 1))
        following = page.offset + page.limit if len(found) > page.limit else None
        return found[: page.limit], await directory(c, found), following


async def count(context: Context, principal: Principal, page: workloads.Page) -> int:
    """How many workloads the filters leave."""
    scope = principal.require("read", "workloads")
    async with context.database.read() as c:
        return await workloads.count_workloads(c, scope, page)


async def get(context: Context, principal: Principal, workload_id: str) -> tuple[Workload, Directory]:
    """The workload with that id.

    Raises: NotFound.
    """
    async with context.database.read() as c:
        found = await _existing(c, principal, workload_id)
        return found, await directory(c, [found])


async def pods(context: Context, principal: Principal, workload_id: str) -> tuple[Workload, tuple[PodRow, ...]]:
    """The workload and its pods, by name.

    Raises: NotFound.
    """
    async with context.database.read() as c:
        workload = await _existing(c, principal, workload_id)
        rows = await workloads.pods_of(c, workload)
    return workload, tuple(sorted((_pod(workload, uid, row) for uid, row in rows), key=lambda pod: pod.name))


async def set_suspended(context: Context, principal: Principal, workload_id: str, *, suspended: bool) -> Workload:
    """Stops a workload and keeps it under its name, or starts it again.

    Raises: Conflict where it has ended or is being deleted; NotFound.
    """
    principal.require("update", "workloads")
    async with context.database.write() as c:
        seen = await _existing(c, principal, workload_id)
        principal.require("update", "workloads", project=seen.project_id)
        verb = "suspended" if suspended else "resumed"
        if seen.deleting or seen.deleted or seen.phase in ("Completed", "Failed"):
            state = "being deleted" if seen.deleting or seen.deleted else seen.phase.lower()
            raise Conflict(f"{seen.name!r} is {state}, so it cannot be {verb}.", code="wrong-phase")
        if seen.object is None:
            raise Conflict(f"{seen.name!r} was made in the cluster; suspend it there.", code="foreign-workload")
        revision = await clusters.next_revision(c, seen.cluster_id)
        await workloads.change_workload(c, seen, suspended=suspended, revision=revision, updated=context.now())
        await record_event(
            context,
            c,
            principal,
            "suspend" if suspended else "resume",
            ("workload", seen.id, seen.name),
        )
        stored = await _existing(c, principal, workload_id)
    context.agents.wake(seen.cluster_id)
    await publish_workloads(context, [stored.id])
    return stored


async def delete(context: Context, principal: Principal, workload_id: str) -> Workload:
    """Asks the cluster to remove a workload; it is gone from lists when the cluster says so.

    Raises: Conflict where it is of a kind that others keep; NotFound.
    """
    principal.require("delete", "workloads")
    async with context.database.write() as c:
        seen = await _existing(c, principal, workload_id)
        principal.require("delete", "workloads", project=seen.project_id)
        if not specs.is_ours(seen.kind):
            raise Conflict(
                f"{seen.name!r} is a {seen.kind} that was made in the cluster.",
                hint=f"Delete it there: `kubectl delete {seen.kind.lower()} {seen.name} -n {seen.namespace}`.",
                code="foreign-workload",
            )
        if seen.deleting or seen.deleted:
            return seen
        revision = await clusters.next_revision(c, seen.cluster_id)
        now = context.now()
        gone = {"deleted": now} if seen.refused else {}
        await workloads.change_workload(c, seen, deleting=True, revision=revision, updated=now, **gone)
        await record_event(context, c, principal, "delete", ("workload", seen.id, seen.name))
        stored = await _existing(c, principal, workload_id)
    context.agents.wake(seen.cluster_id)
    await publish_workloads(context, [stored.id])
    return stored


async def kinds(context: Context) -> tuple[str, ...]:
    """Kinds of object that workloads are or were, those of others among them."""
    async with context.database.read() as c:
        return await workloads.kinds(c)


def _pod(workload: Workload, uid: str, text: str) -> PodRow:
    message = "What was stored of it cannot be read; the next report mends it"
    unknown = PodRow(
        uid=uid, workload=workload.id, namespace=workload.namespace, name=uid, phase="Unknown", message=message
    )
    return stored.read(text, PodRow, "pod", uid) or unknown


async def _project(c: AsyncConnection, principal: Principal, body: WorkloadCreate) -> OrgUnit:
    scope = principal.require("read", "projects")
    found = await org.unit(c, "project", body.project_id, scope)
    if found is None:
        names = [p.name for p in await org.units(c, "project", scope)]
        raise NotFound(
            f"There is no project {body.project_id!r}.",
            hint=f"Your projects: {', '.join(names) or 'none yet'}.",
            code="project-not-found",
        )
    principal.require("create", "workloads", project=found.id)
    if found.cluster_id != body.cluster_id:
        raise Invalid(
            f"The project {found.name!r} is in another cluster.",
            fields={"clusterId": f"{found.cluster_id}, where the project is"},
            code="wrong-cluster",
        )
    return found


async def _existing(c: AsyncConnection, principal: Principal, workload_id: str) -> Workload:
    found = await workloads.workload(c, workload_id, principal.require("read", "workloads"))
    if found is None:
        raise NotFound(f"There is no workload {workload_id!r}.", code="workload-not-found")
    return found
