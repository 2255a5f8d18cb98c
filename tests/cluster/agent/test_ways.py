"""When links are made of requests instead of WebSockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fairlead.cluster.agent.links import AgentOptions, Data, Link, secret_of
from fairlead.cluster.agent.ways import Ways
from fairlead.runtime.errors import Invalid, Unreachable


@dataclass
class ALink:
    """A link that says nothing."""

    close_code: int | None = None
    close_reason: str = ""

    async def send(self, data: Data) -> None:
        """Takes it."""

    async def __aiter__(self) -> AsyncIterator[Data]:
        for nothing in ():
            yield nothing


@dataclass
class ADialler:
    """Counts what is dialled. `fails`: what opening raises; `code`: with which links end."""

    fails: Exception | None = None
    code: int | None = None
    dialled: int = 0

    @asynccontextmanager
    async def _dial(self) -> AsyncIterator[Link]:
        self.dialled += 1
        if self.fails:
            raise self.fails
        yield ALink(self.code)

    def control(self) -> AbstractAsyncContextManager[Link]:
        """See `Dialler`."""
        return self._dial()

    def channel(self, channel: str, grant: str) -> AbstractAsyncContextManager[Link]:
        """See `Dialler`."""
        return self._dial()


@dataclass
class AClock:
    """Stands still."""

    now: float = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now


@dataclass
class Bench:
    """Both ways, and a clock."""

    sockets: ADialler = field(default_factory=ADialler)
    polling: ADialler = field(default_factory=ADialler)
    clock: Any = field(default_factory=AClock)

    def ways(self, transport: Any = "auto") -> Ways:
        """Made anew."""
        options = AgentOptions(url="", cluster="c", secret="s", transport=transport)
        return Ways(options, self.clock, self.sockets, self.polling)

    async def live(self, ways: Ways, seconds: float = 0.0) -> None:
        """One connection of that length."""
        async with ways.control():
            self.clock.now += seconds


async def test_websockets_that_are_refused_on_the_way_give_place_to_requests_for_an_hour() -> None:
    bench = Bench(ADialler(fails=Unreachable("answered 403", code="no-control-plane")))
    ways = bench.ways()
    with pytest.raises(Unreachable):
        await bench.live(ways)
    await bench.live(ways)
    async with ways.channel("c1", "grant"):
        assert (bench.sockets.dialled, bench.polling.dialled) == (1, 2)
    bench.clock.now += 3600
    with pytest.raises(Unreachable):
        await bench.live(ways)
    assert bench.sockets.dialled == 2


async def test_a_control_plane_that_is_away_is_no_reason() -> None:
    bench = Bench(ADialler(fails=Unreachable("nobody", code="control-plane-away")))
    ways = bench.ways()
    for _ in range(5):
        with pytest.raises(Unreachable):
            await bench.live(ways)
    assert (bench.polling.dialled, ways.polls) == (0, False)


async def test_three_websockets_in_a_row_that_are_cut_soon_are_a_reason() -> None:
    bench = Bench()
    ways = bench.ways()
    for seconds in (60.0, 61.0, 500.0, 60.0, 61.0):
        await bench.live(ways, seconds)
    assert not ways.polls
    await bench.live(ways, 62.0)
    assert ways.polls
    await bench.live(ways)
    assert (bench.sockets.dialled, bench.polling.dialled) == (6, 1)


async def test_a_connection_that_the_control_plane_closed_was_not_cut() -> None:
    bench = Bench(ADialler(code=4403))
    ways = bench.ways()
    for _ in range(5):
        await bench.live(ways)
    assert not ways.polls


@pytest.mark.parametrize(("transport", "dialled"), [("websocket", (1, 0)), ("poll", (0, 1))])
async def test_a_way_that_is_set_is_kept(transport: str, dialled: tuple[int, int]) -> None:
    bench = Bench(ADialler(fails=Unreachable("answered 403", code="no-control-plane")))
    ways = bench.ways(transport)
    try:
        await bench.live(ways)
    except Unreachable:
        assert not ways.polls
    assert (bench.sockets.dialled, bench.polling.dialled) == dialled


def test_the_secret_is_that_of_the_file_as_it_is_now(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    options = AgentOptions(url="http://x", cluster="c", secret_file=str(file))
    for written in ("first\n", "second"):
        file.write_text(written)
        assert secret_of(options) == written.strip()
    file.unlink()
    with pytest.raises(Invalid, match=r"The cluster's secret cannot be read from .*: No such file"):
        secret_of(options)
