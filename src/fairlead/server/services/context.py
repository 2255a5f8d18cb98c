"""What services work with: the database, tokens, time and the live parts. Passed once, in `app.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from fairlead.server.auth.grants import Grants
from fairlead.server.auth.oidc.provider import Provider
from fairlead.server.auth.permissions import Principal
from fairlead.server.auth.tokens import Tokens
from fairlead.server.config import ServerConfig
from fairlead.server.db import audit
from fairlead.server.db.database import Database
from fairlead.server.services.channels import Channels
from fairlead.server.services.connections import Agents
from fairlead.server.services.watch import Watch


@dataclass(frozen=True, kw_only=True)
class Context:
    """Everything a service function may touch."""

    config: ServerConfig
    database: Database
    tokens: Tokens
    grants: Grants
    now: Callable[[], float]
    watch: Watch
    channels: Channels
    agents: Agents
    provider: Provider | None = None
    """Who signs people in beside this server itself."""
    one_time_keys: set[str] = field(default_factory=set, repr=False)
    """Keys of sign-in links not used yet."""


async def is_well(context: Context) -> bool:
    """Whether the server can do its work: its database answers."""
    return await context.database.answers()


async def record_event(
    context: Context,
    c: AsyncConnection,
    principal: Principal,
    action: str,
    entity: tuple[str, str, str],
    **details: Any,
) -> None:
    """Writes the audit event of a change, in its transaction. `entity` = (type, id, name)."""
    await audit.add_event(
        c,
        time=context.now(),
        subject=principal.username,
        action=action,
        entity_type=entity[0],
        entity_id=entity[1],
        entity_name=entity[2],
        details=details or None,
    )
