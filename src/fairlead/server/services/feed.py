"""Tells whoever watches about rows that changed, each reader only what the lists would show that reader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import msgspec

from fairlead.runtime.errors import Denied
from fairlead.server.auth.permissions import Principal
from fairlead.server.auth.scope import Scope
from fairlead.server.db import clusters, workloads
from fairlead.server.services import views
from fairlead.server.services.context import Context
from fairlead.server.services.directory import directory
from fairlead.server.services.standing import standing
from fairlead.server.services.watch import Event, Owner, Watch
from fairlead.wire.agent import NodeRow, PodRow, QueueRow

_CHECK_SECONDS = 15.0
"""An open stream looks up again this often whether its session or token still stands."""
_RESOURCES = {
    "workloads": "workloads",
    "pods": "workloads",
    "nodes": "nodes",
    "queues": "projects",
    "clusters": "clusters",
}
"""Topic -> what one must be allowed to read to be told of it."""

Ask: TypeAlias = Callable[[], Awaitable[Principal]]


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a cluster reported, beside workloads: rows that are there, and the keys of those that went."""

    pods: Sequence[PodRow] = ()
    nodes: Sequence[NodeRow] = ()
    queues: Sequence[QueueRow] = ()
    gone_pods: Mapping[str, str] = field(default_factory=dict)
    """Uid -> workload id."""
    gone_nodes: Sequence[str] = ()
    gone_queues: Sequence[str] = ()


async def publish_workloads(context: Context, changed: Sequence[str]) -> None:
    """One event for each id that is or was a workload: the row as the list shows it, or its end."""
    if not changed:
        return
    if not context.watch.has_readers:
        context.watch.skip()
        return
    async with context.watch.turn, context.database.read() as c:
        records = await workloads.workloads_by_id(c, changed)
        names = await directory(c, records)
        for record in records:
            owner: Owner = ("projects", record.project_id)
            if record.deleted:
                context.watch.publish("workloads", "delete", record.id, owner)
            else:
                row = views.workload(record, names).model_dump(mode="json", by_alias=True)
                context.watch.publish("workloads", "upsert", record.id, owner, row)


async def publish_others(context: Context, cluster_id: str, changes: Changes) -> None:
    """One event for each pod, node and queue of a report; the keys of nodes and queues begin with their cluster's id, for clusters may
    have some of the same name. Pods of a workload that is not this cluster's own are told to nobody.

    With every field: what is left out in storage because it holds its default is missed by those who read events.
    """
    watch = context.watch
    async with context.database.read() as c:
        workload_ids = {pod.workload for pod in changes.pods} | set(changes.gone_pods.values())
        projects = await workloads.projects_of(c, cluster_id, workload_ids)
    for node in changes.nodes:
        view = views.node(cluster_id, context.now(), node).model_dump(mode="json", by_alias=True)
        watch.publish("nodes", "upsert", f"{cluster_id}/{node.name}", ("clusters", cluster_id), view)
    for key in changes.gone_nodes:
        watch.publish("nodes", "delete", f"{cluster_id}/{key}", ("clusters", cluster_id))
    for queue in changes.queues:
        row = msgspec.structs.asdict(queue) | {"cluster_id": cluster_id}
        watch.publish("queues", "upsert", f"{cluster_id}/{queue.key}", _queue_owner(cluster_id, queue.key), row)
    for key in changes.gone_queues:
        watch.publish("queues", "delete", f"{cluster_id}/{key}", _queue_owner(cluster_id, key))
    for pod in changes.pods:
        if pod.workload in projects:
            watch.publish("pods", "upsert", pod.uid, ("projects", projects[pod.workload]), msgspec.structs.asdict(pod))
    for uid, workload_id in changes.gone_pods.items():
        if workload_id in projects:
            watch.publish("pods", "delete", uid, ("projects", projects[workload_id]))


async def publish_cluster(context: Context, cluster_id: str) -> None:
    """Its state, while its agent is on the line."""
    async with context.watch.turn, context.database.read() as c:
        found = await clusters.cluster_by_id(c, cluster_id)
    if found is not None:
        row = {"id": cluster_id, "state": standing(found, is_there=True).state}
        context.watch.publish("clusters", "upsert", cluster_id, ("clusters", cluster_id), row)


async def follow(watch: Watch, ask: Ask, topics: frozenset[str], since: int | None) -> AsyncIterator[Event | None]:
    """The events that `ask`, who reads, may see, as `Watch.events` gives them.

    Who reads is asked again when permissions change and every 15 s: a scope that became another one is told as a reset, and where there
    is none left the stream ends.

    Raises: Denied where nothing may be read from the start.
    """
    clock = asyncio.get_running_loop().time
    checks, checked, scopes = watch.checks, clock(), _scopes(await ask(), topics)
    async with aclosing(watch.events(topics & _RESOURCES.keys(), since)) as events:
        async for event in events:
            if checks != watch.checks or clock() - checked >= _CHECK_SECONDS:
                checks, checked = watch.checks, clock()
                try:
                    fresh = _scopes(await ask(), topics)
                except Denied:
                    return
                if fresh != scopes:
                    scopes = fresh
                    yield watch.reset()
            if event is None or event.owner is None:
                if event is None or event.kind != "recheck":
                    yield event
            elif scopes[event.topic].holds(*event.owner):
                yield _shown(event, scopes[event.topic])


def _scopes(principal: Principal, topics: frozenset[str]) -> dict[str, Scope]:
    return {topic: principal.require("read", _RESOURCES[topic]) for topic in topics & _RESOURCES.keys()}


def _shown(event: Event, scope: Scope) -> Event:
    """A node's row names only holders that the reader may see."""
    if event.topic != "nodes" or event.row is None or scope.names is None:
        return event
    return replace(event, row={**event.row, "gpus": views.masked(event.row["clusterUuid"], event.row["gpus"], scope)})


def _queue_owner(cluster_id: str, key: str) -> Owner:
    kind, _, rest = key.partition("/")
    return "names", (cluster_id, kind, rest.partition("/")[2])
