"""One connection to a port of a pod: its process listens on this machine, so on the machine's loopback address."""

from __future__ import annotations

import asyncio
from collections import deque

from fairlead.embedded.nodes.runtime import CannotStart
from fairlead.kube.sessions import CLOSE
from fairlead.runtime.errors import Unreachable

_PIECE = 64 << 10
_DATA, _ERROR = 0, 1
_HOST = "127.0.0.1"


class PortForward:
    """A `Duplex` around a TCP connection: channel 0 is its data; as Kubernetes does, each channel begins with the port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self._reader, self._writer = reader, writer
        number = port.to_bytes(2, "little")
        self._greetings = deque((bytes([_DATA]) + number, bytes([_ERROR]) + number))

    @classmethod
    async def start(cls, port: int) -> PortForward:
        """Connect. Raises: CannotStart where nothing listens."""
        try:
            return cls(*await asyncio.open_connection(_HOST, port), port)
        except OSError as error:
            raise CannotStart(f"Nothing listens on port {port} there: {error.strerror or error}.") from error

    async def send(self, message: bytes) -> None:
        """Data, or the word that there is no more. Raises: Unreachable."""
        try:
            if message[0] == CLOSE:
                self._writer.write_eof()
            elif message[0] == _DATA:
                self._writer.write(message[1:])
                await self._writer.drain()
        except OSError as error:
            raise Unreachable(f"The connection is gone: {error}.") from error

    async def receive(self) -> bytes | None:
        """The next message, None once the process says no more."""
        if self._greetings:
            return self._greetings.popleft()
        try:
            data = await self._reader.read(_PIECE)
        except OSError:
            return None
        return bytes([_DATA]) + data if data else None

    async def close(self) -> None:
        """End the connection."""
        self._writer.close()
