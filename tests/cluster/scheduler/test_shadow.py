"""Shadow mode: decides beside another scheduler, writes nothing, and tells what it would have done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from tests.cluster.build import Bench
from tests.cluster.scheduler.test_scheduler_role import a_queue, asks

from fairlead.cluster.scheduler.main import Scheduler, SchedulerOptions
from fairlead.objects import kinds


def told(story: Callable[[Bench], Awaitable[None]]) -> tuple[list[dict[str, Any]], list[str]]:
    """What a shadow tells of the story, a line an event, and the writes it made."""
    bench = Bench()

    async def both() -> None:
        scheduler = Scheduler(bench.shaky, bench.clock, SchedulerOptions(shadow=True))
        running = asyncio.create_task(scheduler.run())
        await bench.a_node("n1")
        await bench.a_node("n2")
        await a_queue(bench, "team")
        await bench.clock.sleep(1)
        await story(bench)
        await bench.clock.sleep(10)
        running.cancel()

    with structlog.testing.capture_logs() as lines:
        bench.run(both)
    mine = [line for line in lines if line.get("component") == "scheduler.shadow"]
    return [{k: v for k, v in line.items() if k not in ("component", "log_level")} for line in mine], bench.writes()


async def placed(bench: Bench, name: str, node: str) -> None:
    """As another scheduler does."""
    await bench.clock.sleep(10)
    await bench.client.bind(name, "default", node)


def test_what_it_would_have_done_is_told_once_and_nothing_is_written() -> None:
    async def story(bench: Bench) -> None:
        await asks(bench, "fits", 1)
        await asks(bench, "large", 9)
        await bench.clock.sleep(60)

    lines, writes = told(story)
    assert writes == []
    assert [(line["event"], line["pod"]) for line in lines] == [
        ("would.bind", "default/fits"),
        ("would.wait", "default/large"),
    ]
    assert "No node is large enough" in lines[1]["why"]


def test_what_the_other_did_is_compared_with_it() -> None:
    async def story(bench: Bench) -> None:
        await asks(bench, "fits", 1)
        await placed(bench, "fits", "n2")
        await asks(bench, "large", 9)
        await placed(bench, "large", "n1")

    lines, _ = told(story)
    mine = next(line["node"] for line in lines if line["event"] == "would.bind")
    compared = {line["pod"]: line["instead"] for line in lines if line["event"] == "compared"}
    assert compared == {"default/fits": "same-node" if mine == "n2" else "other-node", "default/large": "wait"}


def test_what_the_other_did_before_it_looked_is_compared_all_the_same() -> None:
    async def story(bench: Bench) -> None:
        for name, gpus, node in (("first", 1, "n2"), ("second", 8, "n1")):
            await asks(bench, name, gpus)
            await bench.client.bind(name, "default", node)
        await bench.clock.sleep(30)
        await asks(bench, "third", 8)
        await bench.client.bind("third", "default", "n1")

    lines, writes = told(story)
    compared = [(line["pod"], line["instead"]) for line in lines if line["event"] == "compared"]
    assert sorted(pod for pod, _ in compared) == ["default/first", "default/second", "default/third"]
    assert dict(compared)["default/third"] == "wait", "eight GPUs of sixteen are free, on no one node"
    assert writes == []


def test_whom_it_would_have_evicted_is_told() -> None:
    async def story(bench: Bench) -> None:
        await a_queue(bench, "greedy")
        await bench.client.patch(kinds.QUEUE, "greedy", {"spec": {"resources": {"gpu": {"quota": 0}}}})
        for number in range(2):
            await asks(bench, f"g{number}", 4, **{"kai.scheduler/queue": "greedy"})
            await placed(bench, f"g{number}", f"n{number + 1}")
        await asks(bench, "owed", 4)
        await bench.clock.sleep(30)

    lines, writes = told(story)
    assert writes == []
    assert [line["action"] for line in lines if line["event"] == "would.evict"] == ["reclaim"]
