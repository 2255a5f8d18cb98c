"""Sign-in: the first administrator, tokens, browser sessions, access keys."""

from __future__ import annotations

import hmac
import uuid

from fairlead.runtime.errors import Denied, NotFound, SignedOut
from fairlead.server.auth import permissions, secrets
from fairlead.server.auth.permissions import Principal
from fairlead.server.db import accounts
from fairlead.server.db.records import AccessKey, AccessRule, User
from fairlead.server.services import access
from fairlead.server.services.context import Context, record_event

ADMINISTRATOR = "admin"
_CODE_SECONDS = 300
"""Life of a code that a browser hands to the command line."""


async def ensure_administrator(context: Context, password: str) -> None:
    """Makes the local administrator with this password, or gives it this password."""
    async with context.database.read() as c:
        user = await accounts.user_by_name(c, ADMINISTRATOR)
    if user is not None and await secrets.matches(user.password_hash, password):
        return
    hashed = await secrets.hash_secret(password)
    async with context.database.write() as c:
        if user is not None:
            await accounts.set_password(c, user.id, hashed)
            return
        made = User(id=str(uuid.uuid4()), username=ADMINISTRATOR, password_hash=hashed, created=context.now())
        await accounts.add_user(c, made)
        rule = AccessRule(
            id=str(uuid.uuid4()),
            user_id=made.id,
            role=permissions.ADMINISTRATOR,
            scope_type="system",
            scope_id="",
            created=made.created,
            created_by="fairlead",
        )
        await accounts.add_access_rule(c, rule)


async def password_login(context: Context, username: str, password: str) -> User:
    """The account of that name and password.

    Raises: Denied, the same for an unknown name and a wrong password.
    """
    async with context.database.read() as c:
        user = await accounts.user_by_name(c, username)
    if not await secrets.matches(user.password_hash if user else None, password) or user is None:
        raise Denied("The user name or the password is wrong.", code="wrong-password")
    return user


async def key_login(context: Context, client_id: str, client_secret: str) -> User:
    """The account an access key acts for.

    Raises: Denied, the same for an unknown key and a wrong secret.
    """
    async with context.database.read() as c:
        key = await accounts.access_key_by_client(c, client_id)
        user = await accounts.user_by_id(c, key.user_id) if key else None
    if not await secrets.is_token(key.secret_hash if key else None, client_secret) or user is None:
        raise Denied("The client id or the client secret is wrong.", code="wrong-key")
    return user


def access_token(context: Context, user: User) -> tuple[str, int]:
    """A bearer token for that account and its life in seconds."""
    seconds = context.config.token_seconds
    return context.tokens.access(user.id, now=context.now(), seconds=seconds), seconds


async def open_session(context: Context, user: User) -> tuple[str, float]:
    """A browser session: its secret for the cookie, and when it ends."""
    token = secrets.new_secret()
    config = context.config
    expires = context.now() + (config.session_seconds if user.is_local else config.provider_session_seconds)
    async with context.database.write() as c:
        await accounts.add_session(c, secrets.token_hash(token), user.id, expires)
    return token, expires


async def one_time_login(context: Context, key: str) -> User:
    """The administrator, for the key that was printed at the start; a key works once.

    Raises: Denied where it is not the key, or was used.
    """
    expected = context.one_time_keys
    if not any(hmac.compare_digest(key, k) for k in expected):
        raise Denied(
            "This sign-in link was used already, or is not of this server.",
            hint="Sign in with the password, or run `fairlead up` again for a new link.",
            code="wrong-key",
        )
    expected.discard(key)
    async with context.database.read() as c:
        user = await accounts.user_by_name(c, ADMINISTRATOR)
    if user is None:
        raise NotFound("There is no administrator yet.")
    return user


def new_one_time_key(context: Context, principal: Principal) -> str:
    """A key that signs a browser in as the administrator, once; earlier ones stop working."""
    principal.require("create", "access-keys")
    principal.require("update", "clusters")
    context.one_time_keys.clear()
    key = secrets.new_secret(24)
    context.one_time_keys.add(key)
    return key


async def new_sign_in_code(context: Context, principal: Principal, challenge: str) -> str:
    """A code for the `fairlead` on a command line that made the challenge: it acts as the principal then. It works once."""
    code = secrets.new_secret(15)
    now = context.now()
    async with context.database.write() as c:
        times = (now, now + _CODE_SECONDS)
        await accounts.add_sign_in_code(c, secrets.token_hash(code), principal.user_id, challenge, times)
    return code


async def code_login(context: Context, code: str, verifier: str) -> User:
    """The account that gave out the code, for whoever has what its challenge was made of.

    Raises: Denied, the same for a code that is none, was used, is over, or is another one's.
    """
    async with context.database.write() as c:
        challenge = secrets.challenge_of(verifier)
        user_id = await accounts.use_sign_in_code(c, secrets.token_hash(code), challenge, context.now())
        user = await accounts.user_by_id(c, user_id) if user_id else None
    if user is None:
        raise Denied(
            "The code is wrong, was used, or is older than five minutes.", hint="Sign in again.", code="wrong-code"
        )
    return user


async def principal_of_token(context: Context, token: str) -> Principal:
    """Who a bearer token speaks for.

    Raises: SignedOut.
    """
    user_id = context.tokens.user_of(token, now=context.now())
    async with context.database.read() as c:
        user = await accounts.user_by_id(c, user_id)
        if user is None:
            raise SignedOut("The account of this token is no more.")
        return await access.principal(c, user)


async def principal_of_session(context: Context, token: str) -> tuple[Principal, float]:
    """Who a browser session belongs to, and when it ends.

    Raises: SignedOut.
    """
    async with context.database.read() as c:
        found = await accounts.user_of_session(c, secrets.token_hash(token), context.now())
        if found is None:
            raise SignedOut("The session is over.", hint="Sign in again.")
        return await access.principal(c, found[0]), found[1]


async def close_session(context: Context, token: str) -> None:
    """Signs a browser out."""
    async with context.database.write() as c:
        await accounts.end_session(c, secrets.token_hash(token))
    context.watch.recheck()


async def change_password(context: Context, principal: Principal, current: str, new: str) -> None:
    """Replaces the principal's own password.

    Raises: Denied where `current` is not the one there is.
    """
    async with context.database.read() as c:
        user = await accounts.user_by_id(c, principal.user_id)
    if user is not None and not user.is_local:
        raise Denied(
            "This account has no password here: a provider signs it in.", hint="Change it there.", code="no-password"
        )
    if not await secrets.matches(user.password_hash if user else None, current) or user is None:
        raise Denied("The current password is wrong.", code="wrong-password")
    hashed = await secrets.hash_secret(new)
    async with context.database.write() as c:
        await accounts.set_password(c, user.id, hashed)
        await record_event(context, c, principal, "update", ("user", user.id, user.username))


async def create_access_key(context: Context, principal: Principal, name: str) -> tuple[AccessKey, str]:
    """A new key of the principal, and its secret, which is not kept."""
    principal.require("create", "access-keys")
    secret = secrets.new_secret()
    key = AccessKey(
        id=str(uuid.uuid4()),
        name=name,
        client_id=f"{name}-{uuid.uuid4().hex[:8]}".replace("_", "-"),
        secret_hash=secrets.token_hash(secret),
        user_id=principal.user_id,
        created=context.now(),
    )
    async with context.database.write() as c:
        await accounts.add_access_key(c, key)
        await record_event(context, c, principal, "create", ("access-key", key.id, name))
    return key, secret


async def list_access_keys(context: Context, principal: Principal) -> tuple[AccessKey, ...]:
    """The principal's own keys."""
    principal.require("read", "access-keys")
    async with context.database.read() as c:
        return await accounts.access_keys_of(c, principal.user_id)


async def delete_access_key(context: Context, principal: Principal, key_id: str) -> None:
    """Removes one of the principal's keys. Tokens made with it live on until they end.

    Raises: NotFound.
    """
    principal.require("delete", "access-keys")
    async with context.database.write() as c:
        if not await accounts.remove_access_key(c, key_id, principal.user_id):
            raise NotFound(f"There is no access key {key_id}.", code="access-key-not-found")
        await record_event(context, c, principal, "delete", ("access-key", key_id, ""))
