"""Upgraded connections with meaning: a command inside a container, a connection to one of its ports.

Protocol: Kubernetes' remote command channels over a WebSocket; the first byte of a message is its channel.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from fairlead.kube.transport import Duplex
from fairlead.objects.meta import Status
from fairlead.runtime.errors import Permanent

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2
ERROR: Final = 3
RESIZE: Final = 4
CLOSE: Final = 255
"""Followed by the number of a channel: the sender is done with it (protocol v5)."""


class ExecSession:
    """A running command: feed it, read what it says, learn how it ended."""

    def __init__(self, duplex: Duplex) -> None:
        self._duplex = duplex
        self.exit_code: int | None = None
        """Known once `output` has ended; None when the connection was lost before."""

    async def send(self, data: bytes) -> None:
        """Feed standard input."""
        await self._duplex.send(bytes([STDIN]) + data)

    async def end_input(self) -> None:
        """Say that standard input is over."""
        await self._duplex.send(bytes([CLOSE, STDIN]))

    async def resize(self, columns: int, rows: int) -> None:
        """Say how large the terminal is now."""
        size = msgspec.json.encode({"Width": columns, "Height": rows})
        await self._duplex.send(bytes([RESIZE]) + size)

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """Give (STDOUT or STDERR, data) until the command has ended."""
        while (message := await self._duplex.receive()) is not None:
            channel, data = message[:1], message[1:]
            if channel == bytes([ERROR]):
                self.exit_code = exit_code_of(data)
                return
            if data and channel in (bytes([STDOUT]), bytes([STDERR])):
                yield channel[0], data

    async def close(self) -> None:
        """End the session."""
        await self._duplex.close()


class PortSession:
    """One TCP connection to a port of a pod."""

    def __init__(self, duplex: Duplex) -> None:
        self._duplex = duplex
        self._greeted: set[int] = set()

    async def send(self, data: bytes) -> None:
        """Hand bytes to the pod."""
        await self._duplex.send(b"\x00" + data)

    async def end_input(self) -> None:
        """Say that there is no more. A real kubelet passes this on to nobody: its pod sees the end when the connection closes."""
        await self._duplex.send(bytes([CLOSE, STDIN]))

    async def receive(self) -> bytes | None:
        """Give bytes from the pod, None at the end. Raises: Permanent with what the node said went wrong."""
        while (message := await self._duplex.receive()) is not None:
            channel, data = message[0], message[1:]
            if channel not in self._greeted:  # each channel begins with the port's number in two bytes
                self._greeted.add(channel)
                data = data[2:]
            if channel == 1 and data:
                raise Permanent(data.decode(errors="replace"), code="port-forward")
            if data:
                return data
        return None

    async def close(self) -> None:
        """End the connection."""
        await self._duplex.close()


def exit_code_of(data: bytes) -> int:
    """Give the exit code a final Status names: 0 for Success, the cause `ExitCode`, else 1."""
    with contextlib.suppress(msgspec.DecodeError):
        status = msgspec.json.decode(data, type=Status)
        if status.status == "Success":
            return 0
        for cause in status.details.causes:
            if cause.reason == "ExitCode" and cause.message.isdigit():
                return int(cause.message)
    return 1
