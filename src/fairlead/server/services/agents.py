"""The control plane's end of a cluster's connection: who is there, what they say, what they are told."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from fairlead.runtime.errors import Conflict, Denied
from fairlead.server.auth import secrets
from fairlead.server.db import clusters, org, workloads
from fairlead.server.db.records import EVERYTHING, Cluster, Workload
from fairlead.server.services.context import Context
from fairlead.server.services.desired import desired
from fairlead.server.services.feed import Changes, publish_cluster, publish_others, publish_workloads
from fairlead.wire.agent import (
    Applied,
    Desired,
    Hello,
    NodeRow,
    Observed,
    PodRow,
    QueueRow,
    Row,
    WorkloadRow,
)


async def admit(context: Context, cluster_id: str, secret: str) -> Cluster:
    """The cluster that presents this id and secret.

    Raises: Denied.
    """
    async with context.database.read() as c:
        cluster = await clusters.cluster_by_id(c, cluster_id)
    if not await secrets.is_token(cluster.secret_hash if cluster else None, secret) or cluster is None:
        if cluster is not None:
            hint = f"`fairlead cluster secret {cluster.name}` gives out a new one."
            context.agents.refuse(cluster_id, Denied("Its secret is wrong.", hint=hint, code="secret-wrong"))
        raise Denied("The cluster id or its secret is wrong.", code="cluster-denied")
    return cluster


async def hello(context: Context, cluster_id: str, frame: Hello) -> None:
    """Notes who connected.

    Raises: Denied where the secret is used by another Kubernetes cluster than the one that used it first.
    """
    async with context.database.write() as c:
        cluster = await clusters.cluster_by_id(c, cluster_id)
        if cluster is None or frame.cluster != cluster_id:
            raise Denied("This connection was opened for another cluster.", code="cluster-denied")
        if cluster.kube_uid and cluster.kube_uid != frame.kube_uid:
            cloned = Denied(
                f"The secret of {cluster.name!r} is used by a second Kubernetes cluster.",
                hint="Each cluster has its own id and secret: create one for this cluster and install with that.",
                code="cluster-cloned",
            )
            context.agents.refuse(cluster_id, cloned)
            raise cloned
        await clusters.set_cluster(
            c,
            cluster_id,
            kube_uid=frame.kube_uid,
            agent_version=frame.version,
            kubernetes=frame.kubernetes,
            last_seen=context.now(),
        )


async def next_desired(context: Context, cluster_id: str, since: int, *, full: bool) -> Desired:
    """What to tell the cluster next."""
    async with context.database.read() as c:
        return await desired(c, cluster_id, since, full=full)


async def applied(context: Context, cluster_id: str, frame: Applied) -> None:
    """Stores how far the cluster has followed, and what it refused."""
    gone: list[str] = []
    async with context.database.write() as c:
        await clusters.set_cluster(c, cluster_id, applied=frame.revision, last_seen=context.now())
        for error in frame.errors:
            await _refused(c, cluster_id, error.namespace, error.name, error.message)
        for workload_id, revision, deleting in await workloads.living_ids(c, cluster_id):
            if deleting and revision <= frame.revision:
                found = await workloads.workload(c, workload_id, EVERYTHING)
                if found is not None and found.observed is None:
                    gone.append(workload_id)
        await _mark_deleted(context, c, cluster_id, gone)
    refused = await _by_refusal(context, cluster_id, frame)
    await publish_workloads(context, [*(w.id for w in refused), *gone])


async def observed(context: Context, cluster_id: str, frame: Observed) -> None:
    """Stores what the cluster reports, and tells whoever watches."""
    by_type = _sort(frame.rows)
    async with context.database.write() as c:
        health = {} if frame.health is None else {"health": msgspec.to_builtins(frame.health)}
        await clusters.set_cluster(c, cluster_id, last_seen=context.now(), **health)
        back = await workloads.ended(c, cluster_id, [row.key for row in by_type["WorkloadRow"]])
        for workload in back:
            await _live_again(c, workload)
        removed = await _store_workloads(context, c, cluster_id, frame, by_type["WorkloadRow"])
        changes = await _store_others(context, c, cluster_id, frame, by_type)
        await _mark_deleted(context, c, cluster_id, removed)
    if back:
        context.agents.wake(cluster_id)
    await publish_workloads(context, [*(r.key for r in by_type["WorkloadRow"]), *removed])
    await publish_others(context, cluster_id, changes)
    if frame.health is not None:
        await publish_cluster(context, cluster_id)


def _sort(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {"WorkloadRow": [], "PodRow": [], "NodeRow": [], "QueueRow": []}
    for row in rows:
        found[type(row).__name__].append(row)
    return found


def _gone(frame: Observed) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"WorkloadRow": [], "PodRow": [], "NodeRow": [], "QueueRow": []}
    for item in frame.gone:
        found.get(item.row, []).append(item.key)
    return found


async def _store_workloads(
    context: Context, c: AsyncConnection, cluster_id: str, frame: Observed, rows: list[Row]
) -> list[str]:
    """Stores workload rows; gives back the ids of those that are no more."""
    new: list[WorkloadRow] = []
    for row in rows:
        assert isinstance(row, WorkloadRow)
        if not await workloads.observe_workload(c, cluster_id, row.id, **_said(row)):
            new.append(row)
    if new:
        await _adopt(context, c, cluster_id, new)
    if not frame.full:
        return [key for key in _gone(frame)["WorkloadRow"] if key]
    present = {row.key for row in rows}
    missing = []
    for workload_id, _revision, _deleting in await workloads.living_ids(c, cluster_id):
        if workload_id not in present:
            known = await workloads.workload(c, workload_id, EVERYTHING)
            if known is not None and known.observed is not None:
                missing.append(workload_id)
    return missing


async def _live_again(c: AsyncConnection, back: Workload) -> None:
    """What was taken for gone is there: restored from a copy, or never removed. Where it was to go, that is said again."""
    again = {"revision": await clusters.next_revision(c, back.cluster_id)} if back.deleting else {}
    await workloads.observe_workload(c, back.cluster_id, back.id, deleted=0.0, **again)


async def _adopt(context: Context, c: AsyncConnection, cluster_id: str, rows: list[WorkloadRow]) -> None:
    """Workloads made in the cluster: each is listed under the project of its namespace, if there is one."""
    taken = {known.id for known in await workloads.workloads_by_id(c, [row.id for row in rows])}  # of other clusters
    owners = {p.namespace: p.id for p in await org.units(c, "project", EVERYTHING, cluster_id=cluster_id)}
    for row in rows:
        owner = owners.get(row.namespace)
        if owner is None or row.id in taken:
            continue
        taken.add(row.id)
        with suppress(Conflict):  # the name is another's there
            await workloads.add_workload(
                c,
                id=row.id,
                cluster_id=cluster_id,
                project_id=owner,
                kind=row.kind,
                name=row.name,
                namespace=row.namespace,
                submitted_by=row.submitted_by,
                created=row.created or context.now(),
                updated=context.now(),
                **_said(row),
            )


def _said(row: WorkloadRow) -> dict[str, Any]:
    """What a cluster says of a workload, as it is stored."""
    return {"phase": row.phase, "observed": msgspec.to_builtins(row)}


async def _store_others(
    context: Context, c: AsyncConnection, cluster_id: str, frame: Observed, rows: dict[str, list[Row]]
) -> Changes:
    gone = _gone(frame)
    pods = [r for r in rows["PodRow"] if isinstance(r, PodRow)]
    nodes = [r for r in rows["NodeRow"] if isinstance(r, NodeRow)]
    queues = [r for r in rows["QueueRow"] if isinstance(r, QueueRow)]
    await workloads.put_pods(
        c,
        [
            {"uid": r.uid, "cluster_id": cluster_id, "workload_id": r.workload, "row": msgspec.to_builtins(r)}
            for r in pods
        ],
    )
    await workloads.put_nodes(
        c,
        [
            {"cluster_id": cluster_id, "name": r.name, "row": msgspec.to_builtins(r), "updated": context.now()}
            for r in nodes
        ],
    )
    await workloads.put_queues(
        c, [{"cluster_id": cluster_id, "key": r.key, "row": msgspec.to_builtins(r)} for r in queues]
    )
    full = frame.full
    return Changes(
        pods=pods,
        nodes=nodes,
        queues=queues,
        gone_pods=await workloads.remove_pods(c, cluster_id, None if full else gone["PodRow"], [r.key for r in pods]),
        gone_nodes=await workloads.remove_nodes(
            c, cluster_id, None if full else gone["NodeRow"], [r.key for r in nodes]
        ),
        gone_queues=await workloads.remove_queues(
            c, cluster_id, None if full else gone["QueueRow"], [r.key for r in queues]
        ),
    )


async def _mark_deleted(context: Context, c: AsyncConnection, cluster_id: str, workload_ids: Iterable[str]) -> None:
    for workload_id in workload_ids:
        await workloads.observe_workload(c, cluster_id, workload_id, deleted=context.now())


async def _refused(c: AsyncConnection, cluster_id: str, namespace: str, name: str, message: str) -> None:
    page = workloads.Page(equal=(("cluster_id", (cluster_id,)), ("namespace", (namespace,)), ("name", (name,))))
    for record in await workloads.workloads(c, EVERYTHING, page):
        await workloads.observe_workload(c, cluster_id, record.id, refused=message[:2000])


async def _by_refusal(context: Context, cluster_id: str, frame: Applied) -> list[Any]:
    found: list[Any] = []
    async with context.database.read() as c:
        for error in frame.errors:
            equal = (("cluster_id", (cluster_id,)), ("namespace", (error.namespace,)), ("name", (error.name,)))
            found += await workloads.workloads(c, EVERYTHING, workloads.Page(equal=equal))
    return found
