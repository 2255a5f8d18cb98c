"""What the control plane is told at its start. Built once, by the composing `main`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


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
    web_folder: Path | None = None
    """Built web pages; None serves none."""
    secure_cookies: bool = False
    """True where the pages are served over TLS."""
    one_time_key: str = field(default="", repr=False)
    """Signs the first browser in, once; `fairlead up` prints it in its address."""
    offline_after_seconds: float = 30.0
    """A cluster not heard of for this long is shown as disconnected."""
