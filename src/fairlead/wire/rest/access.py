"""Users, roles, access rules and the audit trail."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from fairlead.wire.rest.base import Request, Rest


class UserCreate(Request):
    """Body of `POST /api/v1/users`. Mail is not sent by this version: the first password is in the answer."""

    email: str = Field(min_length=1, max_length=200, pattern=r"^\S+$")
    reset_password: bool | None = None
    notify: bool | None = None


class User(Rest):
    """An account; `is_local`: with a password of this server. `temp_password` is shown once, when it is made."""

    id: str
    username: str
    tenant_id: int = 1
    is_local: bool = True
    temp_password: str | None = None
    created_at: datetime


class PasswordChange(Request):
    """Body of `POST /api/v1/me/password`."""

    current_password: str
    new_password: str = Field(min_length=8, max_length=1000)


class Role(Rest):
    """A role and, per resource, the verbs it allows."""

    id: int
    name: str
    custom: bool = False
    enabled: bool = True
    permissions: list[dict[str, Any]]


class AccessRuleCreate(Request):
    """Body of `POST /api/v1/authorization/access-rules`. `scope_id` is not looked at for the scopes system and tenant."""

    subject_id: str
    subject_type: Literal["user"]
    role_id: int
    scope_type: Literal["system", "tenant", "cluster", "department", "project"]
    scope_id: str = ""
    cluster_id: str | None = None


class AccessRule(Rest):
    """A role that a user has in a scope."""

    id: str
    subject_id: str
    subject_type: str = "user"
    role_id: int
    role_name: str
    scope_type: str
    scope_id: str
    tenant_id: int = 1
    phase: str = "Ready"
    created_at: datetime
    created_by: str


class AccessRules(Rest):
    """One page of rules; `total_records` counts all that the filters leave."""

    total_records: int
    display_records: int
    access_rules: list[AccessRule]


class AuditEvent(BaseModel):
    """Who changed what. Existing clients know these names in snake_case."""

    id: int
    timestamp: datetime
    tenant_id: int = 1
    subject: str
    subject_type: str = "user"
    action: str
    entity_type: str
    entity_id: str
    entity_name: str
    details: dict[str, Any] | None = None


class AuditLog(BaseModel):
    """One page of the audit trail; `next` is the offset of the following page."""

    total: int
    next: int | None = None
    audit_logs: list[AuditEvent]
