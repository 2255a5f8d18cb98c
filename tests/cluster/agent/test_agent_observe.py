"""What the agent tells of the cluster, as it changes."""

from __future__ import annotations

import asyncio

from tests.cluster.build import Bench

from fairlead.cluster.agent.observe import Observer
from fairlead.objects import fields, kinds
from fairlead.objects.json import JsonObject
from fairlead.wire.agent import NodeRow


def test_a_node_shows_what_pods_of_nobody_hold_on_it() -> None:
    bench = Bench()

    async def story() -> NodeRow:
        await bench.a_node("n1")
        pod = await bench.a_pod("stray")
        notes: JsonObject = {"metadata": {"annotations": {fields.DEVICES: "1"}}}
        await bench.client.patch(kinds.POD, "stray", notes, "ns")
        await bench.client.bind("stray", "ns", "n1", uid=pod.metadata.uid)
        observer = Observer(bench.client)
        tasks = [asyncio.create_task(cache.run()) for cache in observer.caches()]
        await bench.clock.sleep(5)
        (row,) = (row for row in observer.everything(1).rows if isinstance(row, NodeRow))
        for task in tasks:
            task.cancel()
        return row

    row = bench.run(story)
    assert [(d.index, d.used_milli, [h.pod for h in d.holders]) for d in row.gpus if d.holders] == [
        (1, 1000, ["stray"])
    ]
