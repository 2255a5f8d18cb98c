"""What a cluster should have: rows of the control plane as the objects its agent applies."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from fairlead.objects.meta import ObjectMeta
from fairlead.objects.organisation import (
    Department,
    DepartmentSpec,
    NodePool,
    NodePoolSpec,
    Project,
    ProjectSpec,
)
from fairlead.server.db import org, stored
from fairlead.server.db.clusters import cluster_by_id
from fairlead.server.db.records import EVERYTHING, OrgUnit, Workload
from fairlead.server.db.workloads import changed_workloads
from fairlead.server.services.quotas import quota_of
from fairlead.server.services.specs import Wanted
from fairlead.wire.agent import Desired, DesiredObject

_KINDS = {"node-pool": "NodePool", "department": "Department", "project": "Project"}


async def desired(c: AsyncConnection, cluster_id: str, since: int, *, full: bool) -> Desired:
    """What changed since that revision. `full`: every living organisation object, and workloads the cluster has not confirmed.

    The frame is not full where a unit cannot be read, since the cluster removes what a full one does not name.
    """
    cluster = await cluster_by_id(c, cluster_id)
    if cluster is None:
        return Desired(revision=since)
    departments = {d.id: d.name for d in await org.units(c, "department", EVERYTHING, cluster_id=cluster_id)}
    changed = await org.changed_units(c, cluster_id, 0 if full else since)
    units = [_unit(what, u, departments) for what, u in changed if not (full and u.deleted)]
    workloads = [_workload(w) for w in await changed_workloads(c, cluster_id, since)]
    objects = tuple(found for found in (*units, *workloads) if found is not None)
    return Desired(revision=cluster.revision, objects=objects, full=full and None not in units)


def _unit(what: str, unit: OrgUnit, departments: dict[str, str]) -> DesiredObject | None:
    made = None if unit.deleted else _object(what, unit, departments)
    if made is None and not unit.deleted:
        return None
    body = None if made is None else msgspec.to_builtins(made)
    return DesiredObject(kind=_KINDS[what], name=unit.name, revision=unit.revision, object=body)


def _object(what: str, unit: OrgUnit, departments: dict[str, str]) -> NodePool | Department | Project | None:
    """None where what is stored cannot be read: the cluster keeps what it has."""
    meta = ObjectMeta(name=unit.name)
    if what == "node-pool":
        return NodePool(metadata=meta, spec=NodePoolSpec(label_key=unit.label_key, label_value=unit.label_value))
    quota = quota_of(unit)
    if quota is None:
        return None
    if what == "department":
        spec = DepartmentSpec(resources=quota.pools, priority=quota.priority, department_id=unit.id)
        return Department(metadata=meta, spec=spec)
    return Project(
        metadata=meta,
        spec=ProjectSpec(
            department=departments.get(unit.department_id, ""),
            namespace=unit.namespace,
            resources=quota.pools,
            priority=quota.priority,
            default_node_pools=quota.default_node_pools,
            project_id=unit.id,
        ),
    )


def _workload(workload: Workload) -> DesiredObject | None:
    """None where the object cannot be read: the cluster keeps what it has."""
    body: dict[str, Any] | None = None
    if not workload.deleting and workload.object is not None:
        if stored.read(workload.object, Wanted, "workload", workload.id) is None:
            return None
        body = msgspec.json.decode(workload.object)
        body = {**body, "spec": {**body["spec"], "suspended": workload.suspended}}
    return DesiredObject(
        kind=workload.kind,
        name=workload.name,
        namespace=workload.namespace,
        id=workload.id,
        revision=workload.revision,
        object=body,
    )
