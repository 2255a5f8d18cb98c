"""Clusters, node pools, departments and projects."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from fairlead.wire.rest.base import Request, Rest

Name = Field(min_length=1, max_length=63)


class ResourceQuota(Request):
    """Amounts of one resource: GPUs in devices, CPUs in millicores, memory in `units`. A limit of None or -1 is no limit."""

    deserved: float | None = None
    limit: float | None = None
    over_quota_weight: float | None = Field(default=None, ge=0)


class MemoryQuota(ResourceQuota):
    """Memory amounts with their unit."""

    units: Literal["Mib", "MB", "GB", "Gib"] = "Mib"


class PoolRef(Request):
    """A node pool by id, name for people."""

    id: str | None = None
    name: str | None = None


class PoolResources(Request):
    """What a department or project may use in one node pool."""

    node_pool: PoolRef | None = None
    gpu: ResourceQuota | None = None
    cpu: ResourceQuota | None = None
    memory: MemoryQuota | None = None
    priority: str | None = None


class OrgUnitWrite(Request):
    """What departments and projects share. Rules not enforced yet are refused, not dropped."""

    description: str | None = None
    scheduling_rules: dict[str, Any] | None = None
    default_node_pools: list[str] | None = None
    node_types: dict[str, Any] | None = None
    resources: list[PoolResources | None]


class DepartmentCreate(OrgUnitWrite):
    """Body of `POST /api/v1/org-unit/departments`."""

    name: str = Name
    cluster_id: str
    overtime_data: dict[str, Any] | None = None


class DepartmentUpdate(OrgUnitWrite):
    """Body of `PUT /api/v1/org-unit/departments/{id}`."""


class ProjectCreate(OrgUnitWrite):
    """Body of `POST /api/v1/org-unit/projects`."""

    name: str = Name
    cluster_id: str
    requested_namespace: str | None = None
    enforce_runai_scheduler: bool | None = None
    parent_id: str | None = None


class ProjectUpdate(OrgUnitWrite):
    """Body of `PUT /api/v1/org-unit/projects/{id}`."""

    enforce_runai_scheduler: bool | None = None


class QuotaStatus(Rest):
    """Use of one pool by a department or project: GPUs in devices, CPUs in cores, memory in bytes."""

    node_pool_name: str
    allocated: dict[str, float]
    allocated_non_preemptible: dict[str, float]
    requested: dict[str, float]
    fair_share: dict[str, float]


class OrgUnitStatus(Rest):
    """State of a department or project in its cluster."""

    namespace: str | None = None
    phase: str
    phase_message: str = ""
    node_pool_quota_statuses: list[QuotaStatus] = []


class OrgUnit(Rest):
    """What departments and projects answer with."""

    id: str
    name: str
    description: str | None = None
    cluster_id: str
    created_at: datetime
    updated_at: datetime
    created_by: str
    resources: list[PoolResources]
    default_node_pools: list[str] = []
    status: OrgUnitStatus
    simulated: bool = False
    """Ours: true where the GPUs of its cluster do not exist."""


class Parent(Rest):
    """A project's department."""

    id: str
    name: str
    type: str = "department"


class Department(OrgUnit):
    """A department."""

    type: str = "department"
    children: list[Parent] = []


class Project(OrgUnit):
    """A project: a namespace and a leaf queue of quota."""

    type: str = "project"
    parent: Parent | None = None
    parent_id: str | None = None
    requested_namespace: str | None = None
    enforce_runai_scheduler: bool = True


class Departments(Rest):
    """One page of departments; `next` is the offset of the following page."""

    departments: list[Department]
    next: int | None = None


class Projects(Rest):
    """One page of projects; `next` is the offset of the following page."""

    projects: list[Project]
    next: int | None = None


class Count(Rest):
    """How many rows a list would give."""

    count: int


class ClusterCreate(Request):
    """Body of `POST /api/v1/clusters`."""

    name: str = Name
    domain: str | None = None
    version: str | None = None


class Cluster(Rest):
    """A cluster and the state of its connection."""

    uuid: str
    name: str
    tenant_id: int = 1
    domain: str | None = None
    created_at: datetime
    version: str | None = None
    last_liveness: datetime | None = None
    status: dict[str, Any]
    client_secret: str | None = None


class PlacementStrategy(Request):
    """How nodes are chosen. `spread` is not there yet, and refused rather than dropped."""

    gpu: Literal["binpack"] | None = None
    cpu: Literal["binpack"] | None = None


class NodePoolCreate(Request):
    """Body of `POST /api/v1/node-pools`."""

    name: str = Name
    label_key: str = Field(min_length=1)
    label_value: str = Field(min_length=1)
    cluster_id: str
    placement_strategy: PlacementStrategy | None = None
    over_provisioning_ratio: float | None = Field(default=None, ge=1, le=1)


class NodePool(Rest):
    """A node pool: the nodes with one label value."""

    id: str
    name: str
    label_key: str | None = None
    label_value: str | None = None
    cluster_id: str
    cluster_name: str
    tenant_id: int = 1
    phase: str
    is_default: bool
    placement_strategy: dict[str, str] = {"gpu": "binpack", "cpu": "binpack"}
    """In the words of existing clients, who know only this and `spread`: nodes in use are filled before others."""
    placement: str = "fit"
    """Ours: how that is done, by the least loss of room for what is expected to come."""
    created_at: datetime
    updated_at: datetime
    created_by: str


class NodePools(Rest):
    """All node pools."""

    nodepools: list[NodePool]


class GpuInfo(Rest):
    """Kind and number of a node's GPUs."""

    gpu_type: str
    gpu_count: int


class Node(Rest):
    """A node. `simulated` is ours: true where its GPUs do not exist."""

    id: str
    name: str
    status: str
    node_pool: str
    cluster_uuid: str
    created_at: datetime
    updated_at: datetime
    gpu_info: GpuInfo | None = None
    conditions: list[dict[str, str]] = []
    taints: list[dict[str, str]] = []
    simulated: bool = False
    gpus: list[dict[str, Any]] = []
    cpu_milli: int = 0
    cpu_used_milli: int = 0
    memory_bytes: int = 0
    memory_used_bytes: int = 0
    runtime: str = ""


class Nodes(Rest):
    """One page of nodes."""

    nodes: list[Node]
    next: int | None = None
