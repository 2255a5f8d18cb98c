"""What the control plane is told at its start. Built once, by the composing `main`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fairlead.server.auth.oidc.asking import Line
from fairlead.server.auth.oidc.provider import Client


@dataclass(frozen=True, kw_only=True)
class GroupRole:
    """A role that members of a group of the provider have. `scope`: `system`, `cluster/NAME`, `department/CLUSTER/NAME` or
    `project/CLUSTER/NAME`."""

    group: str
    role: str
    scope: str = "system"


@dataclass(frozen=True, kw_only=True)
class OidcConfig:
    """Sign-in with an external provider."""

    client: Client
    line: Line = field(default_factory=Line)
    name: str
    """Of the provider, for people."""
    username_claim: str = "preferred_username"
    groups_claim: str = "groups"
    group_roles: tuple[GroupRole, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Settings of one control plane process."""

    database_url: str
    """SQLAlchemy address: `sqlite+aiosqlite:///FILE` or `postgresql+asyncpg://...`."""
    signing_key: bytes
    """Signs tokens and grants; at least 32 bytes, kept in a file of mode 0600."""
    public_url: str = ""
    """Address people use, for links in answers."""
    token_seconds: int = 12 * 3600
    """Life of a bearer token. Clients renew it in the last minute."""
    session_seconds: int = 14 * 24 * 3600
    """Life of a browser session."""
    provider_session_seconds: int = 12 * 3600
    """The same of who signed in with a provider: what it says of them is looked at anew after this."""
    web_folder: Path | None = None
    """Built web pages; None serves none."""
    secure_cookies: bool = False
    """True where the pages are served over TLS."""
    one_time_key: str = field(default="", repr=False)
    """Signs the first browser in, once; `fairlead up` prints it in its address."""
    offline_after_seconds: float = 30.0
    """A cluster not heard of for this long is shown as disconnected."""
    oidc: OidcConfig | None = None
    """None: people sign in with accounts of this server."""
