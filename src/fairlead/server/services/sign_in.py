"""Sign-in with the external provider: where a browser is sent, and whose account comes of its answer.

An account belongs to an issuer and a subject. The name is what people see, taken at the first sign-in and kept; it gives no rights, and
nobody gets the account of another by having the name.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import uuid
from collections.abc import Mapping
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from fairlead.runtime.errors import Denied, NotFound
from fairlead.server.auth.oidc.provider import Begun, Provider
from fairlead.server.auth.permissions import Principal
from fairlead.server.config import GroupRole, OidcConfig
from fairlead.server.db import accounts, clusters, org
from fairlead.server.db.records import EVERYTHING, AccessRule, User
from fairlead.server.services.access import BY_GROUPS
from fairlead.server.services.context import Context, record_event

_log = structlog.get_logger()

_NAME = re.compile(r"\S{1,200}")
Given = tuple[str, str, str]
"""(role, scope type, scope id)."""


async def begin(context: Context, secret: str) -> str:
    """Where a browser that keeps `secret` is sent.

    Raises: NotFound where there is no provider; Unreachable, Denied.
    """
    provider, _ = _provider(context)
    return await provider.sign_in_address(_begun(secret))


async def finish(context: Context, secret: str, answer: Mapping[str, str]) -> User:
    """The account of whoever came back from the provider, with the roles that their groups give. `answer`: the query.

    Raises: Denied with what is wrong, also where nobody has given a role; Unreachable, NotFound.
    """
    provider, config = _provider(context)
    begun = _begun(secret)
    if not secret or not hmac.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
        raise Denied(
            "This sign-in was not begun in this browser, or longer than ten minutes ago.",
            hint="Begin again; the browser has to keep cookies.",
            code="not-begun",
        )
    wanted = (config.username_claim, *([config.groups_claim] if config.group_roles else []))
    claims = await provider.claims(answer, begun, wanted)
    groups = _groups(claims, config)
    user, has_role = await _account(context, claims, groups)
    if not has_role:
        raise Denied(
            f"You are known here as {user.username!r} now, and nobody has given you a role yet.",
            hint=f"Ask an administrator for one. The provider names {_listed(groups)}.",
            code="no-role",
        )
    return user


def _provider(context: Context) -> tuple[Provider, OidcConfig]:
    if context.provider is None or context.config.oidc is None:
        raise NotFound(
            "This server is connected to no sign-in provider.", hint="server.oidc.issuer names one.", code="no-provider"
        )
    return context.provider, context.config.oidc


def _begun(secret: str) -> Begun:
    """Three texts that nobody can tell from one another, or from outside, who does not know the secret."""
    state, nonce, verifier = (
        base64.urlsafe_b64encode(hmac.digest(secret.encode(), what, hashlib.sha256)).rstrip(b"=").decode()
        for what in (b"state", b"nonce", b"verifier")
    )
    return Begun(state=state, nonce=nonce, verifier=verifier)


def _groups(claims: Mapping[str, Any], config: OidcConfig) -> tuple[str, ...]:
    found = claims.get(config.groups_claim)
    if isinstance(found, str):
        return (found,)
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()


def _listed(groups: tuple[str, ...]) -> str:
    if not groups:
        return "no group of yours"
    more = f" and {len(groups) - 5} more" if len(groups) > 5 else ""
    return f"these groups of yours: {', '.join(each[:60] for each in groups[:5])}{more}"


async def _account(context: Context, claims: Mapping[str, Any], groups: tuple[str, ...]) -> tuple[User, bool]:
    """(the account, whether it has a role), made and brought up to date in one transaction."""
    _, config = _provider(context)
    issuer, subject = config.client.issuer, str(claims["sub"])
    async with context.database.write() as c:
        user = await accounts.user_of_identity(c, issuer, subject)
        if user is None:
            user = await _new_account(context, c, claims, config)
            await accounts.add_identity(c, issuer, subject, user.id)
        mine = [each for each in config.group_roles if each.group in groups]
        lost = await _follow_groups(context, c, user, await _given(c, mine))
        has_role = bool(await accounts.access_rules(c, user.id))
    if lost:
        context.watch.rescope()
        context.channels.revoke(user.id)
    return user, has_role


async def _new_account(context: Context, c: AsyncConnection, claims: Mapping[str, Any], config: OidcConfig) -> User:
    name = _name(claims, config.username_claim)
    if await accounts.user_by_name(c, name) is not None:
        raise Denied(
            f"There is an account named {name!r} already, and it is not known to be yours.",
            hint="An administrator removes it, or names another claim in server.oidc.usernameClaim.",
            code="name-taken",
        )
    user = User(id=str(uuid.uuid4()), username=name, password_hash="", created=context.now())
    await accounts.add_user(c, user)
    await record_event(context, c, _as(user), "create", ("user", user.id, name), issuer=config.client.issuer)
    return user


def _name(claims: Mapping[str, Any], claim: str) -> str:
    name = claims.get(claim)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Denied(
            f"The provider says no name of yours: its token has no claim {claim!r} without spaces.",
            hint=f"It has {', '.join(sorted(claims))}. server.oidc.usernameClaim names one of them; more come with server.oidc.scopes.",
            code="no-name",
        )
    if claim == "email" and claims.get("email_verified") is not True:
        raise Denied(
            f"The provider has not made sure that {name!r} is your address.",
            hint="Have it verified there.",
            code="unverified",
        )
    return name


async def _given(c: AsyncConnection, mine: list[GroupRole]) -> set[Given]:
    """What those give. Where a scope is not there (any more), nothing, and the log says so."""
    ids = {each.name: each.id for each in await clusters.clusters(c, EVERYTHING)} if mine else {}
    places = {(p.what, p.cluster_id, p.name): p.id for p in await org.places(c)} if mine else {}
    found: set[Given] = set()
    for each in mine:
        what, *names = each.scope.split("/")
        cluster = ids.get(names[0]) if names else ""
        scope_id = places.get((what, cluster or "", names[1])) if len(names) > 1 else cluster
        if scope_id is None:
            _log.warning("group.scope_missing", group=each.group, scope=each.scope)
        else:
            found.add((each.role, what, scope_id))
    return found


async def _follow_groups(context: Context, c: AsyncConnection, user: User, given: set[Given]) -> bool:
    """Gives roles that groups give, takes away those they give no more; whether any was taken. What people gave stays."""
    rules = await accounts.access_rules(c, user.id)
    known = {(rule.role, rule.scope_type, rule.scope_id): rule for rule in rules}
    over = [rule for key, rule in known.items() if rule.created_by == BY_GROUPS and key not in given]
    for rule in over:
        await accounts.remove_access_rule(c, rule.id)
        await _record(context, c, user, "delete", rule)
    for role, scope_type, scope_id in sorted(given - known.keys()):
        rule = AccessRule(
            id=str(uuid.uuid4()),
            user_id=user.id,
            role=role,
            scope_type=scope_type,
            scope_id=scope_id,
            created=context.now(),
            created_by=BY_GROUPS,
        )
        await accounts.add_access_rule(c, rule)
        await _record(context, c, user, "create", rule)
    return bool(over)


async def _record(context: Context, c: AsyncConnection, user: User, action: str, rule: AccessRule) -> None:
    details = {"role": rule.role, "scope_type": rule.scope_type, "scope_id": rule.scope_id, "by": rule.created_by}
    await record_event(context, c, _as(user), action, ("access-rule", rule.id, user.username), **details)


def _as(user: User) -> Principal:
    return Principal(user_id=user.id, username=user.username)
