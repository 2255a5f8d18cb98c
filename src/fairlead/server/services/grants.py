"""Asking a cluster's agent to open a channel: a signed grant for it, and the audit of whoever looks into a workload."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from msgspec.structs import replace

from fairlead.runtime.errors import FairleadError, Retryable, Unreachable
from fairlead.server.auth.permissions import Principal
from fairlead.server.db.records import Workload
from fairlead.server.services.channels import Channel
from fairlead.server.services.context import Context, record_event
from fairlead.wire.agent import Open

_log = structlog.get_logger()
_SHOWN: Final = ("container", "command", "port", "follow", "tail", "previous")
_CHANGES_NOTHING: Final = ("logs",)
"""May be read while the audit cannot be written, for example on a full disk."""


@asynccontextmanager
async def opened(context: Context, principal: Principal, cluster_id: str, ask: Open) -> AsyncIterator[Channel]:
    """A channel that the agent was asked to dial; closed at the end. Raises: Unreachable where the cluster is away."""
    channel = context.channels.open(cluster_id, principal.user_id)
    try:
        connection = context.agents.connection_of(cluster_id)
        if connection is None:
            raise Unreachable(
                "The cluster is not connected, so its logs and shells cannot be reached.",
                hint="Workloads in it keep running. Try again when `fairlead status` says connected.",
                code="cluster-away",
            )
        wanted = replace(ask, channel=channel.id)
        user, now = principal.username, context.now()
        signed = context.grants.sign(wanted, cluster=cluster_id, connection=connection, user=user, now=now)
        context.agents.ask(cluster_id, signed)
        yield channel
    finally:
        context.channels.close(channel)


@asynccontextmanager
async def audited(context: Context, principal: Principal, workload: Workload, ask: Open) -> AsyncIterator[Channel]:
    """The same into a workload, with an audit event at its begin (before anything is opened) and one at its end.

    Raises: Retryable where the begin cannot be stored, but for logs.
    """
    audit = _Audit(context, principal, workload, ask)
    await audit.begin()
    outcome = "ended by whoever asked"
    try:
        async with opened(context, principal, workload.cluster_id, ask) as channel:
            yield channel
        outcome = "ended"
    except FairleadError as error:
        outcome = error.message
        raise
    finally:
        await audit.end(outcome)


class _Audit:
    """The two events of one channel."""

    def __init__(self, context: Context, principal: Principal, workload: Workload, ask: Open) -> None:
        self._context, self._principal, self._workload, self._ask = context, principal, workload, ask
        self._began = context.now()

    async def begin(self) -> None:
        """Who, what and when."""
        shown = {key: getattr(self._ask, key) for key in _SHOWN if getattr(self._ask, key)}
        try:
            await self._write(self._ask.kind, shown)
        except Retryable:
            if self._ask.kind not in _CHANGES_NOTHING:
                raise

    async def end(self, outcome: str) -> None:
        """With what outcome. Is written even where whoever asked went away in the middle."""
        details = {"outcome": outcome[:500], "seconds": round(self._context.now() - self._began, 1)}
        writing = asyncio.create_task(self._last(details), name="audit-end")
        self._context.channels.keep(writing)
        await asyncio.shield(writing)

    async def _last(self, details: dict[str, Any]) -> None:
        try:
            await self._write(f"{self._ask.kind}-ended", details)
        except Retryable as error:
            _log.warning("audit not stored", pod=self._ask.name, message=str(error), **details)

    async def _write(self, action: str, details: dict[str, Any]) -> None:
        entity = ("workload", self._workload.id, self._workload.name)
        said = {key: list(v) if isinstance(v, tuple) else v for key, v in details.items()}
        async with self._context.database.write() as c:
            await record_event(self._context, c, self._principal, action, entity, pod=self._ask.name, **said)
