"""What a run makes in a cluster goes, at whatever moment the run is stopped."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.kube.client import Client
from fairlead.kube.transport import Request, Response
from fairlead.objects import kinds
from fairlead.preflight.config import Config
from fairlead.preflight.gather.api import Api
from fairlead.preflight.gather.made import made
from fairlead.preflight.gather.pods import Place
from fairlead.preflight.gather.trials import dry_runs
from fairlead.runtime.clock import VirtualClock
from fairlead.runtime.errors import FairleadError, Unreachable

PLACE = Place(run="1", namespace="fairlead-preflight-1", image="x", expires=0, seconds=300, pulls=False)


class Slow(EmbeddedTransport):
    """What is to be made is made at once, and its answer comes `late`. Units: seconds."""

    def __init__(self, clock: VirtualClock, late: float) -> None:
        super().__init__(Store(clock, Random(1)))
        self._clock, self._late = clock, late
        self.writes = 0

    async def request(self, request: Request) -> Response:
        answer = await super().request(request)
        if request.method == "POST":
            self.writes += 1
            await self._clock.sleep(self._late)
        return answer


def bench(late: float) -> tuple[VirtualClock, Slow, Api]:
    """A clock, the API, and as preflight asks it."""
    clock = VirtualClock()
    slow = Slow(clock, late)
    return clock, slow, Api(Client(slow, clock, Random(2)), patience=5)


async def left(api: Api) -> list[str]:
    """Namespaces of runs that are there."""
    found = await api.client.list(kinds.NAMESPACE)
    return [each.metadata.name for each in found.items if each.metadata.name.startswith(PLACE.namespace)]


@pytest.mark.parametrize("writes", [1, 2])
def test_a_run_that_is_stopped_during_a_write_leaves_nothing(writes: int) -> None:
    clock, slow, api = bench(late=1)
    seen: list[str] = []

    async def work() -> None:
        async with made(api, PLACE, "fairlead", lambda _: None):
            await clock.sleep(100)

    async def story() -> None:
        task = asyncio.create_task(work())
        while slow.writes < writes:
            await clock.sleep(0.1)
        seen.extend(await left(api))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await left(api) == []

    clock.run(story())
    assert seen == [PLACE.namespace]


def test_dry_runs_that_are_stopped_while_their_namespace_is_made_leave_none() -> None:
    clock, slow, api = bench(late=1)

    async def story() -> None:
        task = asyncio.create_task(dry_runs(api, PLACE, Config()))
        while not slow.writes:
            await clock.sleep(0.1)
        assert await left(api) == [f"{PLACE.namespace}-node"]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await left(api) == []

    clock.run(story())


def test_a_namespace_whose_answer_was_lost_is_taken_away() -> None:
    clock, _, api = bench(late=60)

    async def story() -> None:
        with pytest.raises(FairleadError) as failed:
            async with made(api, PLACE, "fairlead", lambda _: None):
                pass
        assert isinstance(failed.value, Unreachable)
        assert await left(api) == []

    clock.run(story())
