"""Routes: workloads of every kind."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Annotated, Literal, TypedDict

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from fairlead.runtime.errors import FairleadError, Invalid
from fairlead.server.api.dependencies import Ctx, FilterBy, Limit, Offset, Who, page_of
from fairlead.server.api.problems import status_of
from fairlead.server.db.records import OrgUnit, Workload
from fairlead.server.db.workloads import Page, Where
from fairlead.server.services import history, organisation, views, workloads
from fairlead.server.services.filters import SAME_SECONDS, Filter, parsed
from fairlead.wire.rest import events
from fairlead.wire.rest import workloads as rest
from fairlead.wire.rest.organisation import Count

router = APIRouter(prefix="/api/v1/workloads", tags=["workloads"])

_COLUMNS = {
    "name": "name",
    "type": "kind",
    "phase": "phase",
    "projectId": "project_id",
    "projectName": "project_id",
    "clusterId": "cluster_id",
    "namespace": "namespace",
    "submittedBy": "submitted_by",
    "createdAt": "created",
    "updatedAt": "updated",
}


class ListQuery(BaseModel):
    """Which part of the list, in what order."""

    offset: int = Field(default=0, ge=0, le=2**31)
    limit: int = Field(default=500, ge=1, le=10_000)
    search: str = ""
    deleted: bool = False
    sortBy: str = "createdAt"
    sortOrder: Literal["asc", "desc"] = "desc"
    filterBy: list[str] | None = None


@router.get("", response_model=rest.Workloads)
async def list_workloads(context: Ctx, who: Who, query: Annotated[ListQuery, Query()]) -> Response:
    """One page of workloads, newest first unless said."""
    page = Page(
        offset=query.offset,
        limit=query.limit,
        order=_column(query.sortBy, "sortBy"),
        descending=query.sortOrder == "desc",
        search=query.search,
        deleted=query.deleted,
        **await _conditions(context, who, query.filterBy),
    )
    records, names, following = await workloads.list_workloads(context, who, page)
    return Response(views.workloads_json(records, names, following), media_type="application/json")


@router.get("/count")
async def count_workloads(
    context: Ctx, who: Who, search: str = "", deleted: bool = False, filter_by: FilterBy = None
) -> Count:
    """How many workloads the filters leave."""
    page = Page(search=search, deleted=deleted, **await _conditions(context, who, filter_by))
    return Count(count=await workloads.count(context, who, page))


@router.post("/batch")
async def batch(body: rest.BatchRequest, context: Ctx, who: Who) -> rest.BatchResponse:
    """Deletes, suspends or resumes several; says of each whether it worked."""
    answer = rest.BatchResponse(id=str(uuid.uuid4()), succeeded=[], failed=[])
    for workload_id in body.ids:
        try:
            await _act(context, who, workload_id, body.action)
            answer.succeeded.append(workload_id)
        except FairleadError as error:
            failure = rest.BatchFailure(id=workload_id, code=status_of(error), message=str(error))
            answer.failed.append(failure)
    return answer


@router.post("/{path}", status_code=202)
async def submit(path: str, body: rest.DistributedCreate, context: Ctx, who: Who) -> rest.WorkloadCreated:
    """Submits a workspace, a training or a distributed training."""
    if path not in workloads.PATHS:
        raise Invalid(
            f"Workloads of kind {path!r} are not supported by this version.",
            hint=f"Kinds: {', '.join(workloads.PATHS)}.",
            code="kind-not-supported",
        )
    record = await workloads.submit(context, who, path, body)
    made, changed = views.time(record.created), views.time(record.updated)
    return rest.WorkloadCreated(
        workload_id=record.id,
        id=record.id,
        name=record.name,
        requested_name=body.name,
        project_id=record.project_id,
        cluster_id=record.cluster_id,
        namespace=record.namespace,
        created_by=record.submitted_by,
        created_at=made,
        updated_at=changed,
        meta={"id": record.id, "name": record.name, "projectId": record.project_id, "clusterId": record.cluster_id},
        spec=views.spec(record) or {},
    )


@router.get("/{workload_id}")
async def get_workload(workload_id: str, context: Ctx, who: Who) -> rest.WorkloadDetail:
    """One workload with its spec and history."""
    return views.workload_detail(*await workloads.get(context, who, workload_id))


@router.get("/{workload_id}/pods")
async def list_pods(workload_id: str, context: Ctx, who: Who) -> rest.Pods:
    """The pods of a workload."""
    record, rows = await workloads.pods(context, who, workload_id)
    project = (await workloads.get(context, who, workload_id))[1].projects.get(record.project_id)
    return rest.Pods(pods=[views.pod(record, row, project.name if project else "") for row in rows])


@router.get("/{workload_id}/events")
async def list_events(
    workload_id: str,
    context: Ctx,
    who: Who,
    offset: Offset = 0,
    limit: Limit = 500,
    sort_order: Annotated[Literal["asc", "desc"], Query(alias="sortOrder")] = "asc",
) -> events.Events:
    """What happened to a workload and its pods."""
    found = history.events_of(*await _shown(context, who, workload_id))
    page, following = page_of(found if sort_order == "asc" else found[::-1], offset, limit)
    return events.Events(events=page, next=following)


@router.get("/{workload_id}/history")
async def list_history(
    workload_id: str, context: Ctx, who: Who, offset: Offset = 0, limit: Limit = 500
) -> events.Records:
    """The phases a workload went through and what happened in between, oldest first."""
    page, following = page_of(history.records_of(*await _shown(context, who, workload_id)), offset, limit)
    return events.Records(records=page, next=following)


@router.get("/{workload_id}/metrics", include_in_schema=False)
async def metrics(workload_id: str) -> None:
    """Not there yet."""
    raise HTTPException(501, "metrics of a workload are not served by this version")


@router.get("/{path}/{workload_id}")
async def get_by_kind(path: str, workload_id: str, context: Ctx, who: Who) -> rest.WorkloadDetail:
    """One workload, asked for under its kind."""
    if path not in (*workloads.PATHS, "any"):
        raise HTTPException(404, "no such path")
    return await get_workload(workload_id, context, who)


@router.delete("/{path}/{workload_id}", status_code=202)
async def delete_workload(path: str, workload_id: str, context: Ctx, who: Who) -> rest.WorkloadDetail:
    """Removes a workload and what it runs."""
    await workloads.delete(context, who, workload_id)
    return await get_workload(workload_id, context, who)


@router.post("/{path}/{workload_id}/suspend", status_code=202)
async def suspend(path: str, workload_id: str, context: Ctx, who: Who) -> rest.WorkloadDetail:
    """Stops a workload and keeps it under its name."""
    await workloads.set_suspended(context, who, workload_id, suspended=True)
    return await get_workload(workload_id, context, who)


@router.post("/{path}/{workload_id}/resume", status_code=202)
async def resume(path: str, workload_id: str, context: Ctx, who: Who) -> rest.WorkloadDetail:
    """Starts a suspended workload again."""
    await workloads.set_suspended(context, who, workload_id, suspended=False)
    return await get_workload(workload_id, context, who)


async def _shown(context: Ctx, who: Who, workload_id: str) -> tuple[Workload, rest.WorkloadDetail]:
    record, names = await workloads.get(context, who, workload_id)
    return record, views.workload_detail(record, names)


async def _act(context: Ctx, who: Who, workload_id: str, action: str) -> None:
    if action == "delete":
        await workloads.delete(context, who, workload_id)
    else:
        await workloads.set_suspended(context, who, workload_id, suspended=action == "suspend")


def _column(field: str, parameter: str) -> str:
    if field not in _COLUMNS:
        raise Invalid(f"Workloads cannot be sorted by {field!r}.", fields={parameter: ", ".join(_COLUMNS)})
    return _COLUMNS[field]


_TIMES = ("createdAt", "updatedAt")
_OF_PROJECTS: dict[str, Callable[[OrgUnit, dict[str, str]], str]] = {
    "projectName": lambda project, _: project.name,
    "departmentId": lambda project, _: project.department_id,
    "departmentName": lambda project, departments: departments.get(project.department_id, ""),
}
"""Fields that say which projects are meant."""


class _Conditions(TypedDict):
    equal: tuple[tuple[str, tuple[str, ...]], ...]
    where: tuple[Where, ...]


async def _conditions(context: Ctx, who: Who, texts: list[str] | None) -> _Conditions:
    filters = parsed(texts, (*_COLUMNS, *(f for f in _OF_PROJECTS if f not in _COLUMNS)), "Workloads")
    types = [f for f in filters if f.field == "type"]
    there = await workloads.kinds(context) if types else ()
    equal = [("kind", tuple(k for k in there if f.holds(views.TYPES.get(k, k)))) for f in types]
    units = [f for f in filters if f.field in _OF_PROJECTS]
    if units:
        projects = await organisation.list_units(context, who, "project")
        departments = {d.id: d.name for d in await organisation.list_units(context, who, "department")}
        for f in units:
            value = _OF_PROJECTS[f.field]
            equal.append(("project_id", tuple(p.id for p in projects if f.holds(value(p, departments)))))
    plain = [f for f in filters if f.field != "type" and f.field not in _OF_PROJECTS]
    return {"equal": tuple(equal), "where": tuple(map(_where, plain))}


def _where(wanted: Filter) -> Where:
    """A condition on a column; times are told to the microsecond, so that close together is equal."""
    column, operator = _COLUMNS[wanted.field], wanted.operator
    if wanted.field not in _TIMES:
        return Where(column=column, operator=operator, value=wanted.value)
    least, most = wanted.moment() - SAME_SECONDS, wanted.moment() + SAME_SECONDS
    return Where(column=column, operator=operator, value={">=": least, "<=": most}.get(operator, (least, most)))
