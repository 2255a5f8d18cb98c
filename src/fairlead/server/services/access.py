"""Users, and the rules that give them roles in a scope. A rule takes effect at once, in open event streams too."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from fairlead.runtime.errors import Conflict, Invalid, NotFound
from fairlead.server.auth import secrets
from fairlead.server.auth.permissions import ADMINISTRATOR, PERMISSIONS, Grant, Principal
from fairlead.server.auth.scope import EVERYTHING, Scope
from fairlead.server.db import accounts, audit, clusters, org
from fairlead.server.db.org import Place
from fairlead.server.db.records import AccessRule, User
from fairlead.server.services.context import Context, record_event

SCOPE_TYPES = ("system", "cluster", "department", "project")
BY_GROUPS = "groups of the provider"
"""Who gave a role that follows from a group: no user name, which holds no spaces. The provider can take it away again."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A rule as somebody asks for it. `scope_id` is not looked at for the scope `system`."""

    user_id: str
    role: str
    scope_type: str
    scope_id: str


async def principal(c: AsyncConnection, user: User) -> Principal:
    """The account with what its rules give it now."""
    rules = await accounts.access_rules(c, user.id)
    places = await org.places(c) if any(r.scope_type != "system" for r in rules) else ()
    grants = tuple(Grant(role=r.role, scope=_scope(r, places)) for r in rules)
    return Principal(user_id=user.id, username=user.username, grants=grants)


async def list_users(context: Context, principal: Principal) -> tuple[User, ...]:
    """All accounts by name."""
    principal.require("read", "users")
    async with context.database.read() as c:
        return await accounts.users(c)


async def get_user(context: Context, principal: Principal, user_id: str) -> User:
    """The account with that id.

    Raises: NotFound.
    """
    principal.require("read", "users")
    async with context.database.read() as c:
        return await _user(c, user_id)


async def create_user(context: Context, principal: Principal, username: str) -> tuple[User, str]:
    """A new account without any role, and its first password, which is not kept.

    Raises: Conflict where the name is taken.
    """
    principal.require("create", "users")
    password = secrets.new_secret(12)
    hashed = await secrets.hash_secret(password)
    user = User(id=str(uuid.uuid4()), username=username, password_hash=hashed, created=context.now())
    async with context.database.write() as c:
        if await accounts.user_by_name(c, username) is not None:
            raise Conflict(f"A user named {username!r} exists already.", hint="Choose another one.", code="name-taken")
        await accounts.add_user(c, user)
        await record_event(context, c, principal, "create", ("user", user.id, username))
    return user, password


async def delete_user(context: Context, principal: Principal, user_id: str) -> None:
    """Removes an account, its keys and its rules; what it submitted stays.

    Raises: Conflict where nobody could administrate afterwards; NotFound.
    """
    principal.require("delete", "users")
    async with context.database.write() as c:
        user = await _user(c, user_id)
        await _refuse_if_last(c, lambda rule: rule.user_id == user_id)
        await accounts.remove_user(c, user_id)
        await record_event(context, c, principal, "delete", ("user", user_id, user.username))
    _took_effect(context, user_id)


async def list_rules(context: Context, principal: Principal) -> tuple[AccessRule, ...]:
    """All rules, oldest first."""
    principal.require("read", "access-rules")
    async with context.database.read() as c:
        return await accounts.access_rules(c)


async def own_rules(context: Context, principal: Principal) -> tuple[AccessRule, ...]:
    """The principal's own rules, which everybody may read."""
    async with context.database.read() as c:
        return await accounts.access_rules(c, principal.user_id)


async def get_rule(context: Context, principal: Principal, rule_id: str) -> AccessRule:
    """The rule with that id.

    Raises: NotFound.
    """
    found = [rule for rule in await list_rules(context, principal) if rule.id == rule_id]
    if not found:
        raise NotFound(f"There is no access rule {rule_id!r}.", code="access-rule-not-found")
    return found[0]


async def create_rule(context: Context, principal: Principal, asked: Asked) -> AccessRule:
    """Gives a user a role in a scope.

    Raises: Conflict where there is that rule; Invalid, NotFound.
    """
    principal.require("create", "access-rules")
    if asked.role == ADMINISTRATOR and asked.scope_type != "system":
        raise Invalid(
            f"The role {ADMINISTRATOR} holds in the whole system only.",
            fields={"scopeType": "system, or another role: " + ", ".join(r for r in PERMISSIONS if r != ADMINISTRATOR)},
        )
    rule = AccessRule(
        id=str(uuid.uuid4()),
        user_id=asked.user_id,
        role=asked.role,
        scope_type=asked.scope_type,
        scope_id="" if asked.scope_type == "system" else asked.scope_id,
        created=context.now(),
        created_by=principal.username,
    )
    async with context.database.write() as c:
        user = await _user(c, rule.user_id)
        await _refuse_unknown_scope(c, rule)
        if any(_same(rule, known) for known in await accounts.access_rules(c, rule.user_id)):
            raise Conflict(f"{user.username!r} has the role {rule.role} there already.", code="rule-exists")
        await accounts.add_access_rule(c, rule)
        await record_event(context, c, principal, "create", ("access-rule", rule.id, user.username), **_details(rule))
    context.watch.rescope()
    return rule


async def delete_rule(context: Context, principal: Principal, rule_id: str) -> None:
    """Takes a role away again.

    Raises: Conflict where nobody could administrate afterwards; NotFound.
    """
    principal.require("delete", "access-rules")
    rule = await get_rule(context, principal, rule_id)
    async with context.database.write() as c:
        user = await _user(c, rule.user_id)
        await _refuse_if_last(c, lambda known: known.id == rule_id)
        await accounts.remove_access_rule(c, rule_id)
        await record_event(context, c, principal, "delete", ("access-rule", rule_id, user.username), **_details(rule))
    _took_effect(context, rule.user_id)


async def audit_log(context: Context, principal: Principal, part: audit.Part) -> tuple[int, tuple[dict[str, Any], ...]]:
    """(how many there are, one page) of who changed what."""
    principal.require("read", "audit")
    async with context.database.read() as c:
        return await audit.count(c, part), await audit.events(c, part)


def _took_effect(context: Context, user_id: str) -> None:
    """Streams look up again who reads them; logs and shells of the user, which were allowed when they were opened, end."""
    context.watch.rescope()
    context.channels.revoke(user_id)


def _scope(rule: AccessRule, places: Iterable[Place]) -> Scope:
    """What a rule shows: its unit, all that is below, and what stands above, which has to be named to show the unit."""
    if rule.scope_type == "system":
        return EVERYTHING
    key = {"cluster": "cluster_id", "department": "department_id", "project": "id"}[rule.scope_type]
    inside = [p for p in places if getattr(p, key) == rule.scope_id or p.id == rule.scope_id]
    above = {p.department_id for p in inside}
    shown = [*inside, *(p for p in places if p.id in above and p not in inside)]
    return Scope(
        clusters=frozenset(p.cluster_id for p in shown) | ({rule.scope_id} if rule.scope_type == "cluster" else set()),
        departments=frozenset(p.id for p in shown if p.what == "department"),
        projects=frozenset(p.id for p in shown if p.what == "project"),
        names=frozenset((p.cluster_id, p.what, p.name) for p in shown),
    )


def _same(a: AccessRule, b: AccessRule) -> bool:
    return (a.role, a.scope_type, a.scope_id) == (b.role, b.scope_type, b.scope_id)


def _details(rule: AccessRule) -> dict[str, str]:
    return {"role": rule.role, "scope_type": rule.scope_type, "scope_id": rule.scope_id}


async def _user(c: AsyncConnection, user_id: str) -> User:
    user = await accounts.user_by_id(c, user_id)
    if user is None:
        raise NotFound(f"There is no user {user_id!r}.", hint="`GET /api/v1/users` lists them.", code="user-not-found")
    return user


async def _refuse_unknown_scope(c: AsyncConnection, rule: AccessRule) -> None:
    if rule.scope_type == "system":
        return
    if rule.scope_type == "cluster":
        found: object = await clusters.cluster_by_id(c, rule.scope_id)
    else:
        found = await org.unit(c, rule.scope_type, rule.scope_id, EVERYTHING)
    if found is None:
        raise NotFound(f"There is no {rule.scope_type} {rule.scope_id!r}.", code=f"{rule.scope_type}-not-found")


async def _refuse_if_last(c: AsyncConnection, goes: Callable[[AccessRule], bool]) -> None:
    found = await accounts.access_rules(c)
    rules = [rule for rule in found if rule.role == ADMINISTRATOR and rule.created_by != BY_GROUPS]
    if rules and all(goes(rule) for rule in rules):
        raise Conflict(
            "Nobody could administrate afterwards.",
            hint=f"Give somebody else the role {ADMINISTRATOR} first.",
            code="last-administrator",
        )
