"""Routes: users, roles, access rules, the audit trail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from fairlead.runtime.errors import NotFound
from fairlead.server.api.dependencies import Ctx, FilterBy, Who, page_of
from fairlead.server.auth.permissions import PERMISSIONS
from fairlead.server.db.audit import Part
from fairlead.server.db.records import AccessRule, User
from fairlead.server.services import access, accounts
from fairlead.server.services.filters import kept
from fairlead.server.services.views import time
from fairlead.wire.rest import access as rest
from fairlead.wire.rest.organisation import Count

router = APIRouter(prefix="/api/v1", tags=["access"])

ROLES = {number: name for number, name in enumerate(PERMISSIONS, start=1)}
"""Role ids as existing clients know them: numbers."""
_NUMBERS = {name: number for number, name in ROLES.items()}
_WHOLE = ("system", "tenant")
"""One server is one tenant, so both words mean everything."""


class RuleQuery(BaseModel):
    """Which rules: those of a user, with a role, in a scope."""

    offset: int = Field(default=0, ge=0, le=2**31)
    limit: int = Field(default=500, ge=1, le=10_000)
    subjectIdFilter: str | None = None
    roleId: int | None = None
    scopeId: str | None = None
    filterBy: list[str] | None = None


class AuditQuery(BaseModel):
    """Which events, between what times."""

    offset: int = Field(default=0, ge=0, le=2**31)
    limit: int = Field(default=100, ge=1, le=10_000)
    start: datetime | None = None
    end: datetime | None = None
    sortOrder: Literal["asc", "desc"] = "desc"


@router.get("/users")
async def list_users(context: Ctx, who: Who, filter_by: FilterBy = None) -> list[rest.User]:
    """All local accounts by name."""
    return kept([_user(u) for u in await access.list_users(context, who)], filter_by, _USER_FIELDS, "Users")


@router.get("/users/count")
async def count_users(context: Ctx, who: Who, filter_by: FilterBy = None) -> Count:
    """How many accounts there are."""
    return Count(count=len(await list_users(context, who, filter_by)))


@router.post("/users", status_code=201)
async def create_user(body: rest.UserCreate, context: Ctx, who: Who) -> rest.User:
    """A new account without any role; its first password is shown this once."""
    return _user(*await access.create_user(context, who, body.email))


@router.get("/users/{user_id}")
async def get_user(user_id: str, context: Ctx, who: Who) -> rest.User:
    """One account."""
    return _user(await access.get_user(context, who, user_id))


@router.delete("/users/{user_id}", status_code=204)
async def delete_user(user_id: str, context: Ctx, who: Who) -> None:
    """Removes an account, its keys and its rules."""
    await access.delete_user(context, who, user_id)


@router.post("/me/password", status_code=204)
async def change_password(body: rest.PasswordChange, context: Ctx, who: Who) -> None:
    """Replaces the caller's own password."""
    await accounts.change_password(context, who, body.current_password, body.new_password)


@router.get("/authorization/roles")
async def list_roles(who: Who) -> list[rest.Role]:
    """All roles."""
    return [_role(number) for number in ROLES]


@router.get("/authorization/roles/{role_id}")
async def get_role(role_id: int, who: Who) -> rest.Role:
    """One role."""
    return _role(role_id)


@router.get("/authorization/access-rules")
async def list_rules(context: Ctx, who: Who, query: Annotated[RuleQuery, Query()]) -> rest.AccessRules:
    """Who has which role where."""
    shown = [_rule(r) for r in await access.list_rules(context, who)]
    asked = {"subject_id": query.subjectIdFilter, "role_id": query.roleId, "scope_id": query.scopeId}
    found = [r for r in shown if all(v is None or getattr(r, k) == v for k, v in asked.items())]
    found = kept(found, query.filterBy, _RULE_FIELDS, "Access rules")
    page, _ = page_of(found, query.offset, query.limit)
    return rest.AccessRules(total_records=len(found), display_records=len(page), access_rules=page)


@router.get("/authorization/me/access-rules")
async def own_rules(context: Ctx, who: Who) -> rest.AccessRules:
    """The caller's own roles."""
    found = [_rule(r) for r in await access.own_rules(context, who)]
    return rest.AccessRules(total_records=len(found), display_records=len(found), access_rules=found)


@router.get("/authorization/access-rules/count")
async def count_rules(context: Ctx, who: Who) -> Count:
    """How many rules there are."""
    return Count(count=len(await access.list_rules(context, who)))


@router.post("/authorization/access-rules", status_code=201)
async def create_rule(body: rest.AccessRuleCreate, context: Ctx, who: Who) -> rest.AccessRule:
    """Gives a user a role in a scope, at once."""
    asked = access.Asked(
        user_id=body.subject_id,
        role=_role(body.role_id).name,
        scope_type="system" if body.scope_type in _WHOLE else body.scope_type,
        scope_id=body.scope_id,
    )
    return _rule(await access.create_rule(context, who, asked))


@router.get("/authorization/access-rules/{rule_id}")
async def get_rule(rule_id: str, context: Ctx, who: Who) -> rest.AccessRule:
    """One rule."""
    return _rule(await access.get_rule(context, who, rule_id))


@router.delete("/authorization/access-rules/{rule_id}", status_code=204)
async def delete_rule(rule_id: str, context: Ctx, who: Who) -> None:
    """Takes a role away again, at once."""
    await access.delete_rule(context, who, rule_id)


@router.get("/audit/log")
async def audit_log(context: Ctx, who: Who, query: Annotated[AuditQuery, Query()]) -> rest.AuditLog:
    """Who changed what, newest first unless said."""
    part = Part(
        start=query.start.timestamp() if query.start else 0.0,
        end=query.end.timestamp() if query.end else None,
        offset=query.offset,
        limit=query.limit,
        ascending=query.sortOrder == "asc",
    )
    total, rows = await access.audit_log(context, who, part)
    logs = [rest.AuditEvent(timestamp=time(row.pop("time")), **row) for row in rows]
    following = query.offset + query.limit
    return rest.AuditLog(total=total, next=following if following < total else None, audit_logs=logs)


_USER_FIELDS: dict[str, Callable[[rest.User], Any]] = {
    "username": lambda u: u.username,
    "id": lambda u: u.id,
    "createdAt": lambda u: u.created_at,
}
_RULE_FIELDS: dict[str, Callable[[rest.AccessRule], Any]] = {
    "subjectId": lambda r: r.subject_id,
    "roleId": lambda r: r.role_id,
    "roleName": lambda r: r.role_name,
    "scopeType": lambda r: r.scope_type,
    "scopeId": lambda r: r.scope_id,
    "createdBy": lambda r: r.created_by,
    "createdAt": lambda r: r.created_at,
}
"""What `filterBy` knows."""


def _user(user: User, password: str | None = None) -> rest.User:
    return rest.User(
        id=user.id,
        username=user.username,
        is_local=user.is_local,
        temp_password=password,
        created_at=time(user.created),
    )


def _role(number: int) -> rest.Role:
    if number not in ROLES:
        known = ", ".join(f"{n} = {name}" for n, name in ROLES.items())
        raise NotFound(f"There is no role {number}.", hint=f"Roles: {known}.", code="role-not-found")
    allowed = [
        {"resourceType": resource, "actions": sorted(verbs)}
        for resource, verbs in PERMISSIONS[ROLES[number]].items()
        if verbs
    ]
    return rest.Role(id=number, name=ROLES[number], permissions=allowed)


def _rule(rule: AccessRule) -> rest.AccessRule:
    return rest.AccessRule(
        id=rule.id,
        subject_id=rule.user_id,
        role_id=_NUMBERS[rule.role],
        role_name=rule.role,
        scope_type=rule.scope_type,
        scope_id=rule.scope_id or "1",
        created_at=time(rule.created),
        created_by=rule.created_by,
    )
