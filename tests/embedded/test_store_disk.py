"""What was answered is on disk: kill -9 at any moment, and it is there again."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from tests.embedded.worlds import World, a_map

from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.kube.client import Client, Limits
from fairlead.kube.errors import Expired
from fairlead.objects.json import as_object
from fairlead.objects.kinds import CONFIG_MAP, CUSTOM_RESOURCE_DEFINITION, NAMESPACE
from fairlead.runtime.clock import SystemClock, VirtualClock
from fairlead.runtime.errors import FairleadError, Retryable
from fairlead.runtime.retry import Backoff

WRITER = """
import asyncio, sys
from pathlib import Path
from random import Random
from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.kube.client import Client
from fairlead.objects.json import as_object
from fairlead.objects.kinds import CONFIG_MAP
from fairlead.runtime.clock import SystemClock
from tests.embedded.worlds import a_map

async def main():
    clock = SystemClock()
    client = Client(EmbeddedTransport(Store(clock, Random(), Path(sys.argv[1]))), clock, Random())
    async def write(worker):
        number = 0
        while True:
            name = f"m{worker}-{number}"
            await client.create(CONFIG_MAP, a_map(name), "default")
            print(name, flush=True)
            number += 1
    await asyncio.gather(*(write(worker) for worker in range(8)))

asyncio.run(main())
"""


def _open(path: Path, clock: VirtualClock) -> World:
    store = Store(clock, Random(5), path)
    limits = Limits(backoff=Backoff(tries=2))
    return World(clock, store, Client(EmbeddedTransport(store), clock, Random(6), limits))


def test_a_store_opened_again_is_as_it_was(tmp_path: Path) -> None:
    clock, path = VirtualClock(), tmp_path / "store.db"
    world = _open(path, clock)

    async def write() -> None:
        await world.namespace()
        await world.client.create(CONFIG_MAP, a_map("a", k="v"), "ns")
        await world.client.create(CONFIG_MAP, a_map("b"), "ns")
        await world.client.delete(CONFIG_MAP, "b", "ns")

    world.run(write())
    before = world.run(world.client.get(CONFIG_MAP, "a", "ns"))
    revision, system = world.store.memory.revision, world.run(world.client.get(NAMESPACE, "kube-system"))
    world.store.close()
    again = _open(path, clock)
    assert again.run(again.client.get(CONFIG_MAP, "a", "ns")) == before
    assert again.run(again.client.find(CONFIG_MAP, "b", "ns")) is None
    assert again.run(again.client.get(NAMESPACE, "kube-system")).metadata.uid == system.metadata.uid
    assert again.store.memory.revision == revision
    again.store.close()


def test_a_watch_from_before_the_restart_is_told_to_list_again(tmp_path: Path) -> None:
    clock, path = VirtualClock(), tmp_path / "store.db"
    world = _open(path, clock)
    start = str(world.store.memory.revision)
    world.run(world.namespace())
    world.store.close()
    again = _open(path, clock)

    async def watch() -> None:
        await anext(again.client.watch(NAMESPACE, start))

    with pytest.raises(Expired):
        again.run(watch())
    again.store.close()


def test_writes_of_one_turn_of_the_loop_share_one_transaction(tmp_path: Path) -> None:
    world = _open(tmp_path / "store.db", VirtualClock())

    async def write() -> int:
        before = world.store.commits
        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(world.client.create(CONFIG_MAP, a_map(f"m{number}"), "default"))
        return world.store.commits - before

    assert world.run(write()) == 1
    world.store.close()


@pytest.mark.slow
def test_every_answer_given_before_a_kill_holds_after_it(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    env = os.environ | {"PYTHONPATH": str(root)}
    path = tmp_path / "store.db"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, env=env, cwd=root)
    assert writer.stdout is not None
    answered = [writer.stdout.readline().decode().strip() for _ in range(500)]
    writer.kill()
    answered += writer.stdout.read().decode().split("\n")[:-1]
    writer.wait()
    writer.stdout.close()
    store = Store(SystemClock(), Random(1), path)
    kept = {place.name for place, _ in store.memory.within(CONFIG_MAP.resource, "default")}
    store.close()
    assert set(answered) <= kept


def test_a_disk_that_fails_is_said_and_nothing_is_promised_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = _open(tmp_path / "store.db", VirtualClock())
    assert world.store._disk is not None

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr(world.store._disk, "commit", fail)
    for _ in range(2):
        with pytest.raises(Retryable, match="disk full") as caught:
            world.run(world.client.create(CONFIG_MAP, a_map("a"), "default"))
        assert isinstance(caught.value, FairleadError)


def test_definitions_are_served_but_not_kept(tmp_path: Path) -> None:
    world = _open(tmp_path / "store.db", VirtualClock())
    served = world.run(world.client.list(CUSTOM_RESOURCE_DEFINITION)).items
    names = [as_object(item["metadata"])["name"] for item in served]
    world.store.close()
    rows = sqlite3.connect(tmp_path / "store.db")
    kept = rows.execute("SELECT count(*) FROM object WHERE resource = ?", (CUSTOM_RESOURCE_DEFINITION.resource,))
    assert "trainings.fairlead.dev" in names
    assert kept.fetchone() == (0,)
    rows.close()
