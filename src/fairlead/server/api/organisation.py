"""Routes: departments and projects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter

from fairlead.server.api.dependencies import Ctx, FilterBy, Limit, Offset, Who, page_of
from fairlead.server.db.records import OrgUnit
from fairlead.server.services import clusters, organisation, views
from fairlead.server.services.filters import kept
from fairlead.wire.agent import QueueRow
from fairlead.wire.rest import organisation as rest

router = APIRouter(prefix="/api/v1/org-unit", tags=["organisation"])


@router.get("/departments")
async def list_departments(
    context: Ctx,
    who: Who,
    offset: Offset = 0,
    limit: Limit = 500,
    search: str | None = None,
    filter_by: FilterBy = None,
) -> rest.Departments:
    """All departments."""
    units = await _units(context, who, "department", search, filter_by)
    page, following = page_of(units, offset, limit)
    show = await _department_view(context, who)
    return rest.Departments(departments=[show(u) for u in page], next=following)


@router.get("/departments/count")
async def count_departments(
    context: Ctx, who: Who, search: str | None = None, filter_by: FilterBy = None
) -> rest.Count:
    """How many departments the filters leave."""
    return rest.Count(count=len(await _units(context, who, "department", search, filter_by)))


@router.post("/departments", status_code=201)
async def create_department(body: rest.DepartmentCreate, context: Ctx, who: Who) -> rest.Department:
    """A new department."""
    made = await organisation.create_department(context, who, body)
    return (await _department_view(context, who))(made)


@router.get("/departments/{unit_id}")
async def get_department(unit_id: str, context: Ctx, who: Who) -> rest.Department:
    """One department."""
    found = await organisation.get_unit(context, who, "department", unit_id)
    return (await _department_view(context, who))(found)


@router.put("/departments/{unit_id}")
async def update_department(unit_id: str, body: rest.DepartmentUpdate, context: Ctx, who: Who) -> rest.Department:
    """Overwrites a department's quota."""
    changed = await organisation.update_unit(context, who, "department", unit_id, body)
    return (await _department_view(context, who))(changed)


@router.delete("/departments/{unit_id}", status_code=204)
async def delete_department(unit_id: str, context: Ctx, who: Who) -> None:
    """Removes a department without projects."""
    await organisation.delete_unit(context, who, "department", unit_id)


@router.get("/projects")
async def list_projects(
    context: Ctx,
    who: Who,
    offset: Offset = 0,
    limit: Limit = 500,
    search: str | None = None,
    filter_by: FilterBy = None,
) -> rest.Projects:
    """Projects the caller may see."""
    units = await _units(context, who, "project", search, filter_by)
    page, following = page_of(units, offset, limit)
    show = await _project_view(context, who)
    return rest.Projects(projects=[show(u) for u in page], next=following)


@router.get("/projects/count")
async def count_projects(context: Ctx, who: Who, search: str | None = None, filter_by: FilterBy = None) -> rest.Count:
    """How many of the projects that the caller may see the filters leave."""
    return rest.Count(count=len(await _units(context, who, "project", search, filter_by)))


@router.post("/projects", status_code=201)
async def create_project(body: rest.ProjectCreate, context: Ctx, who: Who) -> rest.Project:
    """A new project: a namespace and quota in its cluster."""
    made = await organisation.create_project(context, who, body)
    return (await _project_view(context, who))(made)


@router.get("/projects/{unit_id}")
async def get_project(unit_id: str, context: Ctx, who: Who) -> rest.Project:
    """One project."""
    found = await organisation.get_unit(context, who, "project", unit_id)
    return (await _project_view(context, who))(found)


@router.put("/projects/{unit_id}")
async def update_project(unit_id: str, body: rest.ProjectUpdate, context: Ctx, who: Who) -> rest.Project:
    """Overwrites a project's quota."""
    changed = await organisation.update_unit(context, who, "project", unit_id, body)
    return (await _project_view(context, who))(changed)


@router.delete("/projects/{unit_id}", status_code=204)
async def delete_project(unit_id: str, context: Ctx, who: Who) -> None:
    """Removes a project without workloads."""
    await organisation.delete_unit(context, who, "project", unit_id)


_FIELDS: dict[str, Callable[[OrgUnit], Any]] = {
    "name": lambda u: u.name,
    "id": lambda u: u.id,
    "clusterId": lambda u: u.cluster_id,
    "description": lambda u: u.description,
    "createdBy": lambda u: u.created_by,
    "createdAt": lambda u: views.time(u.created),
    "updatedAt": lambda u: views.time(u.updated),
}
_PROJECT_FIELDS = _FIELDS | {"parentId": lambda u: u.department_id, "requestedNamespace": lambda u: u.namespace}
"""What `filterBy` knows."""


async def _units(context: Ctx, who: Who, what: str, search: str | None, filter_by: list[str] | None) -> list[OrgUnit]:
    units = [u for u in await organisation.list_units(context, who, what) if not search or search in u.name]
    fields, plural = (_PROJECT_FIELDS, "Projects") if what == "project" else (_FIELDS, "Departments")
    return kept(units, filter_by, fields, plural)


async def _queues(context: Ctx, who: Who, kind: str) -> dict[tuple[str, str], list[QueueRow]]:
    """By cluster and name: clusters may have departments and projects of the same names."""
    found: dict[tuple[str, str], list[QueueRow]] = defaultdict(list)
    for cluster, row in await clusters.list_queues(context, who):
        if row.kind == kind:
            found[cluster, row.name].append(row)
    return found


async def _pool_ids(context: Ctx, who: Who) -> dict[str, dict[str, str]]:
    """Name -> id of each cluster's node pools."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for pool in await organisation.list_units(context, who, "node-pool"):
        found[pool.cluster_id][pool.name] = pool.id
    return found


async def _department_view(context: Ctx, who: Who) -> Callable[[OrgUnit], rest.Department]:
    projects = await organisation.list_units(context, who, "project")
    queues, pools = await _queues(context, who, "department"), await _pool_ids(context, who)

    def show(u: OrgUnit) -> rest.Department:
        children = [p for p in projects if p.department_id == u.id]
        return views.department(u, children, queues.get((u.cluster_id, u.name), []), pools[u.cluster_id])

    return show


async def _project_view(context: Ctx, who: Who) -> Callable[[OrgUnit], rest.Project]:
    departments = {d.id: d for d in await organisation.list_units(context, who, "department")}
    queues, pools = await _queues(context, who, "project"), await _pool_ids(context, who)

    def show(u: OrgUnit) -> rest.Project:
        use = queues.get((u.cluster_id, u.name), [])
        return views.project(u, departments.get(u.department_id), use, pools[u.cluster_id])

    return show
