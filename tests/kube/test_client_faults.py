"""The client and the cache on a network that misbehaves: everything settles, nothing is lost."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.embedded.store.memory import Place
from fairlead.kube.cache import Cache
from fairlead.kube.client import Client, Limits
from fairlead.kube.errors import Throttled, Uncertain
from fairlead.kube.faulty import Crash, Faults, FaultyTransport
from fairlead.kube.transport import Request, Response
from fairlead.objects.builtin import ConfigMap
from fairlead.objects.kinds import CONFIG_MAP
from fairlead.objects.meta import ObjectMeta
from fairlead.runtime.clock import VirtualClock
from fairlead.runtime.errors import Conflict, Unreachable
from fairlead.runtime.retry import Backoff


class Net:
    """A store behind a bad network, with a client that knows only the network."""

    def __init__(self, faults: Faults, seed: int = 1, tries: int = 8) -> None:
        self.clock = VirtualClock()
        self.store = Store(self.clock, Random(seed))
        self.faulty = FaultyTransport(EmbeddedTransport(self.store), Random(seed), self.clock, faults, self._crash)
        limits = Limits(backoff=Backoff(first=0.1, most=5, tries=tries))
        self.client = Client(self.faulty, self.clock, Random(seed), limits)
        self.sure = Client(EmbeddedTransport(self.store), self.clock, Random(seed))
        self.crash_on = ""

    def _crash(self, moment: str, request: Request) -> None:
        if self.crash_on == f"{moment} {request.method}":
            raise Crash


def a_map(name: str, **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name), data=data)


@pytest.mark.parametrize("seed", range(12))
def test_a_cache_settles_on_the_truth_whatever_happens_to_its_watch(seed: int) -> None:
    faults = Faults(
        throttled=0.1, broken=0.1, lost=0.1, refused_watch=0.2, cut=0.1, expired=0.05, doubled=0.2, late=0.2
    )
    net = Net(faults, seed)
    rng = Random(seed)

    async def story() -> None:
        cache = Cache(net.client, CONFIG_MAP, "default")
        mirror: dict[str, str] = {}

        def hear(key: object, before: ConfigMap | None, after: ConfigMap | None) -> None:
            name = str(key).split("/")[1]
            assert (name in mirror) == (before is not None)
            if after is None:
                del mirror[name]
            else:
                mirror[name] = after.metadata.resource_version

        cache.on_change(hear)
        running = asyncio.create_task(cache.run())
        for step in range(150):
            await _change(net.sure, rng, step)
            await net.clock.sleep(rng.random() * 3)
        net.faulty.faults = Faults()
        await net.clock.sleep(600)
        truth = (await net.sure.list(CONFIG_MAP, "default")).items
        assert cache.values() == truth
        assert mirror == {item.metadata.name: item.metadata.resource_version for item in truth}
        running.cancel()
        await asyncio.wait({running})

    net.clock.run(story())
    assert sum(net.faulty.injected.values()) > 10


async def _change(client: Client, rng: Random, step: int) -> None:
    name = f"m{rng.randrange(12)}"
    if await client.find(CONFIG_MAP, name, "default") is None:
        await client.create(CONFIG_MAP, a_map(name), "default")
    elif rng.random() < 0.4:
        await client.delete(CONFIG_MAP, name, "default")
    else:
        await client.patch(CONFIG_MAP, name, {"data": {"step": str(step)}}, "default")


def test_refusals_that_pass_are_tried_again_and_the_servers_wish_is_honoured() -> None:
    net = Net(Faults(throttled=0.5, broken=0.2), tries=40)

    async def story() -> None:
        for number in range(20):
            await net.client.create(CONFIG_MAP, a_map(f"m{number}"), "default")
        assert len((await net.client.list(CONFIG_MAP, "default")).items) == 20

    net.clock.run(story())
    assert net.clock.monotonic() >= net.faulty.injected["throttled"]


def test_trying_ends_with_the_servers_words() -> None:
    net = Net(Faults(throttled=1.0), tries=3)
    with pytest.raises(Throttled, match="TooManyRequests"):
        net.clock.run(net.client.get(CONFIG_MAP, "a", "default"))
    assert net.faulty.injected == {"throttled": 3}


def test_a_create_whose_answer_was_lost_is_not_sent_again() -> None:
    net = Net(Faults(lost=1.0))
    with pytest.raises(Uncertain):
        net.clock.run(net.client.create(CONFIG_MAP, a_map("a"), "default"))
    assert net.faulty.injected == {"lost": 1}
    assert net.clock.run(net.sure.get(CONFIG_MAP, "a", "default")).metadata.name == "a"


def test_a_patch_whose_answer_was_lost_is_sent_again() -> None:
    net = Net(Faults())

    async def story() -> None:
        await net.sure.create(CONFIG_MAP, a_map("a"), "default")
        net.faulty.faults = Faults(lost=1.0)
        asyncio.get_running_loop().call_later(0.05, setattr, net.faulty, "faults", Faults())
        await net.client.patch(CONFIG_MAP, "a", {"data": {"k": "v"}}, "default")

    net.clock.run(story())
    assert net.faulty.injected["lost"] >= 1


def test_conflicts_come_out_at_once() -> None:
    net = Net(Faults(conflict=1.0))

    async def story() -> None:
        await net.client.create(CONFIG_MAP, a_map("a"), "default")
        await net.client.patch(CONFIG_MAP, "a", {"data": {"k": "v"}}, "default")

    with pytest.raises(Conflict):
        net.clock.run(story())
    assert net.faulty.injected == {"conflict": 1}


@pytest.mark.parametrize(("when", "exists"), [("before POST", False), ("after POST", True)])
def test_a_process_can_end_on_either_side_of_a_call_and_nothing_catches_it(when: str, exists: bool) -> None:
    net = Net(Faults())
    net.crash_on = when

    async def careless() -> None:
        try:
            await net.client.create(CONFIG_MAP, a_map("a"), "default")
        except Exception as error:  # noqa: BLE001  # that nobody's broad except survives a crash is what is tested
            pytest.fail(f"survived its own end: {error}")

    with pytest.raises(Crash):
        net.clock.run(careless())
    found = net.clock.run(net.sure.find(CONFIG_MAP, "a", "default"))
    assert (found is not None) == exists


def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    clock = VirtualClock()

    class Silent(EmbeddedTransport):
        async def request(self, request: Request) -> Response:
            await asyncio.Event().wait()
            raise AssertionError

    silent = Silent(Store(clock, Random(1)))
    client = Client(silent, clock, Random(1), Limits(call=30, backoff=Backoff(jitter=0, first=1, tries=3)))
    with pytest.raises(Unreachable, match="within 30 s"):
        clock.run(client.get(CONFIG_MAP, "a", "default"))
    assert clock.monotonic() == pytest.approx(30 + 1 + 30 + 2 + 30)


def test_one_broken_object_spoils_neither_the_list_nor_the_watch() -> None:
    net = Net(Faults())

    async def story() -> tuple[int, tuple[str, ...], list[str]]:
        start = (await net.client.list(CONFIG_MAP, "default")).revision
        await net.client.create(CONFIG_MAP, a_map("good"), "default")
        meta = {"name": "bad", "namespace": "default", "uid": "u"}
        bad = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": meta, "data": {"k": 5}}
        net.store.memory.put(Place("configmaps", "default", "bad"), bad)  # the door would not let it in
        net.store.memory.publish()
        listing = await net.client.list(CONFIG_MAP, "default")
        events = []
        async for event in net.client.watch(CONFIG_MAP, start, "default"):
            events.append(f"{event.name} {bool(event.broken)}")
            if len(events) == 2:
                break
        return len(listing.items), listing.broken, events

    count, broken, events = net.clock.run(story())
    assert count == 1
    assert broken[0].startswith("default/bad: ")
    assert events == ["good False", "bad True"]
