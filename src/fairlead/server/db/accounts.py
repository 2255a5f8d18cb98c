"""Users, browser sessions, access keys and access rules."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from fairlead.server.db import tables as t
from fairlead.server.db.records import AccessKey, AccessRule, User, record


async def user_by_name(c: AsyncConnection, username: str) -> User | None:
    """The account of that name."""
    row = (await c.execute(select(t.user).where(t.user.c.username == username))).one_or_none()
    return None if row is None else record(User, row)


async def user_by_id(c: AsyncConnection, user_id: str) -> User | None:
    """The account with that id."""
    row = (await c.execute(select(t.user).where(t.user.c.id == user_id))).one_or_none()
    return None if row is None else record(User, row)


async def add_user(c: AsyncConnection, user: User) -> None:
    """Stores a new account."""
    await c.execute(insert(t.user).values(**asdict(user)))


async def users(c: AsyncConnection) -> tuple[User, ...]:
    """All accounts by name."""
    return tuple(record(User, row) for row in await c.execute(select(t.user).order_by(t.user.c.username)))


async def remove_user(c: AsyncConnection, user_id: str) -> bool:
    """Removes an account with its sessions, keys and rules; whether there was one."""
    for table in (t.session, t.access_key, t.access_rule, t.identity, t.sign_in_code):
        await c.execute(delete(table).where(table.c.user_id == user_id))
    return (await c.execute(delete(t.user).where(t.user.c.id == user_id))).rowcount > 0


async def set_password(c: AsyncConnection, user_id: str, password_hash: str) -> None:
    """Replaces a password."""
    await c.execute(t.user.update().where(t.user.c.id == user_id).values(password_hash=password_hash))


async def user_of_identity(c: AsyncConnection, issuer: str, subject: str) -> User | None:
    """The account a provider's subject has here."""
    mine = t.identity.c.issuer == issuer, t.identity.c.subject == subject
    row = (
        await c.execute(select(t.user).join(t.identity, t.identity.c.user_id == t.user.c.id).where(*mine))
    ).one_or_none()
    return None if row is None else record(User, row)


async def add_identity(c: AsyncConnection, issuer: str, subject: str, user_id: str) -> None:
    """Gives an account to a provider's subject."""
    await c.execute(insert(t.identity).values(issuer=issuer, subject=subject, user_id=user_id))


async def add_sign_in_code(
    c: AsyncConnection, code_hash: str, user_id: str, challenge: str, times: tuple[float, float]
) -> None:
    """Stores a code by its hash, and forgets those that are over. `times`: (now, when it ends)."""
    now, expires = times
    await c.execute(delete(t.sign_in_code).where(t.sign_in_code.c.expires <= now))
    values = {"code_hash": code_hash, "user_id": user_id, "challenge": challenge, "expires": expires}
    await c.execute(insert(t.sign_in_code).values(**values))


async def use_sign_in_code(c: AsyncConnection, code_hash: str, challenge: str, now: float) -> str | None:
    """The id of the user whose code that is, which it is no more from now on; None where it is nobody's with that challenge."""
    mine = (
        t.sign_in_code.c.code_hash == code_hash,
        t.sign_in_code.c.challenge == challenge,
        t.sign_in_code.c.expires > now,
    )
    used = await c.execute(delete(t.sign_in_code).where(*mine).returning(t.sign_in_code.c.user_id))
    return used.scalar_one_or_none()


async def add_session(c: AsyncConnection, token_hash: str, user_id: str, expires: float) -> None:
    """Stores a browser session by the hash of its token."""
    await c.execute(insert(t.session).values(token_hash=token_hash, user_id=user_id, expires=expires))


async def user_of_session(c: AsyncConnection, token_hash: str, now: float) -> tuple[User, float] | None:
    """Whose session that is and when it ends; None when unknown or over."""
    found = (
        await c.execute(select(t.session).where(t.session.c.token_hash == token_hash, t.session.c.expires > now))
    ).one_or_none()
    if found is None:
        return None
    user = await user_by_id(c, found.user_id)
    return None if user is None else (user, found.expires)


async def end_session(c: AsyncConnection, token_hash: str) -> None:
    """Signs a browser out."""
    await c.execute(delete(t.session).where(t.session.c.token_hash == token_hash))


async def add_access_key(c: AsyncConnection, key: AccessKey) -> None:
    """Stores a new access key."""
    await c.execute(insert(t.access_key).values(**asdict(key)))


async def access_key_by_client(c: AsyncConnection, client_id: str) -> AccessKey | None:
    """The key with that client id."""
    row = (await c.execute(select(t.access_key).where(t.access_key.c.client_id == client_id))).one_or_none()
    return None if row is None else record(AccessKey, row)


async def access_keys_of(c: AsyncConnection, user_id: str) -> tuple[AccessKey, ...]:
    """All keys of a user, newest first."""
    query = select(t.access_key).where(t.access_key.c.user_id == user_id).order_by(t.access_key.c.created.desc())
    return tuple(record(AccessKey, row) for row in await c.execute(query))


async def remove_access_key(c: AsyncConnection, key_id: str, user_id: str) -> bool:
    """Removes a key of that user; whether there was one."""
    done = await c.execute(delete(t.access_key).where(t.access_key.c.id == key_id, t.access_key.c.user_id == user_id))
    return done.rowcount > 0


async def access_rules(c: AsyncConnection, user_id: str = "") -> tuple[AccessRule, ...]:
    """All rules, or those of one user, oldest first."""
    query = select(t.access_rule).order_by(t.access_rule.c.created, t.access_rule.c.id)
    if user_id:
        query = query.where(t.access_rule.c.user_id == user_id)
    return tuple(record(AccessRule, row) for row in await c.execute(query))


async def add_access_rule(c: AsyncConnection, rule: AccessRule) -> None:
    """Stores a new rule."""
    await c.execute(insert(t.access_rule).values(**asdict(rule)))


async def remove_access_rule(c: AsyncConnection, rule_id: str) -> None:
    """Removes a rule."""
    await c.execute(delete(t.access_rule).where(t.access_rule.c.id == rule_id))
