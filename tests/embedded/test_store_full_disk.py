"""A disk without space: nothing that was promised is lost, nothing half done is seen, and it goes on when there is space."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.embedded.worlds import World
from tests.parts.disks import fill, small_disk

from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.kube.client import Client
from fairlead.runtime.clock import VirtualClock

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 1024) as folder:
        yield folder


def _open(disk: Path) -> World:
    clock = VirtualClock()
    store = Store(clock, Random(5), disk / "store.db")
    return World(clock, store, Client(EmbeddedTransport(store), clock, Random(6)))


def _a_map(name: str, kib: int = 8, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **more}, "data": {"k": "x" * (kib << 10)}}


async def _until_full(world: World) -> tuple[list[str], dict[str, Any]]:
    """The maps that were acknowledged, and the refusal of the next."""
    made: list[str] = []
    while True:
        status, body = await world.say("POST", MAPS, _a_map(f"m{len(made)}"))
        if status != 201:
            return made, body
        made.append(f"m{len(made)}")


async def _names(world: World) -> list[str]:
    _, body = await world.say("GET", MAPS)
    return sorted(item["metadata"]["name"] for item in body["items"])


def test_a_full_disk_is_a_refusal_that_says_what_to_do(disk: Path) -> None:
    world = _open(disk)
    fill(disk)
    _, refusal = world.run(_until_full(world))
    assert (refusal["kind"], refusal["code"], refusal["reason"]) == ("Status", 503, "ServiceUnavailable")
    assert (
        f"the disk that holds {disk / 'store.db'} is full, and nothing was changed: free some space"
        in refusal["message"]
    )
    assert refusal["details"] == {"retryAfterSeconds": 1}
    world.store.close()


def test_what_was_acknowledged_is_kept_and_the_rest_never_happened(disk: Path) -> None:
    world = _open(disk)
    made, _ = world.run(_until_full(world))
    assert world.run(_names(world)) == sorted(made)
    assert world.store.memory.revision == world.store.memory.published
    world.store.close()
    again = _open(disk)
    assert again.run(_names(again)) == sorted(made)
    assert again.store.memory.revision == world.store.memory.revision
    again.store.close()


def test_it_goes_on_by_itself_when_there_is_space_again(disk: Path) -> None:
    world = _open(disk)
    ballast = fill(disk)
    made, _ = world.run(_until_full(world))
    ballast.unlink()
    status, _ = world.run(world.say("POST", MAPS, _a_map("after")))
    assert (status, world.run(_names(world))) == (201, sorted([*made, "after"]))
    world.store.close()


def test_a_refused_deletion_leaves_owner_and_owned_as_they_were(disk: Path) -> None:
    world = _open(disk)

    async def story() -> None:
        _, owner = await world.say("POST", MAPS, _a_map("owner", 0))
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
        await world.say("POST", MAPS, _a_map("owned", 0, ownerReferences=[reference]))
        await world.say("POST", "/api/v1/namespaces", {"metadata": {"name": "other"}})
        ballast = fill(disk)
        await _until_full(world)
        refused = [await world.say("DELETE", path) for path in (f"{MAPS}/owner", "/api/v1/namespaces/other")]
        assert [status for status, _ in refused] == [503, 503]
        ballast.unlink()
        status, _ = await world.say("POST", "/api/v1/namespaces/other/configmaps", _a_map("here", 0))
        assert status == 201
        assert {"owner", "owned"} <= set(await _names(world))
        assert (await world.say("GET", "/api/v1/namespaces/other/configmaps/here"))[0] == 200
        await world.say("DELETE", f"{MAPS}/owner")
        assert not {"owner", "owned"} & set(await _names(world))

    world.run(story())
    world.store.close()


def test_a_watch_sees_nothing_of_what_was_refused(disk: Path) -> None:
    world = _open(disk)
    start = world.store.memory.revision
    ballast = fill(disk)
    made, _ = world.run(_until_full(world))
    ballast.unlink()
    world.run(world.say("POST", MAPS, _a_map("after", 0)))
    seen = [change.place.name for change in world.store.memory.ring("configmaps").after(start)]
    assert seen == [*made, "after"]
    world.store.close()
