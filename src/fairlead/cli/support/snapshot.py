"""The scheduler's input, made of the same objects by the same code as in the running scheduler.

What only the running one remembers is not in it: binds that failed, and what `fit` placement has learnt of work that is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from math import ceil
from typing import Any, Final

import msgspec
from ruamel.yaml import YAML

from fairlead.cluster.scheduler.world import World, WorldOptions
from fairlead.kube.client import Client
from fairlead.model import Snapshot
from fairlead.objects.times import text_of
from fairlead.simulator.save import Written, written

_LIST_SECONDS: Final = 60.0
_PARTS: Final = ("nodes", "shared_gpus", "queues", "groups", "pods", "classes", "levels", "demand", "leaves")
"""What a snapshot is made of, without the columns that follow from it."""


async def snapshots(client: Client, settings: str) -> dict[str, Snapshot]:
    """Node pool -> its snapshot. `settings`: the settings of the roles as YAML; empty where all is one process.

    Raises: FairleadError where a kind cannot be listed; TimeoutError.
    """
    world = World(client, _options(settings), lambda: None)
    caches = [asyncio.create_task(cache.run(), name=f"snapshot.{cache.kind.plural}") for cache in world.caches()]
    synced = asyncio.create_task(_synced(world), name="snapshot.synced")
    try:
        async with asyncio.timeout(_LIST_SECONDS):
            await asyncio.wait([synced, *caches], return_when=asyncio.FIRST_COMPLETED)
        for task in caches:
            if task.done():
                task.result()
        world.catch_up(client.clock.now())
        return {pool: await asyncio.to_thread(world.snapshot, pool, {}, frozenset()) for pool in world.pool_names()}
    finally:
        synced.cancel()
        for task in caches:
            task.cancel()
        await asyncio.gather(synced, *caches, return_exceptions=True)


async def _synced(world: World) -> None:
    for cache in world.caches():
        await cache.synced.wait()


def as_json(snapshot: Snapshot) -> dict[str, Any]:
    """All its values, for programs."""
    values = {name: msgspec.to_builtins(getattr(snapshot, name), enc_hook=list) for name in _PARTS}
    return {"pool": snapshot.pool, "digest": snapshot.digest, **values}


def as_scenario(snapshot: Snapshot, now: float) -> Written:
    """As a file that `fairlead scenario run` plays. `now`: seconds since the epoch."""
    return written(snapshot, float(ceil(now)), f"node pool {snapshot.pool or 'default'} at {text_of(now)}")


def _options(settings: str) -> WorldOptions:
    if not settings:
        return WorldOptions()
    read: Mapping[str, Any] = YAML(typ="safe").load(settings) or {}
    scheduler, reservation = read.get("scheduler") or {}, read.get("reservation") or {}
    return WorldOptions(
        scheduler_names=tuple(scheduler.get("names") or ("fairlead",)),
        has_binder=True,
        reservation_namespaces=(str(reservation.get("namespace") or "fairlead-reservation"),),
    )
