"""What the agent serves on a channel, and the lines it leaves in its log: the cluster's own audit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec.structs import replace
from structlog.testing import capture_logs
from tests.cluster.agent.test_agent_grants import ASK, SERVER
from tests.cluster.build import Bench

from fairlead.cluster.agent.channels import Channels
from fairlead.cluster.agent.grants import Gate
from fairlead.wire.agent import Open


class LinkDouble:
    """The caller's end: keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[str | bytes] = []
        self.close_code: int | None = None
        self.close_reason = ""

    async def send(self, data: str | bytes) -> None:
        self.sent.append(data)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        await asyncio.Event().wait()
        yield b""


class DiallerDouble:
    """Gives the one link, and no control connection."""

    def __init__(self) -> None:
        self.link = LinkDouble()

    def control(self) -> object:
        raise AssertionError("a channel opens no control connection")

    @asynccontextmanager
    async def channel(self, channel: str, grant: str) -> AsyncIterator[LinkDouble]:
        yield self.link


class ExplainerDouble:
    """Says why."""

    async def explain(self, namespace: str, workload: str) -> bytes:
        return b"{}"


def _served(*asks: Open) -> tuple[list[str | bytes], list[dict[str, object]]]:
    bench, dialler = Bench(), DiallerDouble()

    async def story() -> None:
        gate = Gate("here", "word", bench.clock.now)
        gate.trust(SERVER.public)
        channels = Channels(bench.client, ExplainerDouble(), dialler)  # type: ignore[arg-type]  # doubles
        for ask in asks:
            await channels.serve(ask, gate)

    with capture_logs() as lines:
        bench.run(story)
    return dialler.link.sent, [dict(line) for line in lines if str(line["event"]).startswith("channel.")]


def _signed(ask: Open) -> Open:
    return SERVER.sign(ask, cluster="here", connection="word", user="mira", now=Bench().clock.now())


def test_each_channel_leaves_who_asked_for_what_and_how_it_ended() -> None:
    sent, lines = _served(_signed(replace(ASK, kind="explain", command=(), name="train")))
    assert sent == [b"{}"]
    told = {"verb": "explain", "namespace": "runai-vision", "pod": "train", "channel": "c-1", "user": "mira"}
    assert [(line["event"], line.get("outcome")) for line in lines] == [
        ("channel.opened", None),
        ("channel.ended", "ended"),
    ]
    assert all(line | told == line for line in lines)


def test_what_fails_ends_with_the_words_that_the_caller_gets() -> None:
    sent, lines = _served(_signed(ASK))
    assert lines[-1]["command"] == ("ls", "-l")
    assert sent == [b"\x00error:" + str(lines[-1]["outcome"]).encode()]
    assert "not found" in str(lines[-1]["outcome"])


def test_a_grant_that_is_used_again_is_refused_to_the_caller_and_in_the_log() -> None:
    ask = _signed(replace(ASK, kind="explain"))
    sent, lines = _served(ask, ask)
    assert sent[0] == b"{}"
    assert b"it was used before" in bytes(sent[1])  # type: ignore[arg-type]  # bytes
    assert (lines[-1]["event"], lines[-1]["log_level"]) == ("channel.refused", "warning")
    assert "it was used before" in str(lines[-1]["outcome"])
