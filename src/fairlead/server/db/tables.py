"""Tables of the control plane. `version` guards updates: a write names the version it read. Times: seconds since the epoch.

`deleted` is 0 while a row lives, so that a name is unique among the living and free again afterwards.
"""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, MetaData, String, Table, UniqueConstraint

metadata = MetaData()

user = Table(
    "user_account",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("username", String(200), nullable=False, unique=True),
    Column("password_hash", String(300), nullable=False),
    Column("created", Float, nullable=False),
)

identity = Table(
    "identity",
    metadata,
    Column("issuer", String(500), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("user_id", String(36), nullable=False),
)
"""Whom a provider vouches for: it promises that a subject is one person for ever, and nothing else that it says of them."""

access_rule = Table(
    "access_rule",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", String(36), nullable=False),
    Column("role", String(40), nullable=False),
    Column("scope_type", String(20), nullable=False),
    Column("scope_id", String(36), nullable=False),
    Column("created", Float, nullable=False),
    Column("created_by", String(200), nullable=False),
    UniqueConstraint("user_id", "role", "scope_type", "scope_id"),
)
"""A role given to a user in a system, cluster, department or project."""

session = Table(
    "session",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("user_id", String(36), nullable=False),
    Column("expires", Float, nullable=False),
)

sign_in_code = Table(
    "sign_in_code",
    metadata,
    Column("code_hash", String(64), primary_key=True),
    Column("user_id", String(36), nullable=False),
    Column("challenge", String(43), nullable=False),
    Column("expires", Float, nullable=False),
)
"""What a signed-in browser hands to a `fairlead` on the command line, which alone can show what the challenge was made of."""

access_key = Table(
    "access_key",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("client_id", String(100), nullable=False, unique=True),
    Column("secret_hash", String(300), nullable=False),
    Column("user_id", String(36), nullable=False),
    Column("created", Float, nullable=False),
)

cluster = Table(
    "cluster",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(63), nullable=False, unique=True),
    Column("secret_hash", String(300), nullable=False),
    Column("kube_uid", String(64), nullable=False, default=""),
    Column("agent_version", String(40), nullable=False, default=""),
    Column("kubernetes", String(40), nullable=False, default=""),
    Column("revision", Integer, nullable=False, default=0),
    Column("applied", Integer, nullable=False, default=0),
    Column("last_seen", Float, nullable=False, default=0.0),
    Column("created", Float, nullable=False),
    Column("created_by", String(200), nullable=False),
    Column("health", JSON(none_as_null=True)),
)
"""`health`: how it stands by its own word (`ClusterHealth`); null until it has said it."""


def _org_unit(name: str, *columns: Column[str]) -> Table:
    """Columns that node pools, departments and projects share."""
    return Table(
        name,
        metadata,
        Column("id", String(36), primary_key=True),
        Column("cluster_id", String(36), nullable=False, index=True),
        Column("name", String(63), nullable=False),
        *columns,
        Column("description", String(1000), nullable=False, default=""),
        Column("resources", JSON, nullable=False),
        Column("revision", Integer, nullable=False),
        Column("created", Float, nullable=False),
        Column("updated", Float, nullable=False),
        Column("created_by", String(200), nullable=False),
        Column("deleted", Float, nullable=False, default=0.0),
        Column("version", Integer, nullable=False, default=1),
        UniqueConstraint("cluster_id", "name", "deleted"),
    )


node_pool = _org_unit(
    "node_pool", Column("label_key", String(317), nullable=False), Column("label_value", String(63), nullable=False)
)
department = _org_unit("department")
project = _org_unit(
    "project",
    Column("department_id", String(36), nullable=False, index=True),
    Column("namespace", String(63), nullable=False, index=True),
)

workload = Table(
    "workload",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("cluster_id", String(36), nullable=False, index=True),
    Column("project_id", String(36), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("name", String(253), nullable=False),
    Column("namespace", String(63), nullable=False),
    Column("spec", JSON(none_as_null=True)),
    Column("object", JSON(none_as_null=True)),
    Column("suspended", Boolean, nullable=False, default=False),
    Column("deleting", Boolean, nullable=False, default=False),
    Column("refused", String(2000), nullable=False, default=""),
    Column("revision", Integer, nullable=False, default=0),
    Column("submitted_by", String(200), nullable=False, default=""),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("deleted", Float, nullable=False, default=0.0),
    Column("version", Integer, nullable=False, default=1),
    Column("phase", String(20), nullable=False, default="Creating"),
    Column("observed", JSON(none_as_null=True)),
    UniqueConstraint("project_id", "name", "deleted"),
    Index("workload_created", "deleted", "created"),
    Index("workload_revision", "cluster_id", "revision"),
)
"""One denormalised row a workload: what was asked, what is wanted, and what the cluster last said (`observed`)."""

pod = Table(
    "pod",
    metadata,
    Column("uid", String(64), primary_key=True),
    Column("cluster_id", String(36), nullable=False),
    Column("workload_id", String(36), nullable=False, index=True),
    Column("row", JSON, nullable=False),
)

node = Table(
    "node",
    metadata,
    Column("cluster_id", String(36), primary_key=True),
    Column("name", String(253), primary_key=True),
    Column("row", JSON, nullable=False),
    Column("updated", Float, nullable=False),
)

queue = Table(
    "queue",
    metadata,
    Column("cluster_id", String(36), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("row", JSON, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("time", Float, nullable=False, index=True),
    Column("subject", String(200), nullable=False),
    Column("action", String(40), nullable=False),
    Column("entity_type", String(40), nullable=False),
    Column("entity_id", String(64), nullable=False),
    Column("entity_name", String(253), nullable=False),
    Column("details", JSON),
)
