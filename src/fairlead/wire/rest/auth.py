"""Sign-in: tokens for programs, sessions for browsers, access keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field, model_validator

from fairlead.wire.rest.base import Request, Rest


class TokenRequest(Rest):
    """Body of `POST /api/v1/token`. Key spelling differs between clients, so keys are read without regard to case."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    grant_type: str = Field(alias="granttype")
    app_id: str | None = Field(default=None, alias="appid")
    app_secret: str | None = Field(default=None, alias="appsecret")
    client_id: str | None = Field(default=None, alias="clientid")
    client_secret: str | None = Field(default=None, alias="clientsecret")
    username: str | None = None
    password: str | None = None
    refresh_token: str | None = Field(default=None, alias="refreshtoken")
    code: str | None = None
    code_verifier: str | None = Field(default=None, alias="codeverifier")

    @model_validator(mode="before")
    @classmethod
    def _lower_keys(cls, value: Any) -> Any:
        return {str(k).lower().replace("_", ""): v for k, v in value.items()} if isinstance(value, dict) else value


class TokenResponse(Rest):
    """Answer: a JWT with `exp`, and its lifetime in seconds."""

    access_token: str
    expires_in: int
    refresh_token: str = ""
    id_token: str = ""


class SessionRequest(Request):
    """Body of `POST /api/fairlead/v1/session`."""

    username: str
    password: str


class OneTimeKey(Request):
    """Body of `POST /api/fairlead/v1/session/key`: the key `fairlead up` prints in its address."""

    key: str


class Challenge(Request):
    """Body of `POST /api/fairlead/v1/session/codes`: what RFC 7636 calls the S256 challenge."""

    challenge: str = Field(pattern=r"^[A-Za-z0-9_-]{43}$")


class SignInCode(Rest):
    """A code that works once, for five minutes, for whoever made the challenge."""

    code: str


class ProviderLink(Rest):
    """An external provider: its name for people, and where a browser begins."""

    name: str
    href: str


class SignInProblem(Rest):
    """Why the last sign-in of this browser with the provider came to nothing."""

    message: str
    details: str


class SignInWays(Rest):
    """How one may sign in beside name and password."""

    provider: ProviderLink | None = None
    problem: SignInProblem | None = None


class Session(Rest):
    """Who is signed in."""

    username: str
    role: str
    expires_at: datetime | None = None


class AccessKeyCreate(Request):
    """Body of `POST /api/v1/access-keys`."""

    name: str = Field(min_length=1, max_length=100)


class AccessKey(Rest):
    """A key for programs. `client_secret` is shown once, when it is made."""

    id: str
    name: str
    client_id: str
    client_secret: str | None = None
    created_at: datetime
    created_by: str
