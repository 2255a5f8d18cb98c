"""Logs, shells and explanations: asked here, served by the cluster through its agent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from fairlead.runtime.errors import Conflict, NotFound
from fairlead.server.auth.permissions import Principal
from fairlead.server.db import org
from fairlead.server.db.records import Workload
from fairlead.server.services import views, workloads
from fairlead.server.services.channels import Channel, ChannelFailed
from fairlead.server.services.context import Context
from fairlead.server.services.explanations import discreet, settled
from fairlead.server.services.grants import audited, opened
from fairlead.wire.agent import Open, PodRow
from fairlead.wire.rest.workloads import LogQuery


async def logs(
    context: Context,
    principal: Principal,
    workload_id: str,
    asked: LogQuery,
) -> AsyncIterator[bytes]:
    """The log of a pod of the workload: the named one, else the first of its last attempt; or of the run before that one.

    Raises: NotFound, Conflict where there is no pod yet, Unreachable.
    """
    principal.require("read", "logs")
    if asked.previous:
        return await _previous_log(context, principal, workload_id, asked)
    workload, chosen = await _pod(context, principal, workload_id, asked.pod, running=False)
    principal.require("read", "logs", project=workload.project_id)
    return _serve(
        context, principal, workload, _open(workload, "logs", chosen.name, follow=asked.follow, tail=asked.tail)
    )


async def _previous_log(
    context: Context, principal: Principal, workload_id: str, asked: LogQuery
) -> AsyncIterator[bytes]:
    """The log of the attempt before the last one, where it failed; else what the last pod of that name left when it was stopped."""
    workload, pods = await workloads.pods(context, principal, workload_id)
    principal.require("read", "logs", project=workload.project_id)
    before = earlier_attempt(pods, asked.pod)
    if before is not None:
        return _serve(context, principal, workload, _open(workload, "logs", before.name, tail=asked.tail))
    gone = asked.pod or (_latest_first(pods)[0].name if pods else f"{workload.name}-0")
    return _or_none(
        workload, _serve(context, principal, workload, _open(workload, "logs", gone, tail=asked.tail, previous=True))
    )


async def _or_none(workload: Workload, log: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for piece in log:
            yield piece
    except ChannelFailed as failed:
        raise NotFound(
            f"There is no log of an earlier run of {workload.name!r}.",
            hint="A cluster keeps a log as long as its pod; `fairlead logs` shows that of the present run.",
            code="no-earlier-log",
        ) from failed


def earlier_attempt(pods: Sequence[PodRow], name: str) -> PodRow | None:
    """The pod of the same rank in the attempt before that of the named pod, or of the last attempt; None where there is none."""
    present = next((p for p in _latest_first(pods) if name in ("", p.name)), None)
    if present is None:
        return None
    return next((p for p in _latest_first(pods) if p.rank == present.rank and p.attempt < present.attempt), None)


def _latest_first(pods: Sequence[PodRow]) -> list[PodRow]:
    return sorted(pods, key=lambda p: (-p.attempt, p.rank, p.name))


async def explain(context: Context, principal: Principal, workload_id: str) -> dict[str, Any]:
    """Why the workload waits and what would start it, as the scheduler of its cluster says; of other work, what happened.

    Raises: NotFound, Unreachable.
    """
    workload, names = await workloads.get(context, principal, workload_id)
    shown = views.workload(workload, names)
    is_taken = workload.observed is not None
    if (is_taken or shown.phase != "Creating") and (answer := settled(shown)) is not None:
        return {**answer, "simulated": shown.simulated}
    if not is_taken:
        raise Conflict(
            f"The cluster has not taken {workload.name!r} yet, so its scheduler knows nothing of it.",
            hint="Ask again in a moment; `fairlead status` tells whether the cluster is connected.",
            code="not-yet",
        )
    asked = _open(workload, "explain", workload.name)
    told = b"".join([part async for part in ask_cluster(context, principal, workload.cluster_id, asked)])
    async with context.database.read() as c:
        scope = principal.require("read", "workloads")
        seen = {u.namespace for u in await org.units(c, "project", scope, cluster_id=workload.cluster_id)}
    answer = discreet(json.loads(told), seen)
    return {"message": shown.phase_message, **answer, "simulated": shown.simulated}


@asynccontextmanager
async def exec_channel(
    context: Context, principal: Principal, workload_id: str, *, pod: str, command: tuple[str, ...]
) -> AsyncIterator[Channel]:
    """A channel to a command run beside the workload.

    Raises: NotFound, Conflict where nothing runs, Unreachable.
    """
    principal.require("create", "exec")
    workload, chosen = await _pod(context, principal, workload_id, pod, running=True)
    principal.require("create", "exec", project=workload.project_id)
    async with audited(context, principal, workload, _open(workload, "exec", chosen.name, command=command)) as channel:
        yield channel


@asynccontextmanager
async def port_channel(
    context: Context, principal: Principal, workload_id: str, *, pod: str, port: int
) -> AsyncIterator[Channel]:
    """A channel that is one connection to a port of the workload.

    Raises: NotFound, Conflict where nothing runs, Unreachable.
    """
    principal.require("create", "port-forward")
    workload, chosen = await _pod(context, principal, workload_id, pod, running=True)
    principal.require("create", "port-forward", project=workload.project_id)
    async with audited(
        context, principal, workload, _open(workload, "port-forward", chosen.name, port=port)
    ) as channel:
        yield channel


async def _serve(context: Context, principal: Principal, workload: Workload, frame: Open) -> AsyncIterator[bytes]:
    """What a log holds, to its end."""
    async with audited(context, principal, workload, frame) as channel:
        async for message in channel.messages():
            yield message


async def ask_cluster(context: Context, principal: Principal, cluster_id: str, frame: Open) -> AsyncIterator[bytes]:
    """What the agent of the cluster answers, to its end. Raises: Unreachable, with the agent's words where it has some."""
    async with opened(context, principal, cluster_id, frame) as channel:
        async for message in channel.messages():
            yield message


def _open(workload: Workload, kind: Literal["logs", "exec", "port-forward", "explain"], name: str, **more: Any) -> Open:
    return Open(channel="", grant="", kind=kind, namespace=workload.namespace, name=name, **more)


async def _pod(
    context: Context, principal: Principal, workload_id: str, name: str, *, running: bool
) -> tuple[Workload, PodRow]:
    workload, pods = await workloads.pods(context, principal, workload_id)
    chosen = [p for p in _latest_first(pods) if name in ("", p.name)]
    if name and not chosen:
        raise NotFound(
            f"{workload.name!r} has no pod {name!r}.",
            hint=f"Its pods: {', '.join(p.name for p in pods) or 'none yet'}.",
            code="pod-not-found",
        )
    started = [p for p in chosen if (p.phase == "Running" if running else p.node)]
    chosen = started if running else started or chosen
    if not chosen or (not running and not chosen[0].node):
        what = "Nothing of it runs" if running else "There is no log yet"
        raise Conflict(
            f"{what}: {workload.name!r} is {workload.phase.lower()}.",
            hint=f"`fairlead explain {workload.name}` says what becomes of it.",
            code="nothing-runs",
        )
    return workload, chosen[0]
