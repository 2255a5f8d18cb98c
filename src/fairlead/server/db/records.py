"""What repositories give back: frozen copies of rows, field by field as in `tables.py`. JSON stays text until somebody reads it
(`stored.read`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from fairlead.server.auth.scope import EVERYTHING, Scope

__all__ = ["EVERYTHING", "AccessKey", "AccessRule", "Cluster", "OrgUnit", "Scope", "User", "Workload", "record"]

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """An account. `password_hash` is empty where a provider signs it in."""

    id: str
    username: str
    password_hash: str
    created: float

    @property
    def is_local(self) -> bool:
        """Whether it signs in with a password of this server."""
        return bool(self.password_hash)


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessRule:
    """A role given to a user in one scope: `system` (id empty), `cluster`, `department` or `project`."""

    id: str
    user_id: str
    role: str
    scope_type: str
    scope_id: str
    created: float
    created_by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessKey:
    """A key for programs, acting as its user."""

    id: str
    name: str
    client_id: str
    secret_hash: str
    user_id: str
    created: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """A cluster, how far it has followed (`revision` wanted, `applied` reached), and how it stands (a `ClusterHealth` as JSON)."""

    id: str
    name: str
    secret_hash: str
    kube_uid: str
    agent_version: str
    kubernetes: str
    revision: int
    applied: int
    last_seen: float
    created: float
    created_by: str
    health: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class OrgUnit:
    """A node pool, department or project; the last three pairs belong to one kind each."""

    id: str
    cluster_id: str
    name: str
    description: str
    resources: str
    revision: int
    created: float
    updated: float
    created_by: str
    deleted: float
    version: int
    label_key: str = ""
    label_value: str = ""
    department_id: str = ""
    namespace: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """A workload: asked (`spec`), wanted (`object`) and as the cluster last said (`observed`, a `WorkloadRow`), each as JSON."""

    id: str
    cluster_id: str
    project_id: str
    kind: str
    name: str
    namespace: str
    spec: str | None
    object: str | None
    suspended: bool
    deleting: bool
    refused: str
    revision: int
    submitted_by: str
    created: float
    updated: float
    deleted: float
    version: int
    phase: str
    observed: str | None


def record(kind: type[R], row: Any) -> R:
    """The row as a value of `kind`."""
    return kind(**row._mapping)
