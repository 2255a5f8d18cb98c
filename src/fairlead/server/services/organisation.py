"""Node pools, departments and projects: made, read, changed and removed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from fairlead.runtime.errors import Conflict, Invalid, NotFound
from fairlead.server.auth.permissions import Principal, administrator
from fairlead.server.db import clusters, org, workloads
from fairlead.server.db.records import EVERYTHING, Cluster, OrgUnit, Scope
from fairlead.server.services import quotas
from fairlead.server.services.context import Context, record_event
from fairlead.server.services.specs import check_name
from fairlead.wire.rest import organisation as rest

_RESOURCE = {"node-pool": "node-pools", "department": "departments", "project": "projects"}
DEFAULT = "default"
"""Name of the department and node pool every cluster starts with."""


async def list_units(context: Context, principal: Principal, what: str) -> tuple[OrgUnit, ...]:
    """The units of a sort that the principal may see, by name."""
    scope = principal.require("read", _RESOURCE[what])
    async with context.database.read() as c:
        return await org.units(c, what, scope)


async def get_unit(context: Context, principal: Principal, what: str, unit_id: str) -> OrgUnit:
    """The unit with that id.

    Raises: NotFound.
    """
    scope = principal.require("read", _RESOURCE[what])
    async with context.database.read() as c:
        return await _existing(c, scope, what, unit_id)


async def create_department(context: Context, principal: Principal, body: rest.DepartmentCreate) -> OrgUnit:
    """A new department.

    Raises: Conflict, Invalid, NotFound.
    """
    return await _create(context, principal, "department", body.cluster_id, body.name, body)


async def create_project(context: Context, principal: Principal, body: rest.ProjectCreate) -> OrgUnit:
    """A new project, in the cluster's default department where none is named.

    Raises: Conflict, Invalid, NotFound.
    """
    return await _create(context, principal, "project", body.cluster_id, body.name, body)


async def create_node_pool(context: Context, principal: Principal, body: rest.NodePoolCreate) -> OrgUnit:
    """A new node pool.

    Raises: Conflict, Invalid, NotFound.
    """
    principal.require("create", "node-pools")
    unit_id = str(uuid.uuid4())
    async with context.database.write() as c:
        await _cluster(c, body.cluster_id)
        await org.add_unit(
            c,
            "node-pool",
            **await _base(context, c, principal, unit_id, body.cluster_id, check_name(body.name)),
            resources={"placement": body.placement_strategy.model_dump() if body.placement_strategy else {}},
            label_key=body.label_key,
            label_value=body.label_value,
        )
        await record_event(context, c, principal, "create", ("node-pool", unit_id, body.name))
    context.agents.wake(body.cluster_id)
    return await get_unit(context, principal, "node-pool", unit_id)


async def update_unit(
    context: Context, principal: Principal, what: str, unit_id: str, body: rest.OrgUnitWrite
) -> OrgUnit:
    """Overwrites quota and description of a department or project.

    Raises: Conflict, Invalid, NotFound.
    """
    scope = principal.require("update", _RESOURCE[what])
    async with context.database.write() as c:
        seen = await _existing(c, scope, what, unit_id)
        await org.change_unit(
            c,
            what,
            seen,
            description=body.description if body.description is not None else seen.description,
            resources=await _resources(c, seen.cluster_id, body),
            revision=await clusters.next_revision(c, seen.cluster_id),
            updated=context.now(),
        )
        await record_event(context, c, principal, "update", (what, seen.id, seen.name))
    context.agents.wake(seen.cluster_id)
    return await get_unit(context, principal, what, unit_id)


async def delete_unit(context: Context, principal: Principal, what: str, unit_id: str) -> None:
    """Removes a unit that nothing depends on.

    Raises: Conflict naming what is still in it; NotFound.
    """
    scope = principal.require("delete", _RESOURCE[what])
    async with context.database.write() as c:
        seen = await _existing(c, scope, what, unit_id)
        await _refuse_if_used(c, what, seen)
        await org.change_unit(
            c, what, seen, deleted=context.now(), revision=await clusters.next_revision(c, seen.cluster_id)
        )
        await record_event(context, c, principal, "delete", (what, seen.id, seen.name))
    context.watch.rescope()
    context.agents.wake(seen.cluster_id)


async def pool_names(c: AsyncConnection, cluster_id: str) -> dict[str, str]:
    """Id -> name of a cluster's node pools."""
    return {p.id: p.name for p in await org.units(c, "node-pool", EVERYTHING, cluster_id=cluster_id)}


async def add_defaults(context: Context, c: AsyncConnection, cluster_id: str, by: str) -> None:
    """The node pool and the department every cluster starts with: all nodes, no bounds."""
    principal = administrator(by)
    base = await _base(context, c, principal, str(uuid.uuid4()), cluster_id, DEFAULT)
    await org.add_unit(c, "node-pool", **base, resources={"placement": {}}, label_key="", label_value="")
    quota = quotas.to_object([rest.PoolResources(gpu=rest.ResourceQuota(deserved=-1))], {})
    base = await _base(context, c, principal, str(uuid.uuid4()), cluster_id, DEFAULT)
    await org.add_unit(c, "department", **base, resources={"pools": msgspec.to_builtins(quota)})


async def _create(
    context: Context, principal: Principal, what: str, cluster_id: str, name: str, body: rest.OrgUnitWrite
) -> OrgUnit:
    principal.require("create", _RESOURCE[what])
    check_name(name)
    unit_id = str(uuid.uuid4())
    async with context.database.write() as c:
        await _cluster(c, cluster_id)
        extra = await _project_columns(c, cluster_id, body) if isinstance(body, rest.ProjectCreate) else {}
        base = await _base(context, c, principal, unit_id, cluster_id, name)
        base["description"] = body.description or ""
        await org.add_unit(c, what, **base, **extra, resources=await _resources(c, cluster_id, body))
        await record_event(context, c, principal, "create", (what, unit_id, name))
    context.watch.rescope()
    context.agents.wake(cluster_id)
    return await get_unit(context, principal, what, unit_id)


async def _base(
    context: Context, c: AsyncConnection, principal: Principal, unit_id: str, cluster_id: str, name: str
) -> dict[str, Any]:
    return {
        "id": unit_id,
        "cluster_id": cluster_id,
        "name": name,
        "description": "",
        "revision": await clusters.next_revision(c, cluster_id),
        "created": context.now(),
        "updated": context.now(),
        "created_by": principal.username,
    }


async def _project_columns(c: AsyncConnection, cluster_id: str, body: rest.ProjectCreate) -> dict[str, str]:
    departments = await org.units(c, "department", EVERYTHING, cluster_id=cluster_id)
    chosen = [d for d in departments if body.parent_id in (d.id, d.name) or (not body.parent_id and d.name == DEFAULT)]
    if not chosen:
        known = ", ".join(d.name for d in departments) or "none yet"
        raise NotFound(
            f"There is no department {body.parent_id or DEFAULT!r}.",
            hint=f"Departments of this cluster: {known}.",
            code="department-not-found",
        )
    namespace = body.requested_namespace or f"runai-{body.name}"
    others = [p for p in await org.units(c, "project", EVERYTHING, cluster_id=cluster_id) if p.name != body.name]
    taken = [p for p in others if p.namespace == namespace]
    if taken:
        raise Conflict(
            f"The namespace {namespace!r} belongs to the project {taken[0].name!r}.",
            hint="Choose another `requestedNamespace`.",
            code="namespace-taken",
        )
    return {"department_id": chosen[0].id, "namespace": check_name(namespace, "requestedNamespace")}


async def _resources(c: AsyncConnection, cluster_id: str, body: rest.OrgUnitWrite) -> dict[str, Any]:
    names = await pool_names(c, cluster_id)
    known = {**names, **{name: name for name in names.values()}}
    rules = {k: v for k, v in (body.scheduling_rules or {}).items() if v is not None}
    if rules:
        raise Invalid(
            "Time and idle limits are not enforced by this version.",
            hint="Leave `schedulingRules` out.",
            fields={f"schedulingRules.{k}": "not supported by this version" for k in rules},
        )
    return {
        "pools": msgspec.to_builtins(quotas.to_object(body.resources, known)),
        "priority": quotas.priority_of(body.resources),
        "default_node_pools": [_known_pool(known, p) for p in body.default_node_pools or ()],
    }


def _known_pool(known: Mapping[str, str], pool: str) -> str:
    if pool not in known:
        raise NotFound(
            f"There is no node pool {pool!r}.",
            hint=f"Node pools: {', '.join(sorted(set(known.values())))}.",
            code="node-pool-not-found",
        )
    return known[pool]


async def _refuse_if_used(c: AsyncConnection, what: str, unit: OrgUnit) -> None:
    if unit.name == DEFAULT and what != "project":
        raise Conflict(f"The {what} {DEFAULT!r} stays: every cluster has one.", code="is-default")
    if what == "department":
        inside = [p.name for p in await org.units(c, "project", EVERYTHING) if p.department_id == unit.id]
        if inside:
            raise Conflict(
                f"The department {unit.name!r} still has projects: {', '.join(inside)}.",
                hint="Delete or move them first.",
                code="not-empty",
            )
    if what == "project":
        page = workloads.Page(equal=(("project_id", (unit.id,)),))
        count = await workloads.count_workloads(c, EVERYTHING, page)
        if count:
            raise Conflict(
                f"The project {unit.name!r} still has {count} workload{'s' if count > 1 else ''}.",
                hint=f"Delete them first: `fairlead list -p {unit.name}`.",
                code="not-empty",
            )


async def _existing(c: AsyncConnection, scope: Scope, what: str, unit_id: str) -> OrgUnit:
    unit = await org.unit(c, what, unit_id, scope)
    if unit is None:
        raise NotFound(f"There is no {what} {unit_id!r}.", code=f"{what}-not-found")
    return unit


async def _cluster(c: AsyncConnection, cluster_id: str) -> Cluster:
    cluster = await clusters.cluster_by_id(c, cluster_id)
    if cluster is None:
        raise NotFound(
            f"There is no cluster {cluster_id!r}.", hint="`GET /api/v1/clusters` lists them.", code="cluster-not-found"
        )
    return cluster
