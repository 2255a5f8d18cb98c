"""Routes: tokens, sessions, access keys."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from fairlead.runtime.errors import Invalid
from fairlead.server.api.dependencies import COOKIE, Ctx, Who, context_of
from fairlead.server.db.records import AccessKey, User
from fairlead.server.services import accounts
from fairlead.server.services.views import time
from fairlead.wire.rest import auth as rest

router = APIRouter(tags=["sign-in"])


@router.post("/api/v1/token")
async def token(body: rest.TokenRequest, context: Ctx) -> rest.TokenResponse:
    """A bearer token for an access key or a password."""
    user = await _user(context, body)
    text, seconds = accounts.access_token(context, user)
    return rest.TokenResponse(access_token=text, expires_in=seconds)


@router.post("/api/fairlead/v1/session")
async def sign_in(body: rest.SessionRequest, context: Ctx, response: Response) -> rest.Session:
    """Signs a browser in with user name and password."""
    return await open_session(context, await accounts.password_login(context, body.username, body.password), response)


@router.post("/api/fairlead/v1/session/key")
async def sign_in_once(body: rest.OneTimeKey, context: Ctx, response: Response) -> rest.Session:
    """Signs a browser in with the key of a printed link, which works once."""
    return await open_session(context, await accounts.one_time_login(context, body.key), response)


@router.post("/api/fairlead/v1/session/keys", status_code=201)
async def new_sign_in_key(context: Ctx, who: Who) -> rest.OneTimeKey:
    """A new key for a sign-in link of the administrator."""
    return rest.OneTimeKey(key=accounts.new_one_time_key(context, who))


@router.post("/api/fairlead/v1/session/codes", status_code=201)
async def new_sign_in_code(body: rest.Challenge, context: Ctx, who: Who) -> rest.SignInCode:
    """A code by which a `fairlead` on a command line signs in as the caller, once."""
    return rest.SignInCode(code=await accounts.new_sign_in_code(context, who, body.challenge))


@router.get("/api/fairlead/v1/session")
async def session(who: Who) -> rest.Session:
    """Who is signed in."""
    return rest.Session(username=who.username, role=who.role)


@router.delete("/api/fairlead/v1/session", status_code=204)
async def sign_out(request: Request, response: Response) -> None:
    """Ends the browser's session."""
    token = request.cookies.get(COOKIE)
    if token:
        await accounts.close_session(context_of(request), token)
    response.delete_cookie(COOKIE, path="/")


@router.post("/api/v1/access-keys", status_code=201)
async def create_key(body: rest.AccessKeyCreate, context: Ctx, who: Who) -> rest.AccessKey:
    """A key for programs; its secret is shown this once."""
    key, secret = await accounts.create_access_key(context, who, body.name)
    return _key(key, who.username, secret)


@router.get("/api/v1/access-keys")
async def list_keys(context: Ctx, who: Who) -> dict[str, Any]:
    """The caller's keys, newest first."""
    keys = [_key(k, who.username) for k in await accounts.list_access_keys(context, who)]
    return {"accessKeys": [k.model_dump(mode="json", by_alias=True, exclude_none=True) for k in keys]}


@router.delete("/api/v1/access-keys/{key_id}", status_code=204)
async def delete_key(key_id: str, context: Ctx, who: Who) -> None:
    """Removes one of the caller's keys."""
    await accounts.delete_access_key(context, who, key_id)


async def _user(context: Ctx, body: rest.TokenRequest) -> User:
    if body.grant_type == "password":
        return await accounts.password_login(context, body.username or "", body.password or "")
    if body.grant_type == "app_token":
        return await accounts.key_login(context, body.app_id or "", body.app_secret or "")
    if body.grant_type == "client_credentials":
        return await accounts.key_login(context, body.client_id or "", body.client_secret or "")
    if body.grant_type == "authorization_code":
        return await accounts.code_login(context, body.code or "", body.code_verifier or "")
    raise Invalid(
        f"Grant type {body.grant_type!r} is not supported.",
        fields={"grantType": "app_token, authorization_code, client_credentials or password"},
    )


async def open_session(context: Ctx, user: User, response: Response) -> rest.Session:
    """Signs the browser in that gets the response."""
    secret, expires = await accounts.open_session(context, user)
    config = context.config
    response.set_cookie(
        COOKIE,
        secret,
        max_age=int(expires - context.now()),
        httponly=True,
        samesite="strict",
        secure=config.secure_cookies,
        path="/",
    )
    principal, _ = await accounts.principal_of_session(context, secret)
    return rest.Session(username=user.username, role=principal.role, expires_at=time(expires))


def _key(key: AccessKey, by: str, secret: str | None = None) -> rest.AccessKey:
    return rest.AccessKey(
        id=key.id,
        name=key.name,
        client_id=key.client_id,
        client_secret=secret,
        created_at=time(key.created),
        created_by=by,
    )
