"""What simulations have found, each as the shortest story that shows it."""

from __future__ import annotations

import asyncio
from random import Random

from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.embedded.store.memory import Place
from fairlead.embedded.store.reads import BOOKMARK_SECONDS
from fairlead.kube.cache import Cache
from fairlead.kube.client import Client
from fairlead.objects import kinds
from fairlead.runtime.clock import VirtualClock


def test_a_change_in_the_very_moment_of_a_bookmark_is_not_passed_over() -> None:
    clock = VirtualClock()
    store = Store(clock, Random(1))
    client = Client(EmbeddedTransport(store), clock, Random(2))
    cache = Cache(client, kinds.CONFIG_MAP, "default")

    def change() -> None:
        """In the turn in which the watch's time is up, before it has noticed."""
        meta = {"name": "a", "namespace": "default", "uid": "u"}
        store.memory.put(
            Place("configmaps", "default", "a"), {"kind": "ConfigMap", "apiVersion": "v1", "metadata": meta}
        )
        store.memory.publish()

    async def story() -> None:
        running = asyncio.create_task(cache.run())
        await cache.synced.wait()
        asyncio.get_running_loop().call_at(BOOKMARK_SECONDS, change)
        await clock.sleep(BOOKMARK_SECONDS + 10)
        running.cancel()

    clock.run(story())
    assert cache.get("a", "default") is not None
