"""Commands and connections inside pods: channels, endings, exit codes."""

from __future__ import annotations

import json

import pytest

from fairlead.kube.sessions import STDERR, STDOUT, ExecSession, PortSession, exit_code_of
from fairlead.runtime.clock import VirtualClock
from fairlead.runtime.errors import Permanent


class Script:
    """A duplex that says what was written down, and notes what it is told."""

    def __init__(self, *messages: bytes) -> None:
        self.messages = list(messages)
        self.sent: list[bytes] = []

    async def send(self, message: bytes) -> None:
        self.sent.append(message)

    async def receive(self) -> bytes | None:
        return self.messages.pop(0) if self.messages else None

    async def close(self) -> None:
        self.messages.clear()


async def _output(session: ExecSession) -> list[tuple[int, bytes]]:
    return [part async for part in session.output()]


def test_output_comes_by_channel_until_the_status() -> None:
    failed = {"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "3"}]}}
    session = ExecSession(Script(b"\x01", b"\x01out", b"\x02err", b"\x03" + json.dumps(failed).encode(), b"\x01late"))
    assert VirtualClock().run(_output(session)) == [(STDOUT, b"out"), (STDERR, b"err")]
    assert session.exit_code == 3


def test_a_lost_connection_leaves_no_exit_code() -> None:
    session = ExecSession(Script(b"\x01out"))
    VirtualClock().run(_output(session))
    assert session.exit_code is None


@pytest.mark.parametrize(
    ("status", "code"), [(b'{"status":"Success"}', 0), (b'{"status":"Failure"}', 1), (b"nonsense", 1)]
)
def test_an_exit_code_is_always_told(status: bytes, code: int) -> None:
    assert exit_code_of(status) == code


def test_input_goes_out_by_channel() -> None:
    script = Script()
    session = ExecSession(script)

    async def story() -> None:
        await session.send(b"ls\n")
        await session.resize(80, 24)
        await session.end_input()

    VirtualClock().run(story())
    assert script.sent == [b"\x00ls\n", b'\x04{"Width":80,"Height":24}', b"\xff\x00"]


def test_a_port_begins_with_its_number_and_errors_come_out() -> None:
    async def read(session: PortSession) -> list[bytes]:
        found = []
        while (piece := await session.receive()) is not None:
            found.append(piece)
        return found

    clock = VirtualClock()
    good = PortSession(Script(b"\x00\x50\x00", b"\x01\x50\x00", b"\x00abc", b"\x00def"))
    assert clock.run(read(good)) == [b"abc", b"def"]
    with pytest.raises(Permanent, match="refused"):
        clock.run(read(PortSession(Script(b"\x01\x50\x00connection refused"))))
