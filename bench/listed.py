"""A start from listed objects: 5,000 nodes and 51,000 pods as an API server lists them, read, made a snapshot of, and decided on.

No server stands behind: the pages are made beforehand, so that what is measured is what the scheduler does with them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import Any

import orjson
import psutil

from bench.rows import Row
from fairlead.cluster.scheduler.world import World, WorldOptions
from fairlead.kube.client import Client, Limits
from fairlead.kube.transport import Duplex, Request, Response
from fairlead.model import Policy
from fairlead.objects import fields
from fairlead.runtime.clock import SystemClock
from fairlead.scheduling.cycle import decide

NODES, RUNNING_A_NODE, PENDING, DEPARTMENTS, TEAMS, PROJECTS = 5000, 10, 1000, 5, 8, 5
_PAGE = 500


class PagesStandIn:
    """Answers lists with pages, and watches with silence."""

    def __init__(self) -> None:
        teams = [(f"d{d}", f"d{d}-t{t}") for d in range(DEPARTMENTS) for t in range(TEAMS)]
        projects = [(team, f"{team}-p{p}") for _, team in teams for p in range(PROJECTS)]
        parents = {**{f"d{d}": "" for d in range(DEPARTMENTS)}, **{team: d for d, team in teams}}
        queues = [_queue(name, parent) for name, parent in (*parents.items(), *((p, team) for team, p in projects))]
        names = [project for _, project in projects]
        self._pages = {
            "nodes": _paged([_node(n) for n in range(NODES)]),
            "queues": _paged(queues),
            "pods": _paged([*_running(names), *(_pod(f"w{n}", names[n % len(names)]) for n in range(PENDING))]),
        }
        self._silence = asyncio.Event()

    async def request(self, request: Request) -> Response:
        """One page."""
        pages = self._pages.get(request.path.rpartition("/")[2], [_page([], 0, 1)])
        return Response(status=200, body=pages[int(request.parameter("continue", "0"))])

    async def stream(self, request: Request) -> AsyncIterator[bytes]:
        """Nothing, for ever."""
        await self._silence.wait()
        yield b""

    async def upgrade(self, request: Request) -> Duplex:
        """Of no use here."""
        raise AssertionError("nothing of a start is upgraded")


def rows(only: str) -> Iterator[Row]:
    """Seconds from the first list to the first decision, and resident memory then (the pages included)."""
    if only in "scale.cold-start" or only in "scale.cold-start-memory":
        yield from asyncio.run(_start())


async def _start() -> list[Row]:
    pages, clock = PagesStandIn(), SystemClock()
    world = World(Client(pages, clock, Random(1), Limits(page=_PAGE)), WorldOptions(has_binder=True), lambda: None)
    begin = time.perf_counter()
    running = [asyncio.create_task(cache.run()) for cache in world.caches()]
    for cache in world.caches():
        await cache.synced.wait()
    read = time.perf_counter()
    world.catch_up(clock.now())
    snapshot = world.snapshot("default", {}, frozenset())
    built = time.perf_counter()
    decide(snapshot, Policy(), clock.now())
    done = time.perf_counter()
    for task in running:
        task.cancel()
    parts = f"reading {read - begin:.1f}, snapshot {built - read:.1f}, decision {done - built:.1f}"
    memory = round(psutil.Process().memory_info().rss / 1e9, 2)
    return [
        Row("scale.cold-start", (round(done - begin, 1),), "s", f"{len(snapshot.pods)} pods: {parts}"),
        Row("scale.cold-start-memory", (memory,), "GB", "the pages of the stand-in included"),
    ]


def _paged(items: list[dict[str, Any]]) -> list[bytes]:
    parts = [items[at : at + _PAGE] for at in range(0, len(items), _PAGE)] or [[]]
    return [_page(part, number, len(parts)) for number, part in enumerate(parts)]


def _page(items: list[dict[str, Any]], number: int, count: int) -> bytes:
    more = {"continue": str(number + 1)} if number + 1 < count else {}
    return orjson.dumps({"metadata": {"resourceVersion": "1", **more}, "items": items})


def _meta(name: str, namespace: str = "", **more: Any) -> dict[str, Any]:
    dated = {"uid": f"{namespace}-{name}", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"name": name, "namespace": namespace, **dated, **more}


def _node(number: int) -> dict[str, Any]:
    amounts = {"cpu": "128", "memory": "1Ti", "pods": "110", fields.GPU_RESOURCE: "8"}
    labels = {"kubernetes.io/hostname": f"n{number:05d}", fields.GPU_MEMORY_LABEL: "81920"}
    ready = [{"type": "Ready", "status": "True"}]
    status = {"allocatable": amounts, "capacity": amounts, "conditions": ready}
    return {"metadata": _meta(f"n{number:05d}", labels=labels), "status": status}


def _queue(name: str, parent: str) -> dict[str, Any]:
    every = {"quota": -1, "limit": -1, "overQuotaWeight": 1}
    gpu = {"quota": 200, "limit": -1, "overQuotaWeight": 1}
    spec = {"parentQueue": parent, "resources": {"gpu": gpu, "cpu": every, "memory": every}}
    return {"metadata": _meta(name), "spec": spec}


def _running(projects: list[str]) -> Iterator[dict[str, Any]]:
    """A node's: six whole GPUs and two that are shared by two pods each."""
    for node in range(NODES):
        name, project = f"n{node:05d}", projects[node % len(projects)]
        for at in range(RUNNING_A_NODE):
            part = {fields.GPU_FRACTION: "0.5", fields.GPU_GROUP: f"{name}-{at // 2}"} if at < 4 else {}
            yield _pod(f"{name}-{at}", project, name, part)


def _pod(name: str, project: str, node: str = "", part: dict[str, str] | None = None) -> dict[str, Any]:
    amounts = {"cpu": "4", "memory": "16Gi", **({} if part else {fields.GPU_RESOURCE: "1"})}
    container = {"name": "main", "image": "train", "resources": {"requests": amounts, "limits": amounts}}
    spec = {"schedulerName": "fairlead", "containers": [container], **({"nodeName": node} if node else {})}
    meta = _meta(name, project, labels={fields.QUEUE: project}, annotations=part or {})
    return {"metadata": meta, "spec": spec, "status": {"phase": "Running" if node else "Pending"}}
