"""Watches of the embedded store: resume, bookmarks, forgetting, many watchers, one encoding."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.embedded.worlds import World, a_map

from fairlead.embedded.store import memory
from fairlead.kube.errors import Expired
from fairlead.kube.transport import Refused, Request
from fairlead.objects.kinds import CONFIG_MAP

MAPS = "/api/v1/namespaces/ns/configmaps"


async def _lines(world: World, **query: str) -> list[dict[str, Any]]:
    """Give all events of a watch until the server ends it."""
    pairs = (("watch", "true"), *query.items())
    pieces = [piece async for piece in world.store.stream(Request(method="GET", path=MAPS, query=pairs))]
    return [json.loads(line) for line in b"".join(pieces).splitlines()]


def test_a_quiet_watch_hears_bookmarks_and_ends_in_time(world: World) -> None:
    async def story() -> tuple[list[dict[str, Any]], float]:
        await world.namespace()
        start = str(world.store.memory.revision)
        began = world.clock.monotonic()
        events = await _lines(world, resourceVersion=start, allowWatchBookmarks="true", timeoutSeconds="150")
        return events, world.clock.monotonic() - began

    events, lasted = world.run(story())
    assert [event["type"] for event in events] == ["BOOKMARK"] * 3
    assert lasted == pytest.approx(150)


def test_bookmarks_carry_a_quiet_watch_past_what_others_do(world: World) -> None:
    async def story() -> int:
        await world.namespace()
        start = world.store.memory.revision
        watching = asyncio.create_task(
            _lines(world, resourceVersion=str(start), allowWatchBookmarks="true", timeoutSeconds="70")
        )
        await world.clock.sleep(5)
        await world.namespace("other")
        (first, *_) = await watching
        return int(first["object"]["metadata"]["resourceVersion"]) - start

    assert world.run(story()) == 1


def test_a_watch_from_a_forgotten_revision_gets_one_error_of_410(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "RING", 5)

    async def story() -> list[dict[str, Any]]:
        await world.namespace()
        start = str(world.store.memory.revision)
        for number in range(11):
            await world.client.create(CONFIG_MAP, a_map(f"m{number}"), "ns")
        with pytest.raises(Expired):
            await anext(world.client.watch(CONFIG_MAP, start, "ns"))
        return await _lines(world, resourceVersion=start, timeoutSeconds="1")

    (event,) = world.run(story())
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_a_page_from_a_forgotten_revision_is_refused_with_410(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "RING", 5)

    async def story() -> tuple[int, str]:
        await world.namespace()
        for number in range(3):
            await world.client.create(CONFIG_MAP, a_map(f"m{number}"), "ns")
        _, first = await world.say("GET", f"{MAPS}?limit=2")
        for number in range(11):
            await world.client.patch(CONFIG_MAP, "m0", {"data": {"n": str(number)}}, "ns")
        status, body = await world.say("GET", f"{MAPS}?limit=2&continue={first['metadata']['continue']}")
        return status, body["reason"]

    assert world.run(story()) == (410, "Expired")


def test_a_watch_from_the_future_is_told_to_list_again(world: World) -> None:
    async def story() -> list[dict[str, Any]]:
        return await _lines(world, resourceVersion="99999", timeoutSeconds="1")

    (event,) = world.run(story())
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def test_many_watchers_share_one_encoding_and_all_hear_the_same(world: World) -> None:
    async def story() -> list[bytes]:
        await world.namespace()
        request = Request(
            method="GET",
            path=MAPS,
            query=(("watch", "true"), ("resourceVersion", str(world.store.memory.revision)), ("timeoutSeconds", "9")),
        )

        async def first() -> bytes:
            return await anext(aiter(world.store.stream(request)))

        watchers = [asyncio.create_task(first()) for _ in range(20)]
        await world.clock.sleep(1)
        await world.client.create(CONFIG_MAP, a_map("a"), "ns")
        return list(await asyncio.gather(*watchers))

    heard = world.run(story())
    assert len(set(heard)) == 1
    change = world.store.memory.ring("configmaps").changes[-1]
    assert change.line is change.line


def test_initial_events_are_refused_so_that_clients_fall_back(world: World) -> None:
    with pytest.raises(Refused) as caught:
        world.run(_lines(world, sendInitialEvents="true"))
    assert caught.value.response.status == 422


def test_a_list_of_the_turn_of_a_write_holds_what_its_revision_says(world: World) -> None:
    """Else a watch that goes on from that revision never hears of the object."""

    async def story() -> tuple[int, list[int]]:
        await world.namespace()
        written, listed = await asyncio.gather(
            world.client.create(CONFIG_MAP, a_map("m1"), "ns"), world.client.list(CONFIG_MAP, "ns")
        )
        assert int(listed.revision) >= int(written.metadata.resource_version)
        return int(listed.revision), [int(item.metadata.resource_version) for item in listed.items]

    revision, items = world.run(story())
    assert items == [revision]
