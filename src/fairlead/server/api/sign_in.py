"""Routes: sign-in with the external provider. A browser is sent there, comes back, and gets the session that a password gives.

The browser keeps what it began with in a cookie for ten minutes. What went wrong is kept in another one until the sign-in page asks:
in an address anybody could put words into the page.
"""

from __future__ import annotations

import base64
import json
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from fairlead.runtime.errors import FairleadError
from fairlead.server.api.accounts import open_session
from fairlead.server.api.dependencies import Ctx, context_of
from fairlead.server.api.web import PAGES
from fairlead.server.auth import secrets
from fairlead.server.services import sign_in
from fairlead.server.services.context import Context
from fairlead.wire.rest import auth as rest

router = APIRouter(tags=["sign-in"])
_log = structlog.get_logger()

CALLBACK: Final = "/oidc/callback"
_BEGIN: Final = "/oidc/sign-in"
_BEGUN: Final = "fairlead_sign_in"
_PROBLEM: Final = "fairlead_sign_in_problem"
_BEGUN_SECONDS: Final = 600
_PROBLEM_SECONDS: Final = 60
_LONGEST: Final = 1000
"""Of the words in a cookie, and of the place to come back to."""
_QUIET: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


@router.get("/api/fairlead/v1/sign-in")
async def ways(request: Request, context: Ctx, response: Response) -> rest.SignInWays:
    """How one may sign in beside name and password, and why the last try came to nothing."""
    response.headers.update(_QUIET)
    problem = _told(request.cookies.get(_PROBLEM, ""))
    if _PROBLEM in request.cookies:
        response.delete_cookie(_PROBLEM, path="/")
    oidc = context.config.oidc
    href = context.config.public_url.rstrip("/") + _BEGIN
    return rest.SignInWays(provider=rest.ProviderLink(name=oidc.name, href=href) if oidc else None, problem=problem)


@router.get(_BEGIN, include_in_schema=False)
async def begin(context: Ctx, next_page: Annotated[str, Query(alias="next")] = "/") -> Response:
    """Sends the browser to the provider."""
    secret = secrets.new_secret()
    try:
        sent = RedirectResponse(await sign_in.begin(context, secret), 303, headers=_QUIET)
    except FairleadError as error:
        return _failed(context, error)
    place = base64.urlsafe_b64encode(_local(next_page).encode()).decode()
    _set(context, sent, _BEGUN, f"{secret}.{place}", _BEGUN_SECONDS)
    return sent


@router.get(CALLBACK, include_in_schema=False)
async def callback(request: Request) -> Response:
    """Where the provider sends it back to."""
    context = context_of(request)
    secret, _, place = request.cookies.get(_BEGUN, "").partition(".")
    try:
        user = await sign_in.finish(context, secret, dict(request.query_params))
        back = RedirectResponse(_local(_decoded(place)), 303, headers=_QUIET)
        await open_session(context, user, back)
    except FairleadError as error:
        back = _failed(context, error)
    back.delete_cookie(_BEGUN, path="/")
    return back


def _failed(context: Context, error: FairleadError) -> RedirectResponse:
    """Back to the sign-in page, which tells why."""
    _log.warning("sign_in.failed", reason=error.code, message=error.message)
    told = json.dumps([error.message[:_LONGEST], error.hint[:_LONGEST]])
    back = RedirectResponse("/", 303, headers=_QUIET)
    _set(context, back, _PROBLEM, base64.urlsafe_b64encode(told.encode()).decode(), _PROBLEM_SECONDS)
    return back


def _set(context: Context, response: Response, name: str, value: str, seconds: int) -> None:
    """A cookie that comes back with the browser from another site's page, as the provider's is."""
    secure = context.config.secure_cookies
    response.set_cookie(name, value, max_age=seconds, httponly=True, samesite="lax", secure=secure, path="/")


def _told(cookie: str) -> rest.SignInProblem | None:
    try:
        found: Any = json.loads(_decoded(cookie))
        message, details = found
        return rest.SignInProblem(message=str(message), details=str(details))
    except (ValueError, TypeError):
        return None


def _decoded(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text.encode()).decode()
    except ValueError:
        return ""


def _local(place: str) -> str:
    """A page of ours, with its query; the first one where it is none, or anything that a browser could read as another site."""
    first = place.removeprefix("/").partition("?")[0].partition("/")[0]
    is_plain = place.isascii() and place.isprintable() and not set(place) & {"\\", " ", "#"}
    is_ours = place.startswith("/") and not place.startswith("//") and first in PAGES
    return place if is_plain and is_ours and len(place) <= _LONGEST else "/"
