"""What routes take: the context, whoever asks, and which part of a list."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Query
from starlette.requests import HTTPConnection

from fairlead.runtime.errors import Denied, SignedOut
from fairlead.server.auth.permissions import Principal
from fairlead.server.services import accounts
from fairlead.server.services.context import Context

COOKIE = "fairlead_session"


def context_of(connection: HTTPConnection) -> Context:
    """The application's context."""
    found: Context = connection.app.state.context
    return found


async def principal_of(connection: HTTPConnection) -> Principal:
    """Whoever asks, by bearer token or by session cookie.

    Raises: SignedOut; Denied where another site's page uses the cookie.
    """
    context = context_of(connection)
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return await accounts.principal_of_token(context, token.strip())
    session = connection.cookies.get(COOKIE)
    if not session:
        raise SignedOut("You are not signed in.", hint="Sign in, or send a bearer token.")
    _refuse_other_sites(connection)
    return (await accounts.principal_of_session(context, session))[0]


def _refuse_other_sites(connection: HTTPConnection) -> None:
    """A browser tells where a changing request or a socket comes from; only our own pages may use the cookie."""
    origin = connection.headers.get("origin")
    safe = connection.scope["type"] == "http" and connection.scope["method"] in ("GET", "HEAD")
    if origin and not safe and origin.partition("://")[2] != connection.headers.get("host"):
        raise Denied("This request comes from a page of another site.", code="other-site")


Ctx = Annotated[Context, Depends(context_of)]
Who = Annotated[Principal, Depends(principal_of)]

Offset = Annotated[int, Query(ge=0, le=2**31)]
Limit = Annotated[int, Query(ge=1, le=10_000)]
FilterBy = Annotated[list[str] | None, Query(alias="filterBy")]


def page_of(rows: list[Any], offset: int, limit: int) -> tuple[list[Any], int | None]:
    """The wanted part of a list held in memory, and the offset of the next one."""
    return rows[offset : offset + limit], offset + limit if offset + limit < len(rows) else None
