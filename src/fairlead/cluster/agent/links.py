"""Links to the control plane, dialled from here: one for what is wanted and seen, one more for each log, shell or explanation."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import aiohttp
from msgspec import Struct

from fairlead.runtime.errors import Unreachable
from fairlead.wire.agent import CHANNEL_PATH, CONTROL_PATH

Data = str | bytes


class AgentOptions(Struct, frozen=True, kw_only=True):
    """Where the control plane is and who we are. Units: seconds."""

    url: str
    cluster: str
    secret: str
    ca_file: str = ""
    proxy: str = ""
    settle: float = 0.05
    """Changes that come this close together travel together."""
    heartbeat: float = 10.0


class Link(Protocol):
    """Messages both ways until either end closes. Iterating gives what comes, and ends when the other end has closed."""

    async def send(self, data: Data) -> None:
        """Sends one message. Raises: ConnectionError."""
        ...

    def __aiter__(self) -> AsyncIterator[Data]:
        """What the other end sends."""
        ...

    @property
    def close_code(self) -> int | None:
        """What the other end said when it closed; None while open, or where it said nothing."""
        ...


class Dialler(Protocol):
    """Opens links. Raises on entering, or inside: Unreachable."""

    def control(self) -> AbstractAsyncContextManager[Link]:
        """The one connection of this cluster."""
        ...

    def channel(self, channel: str, grant: str) -> AbstractAsyncContextManager[Link]:
        """A further one, for which the control plane gave a grant."""
        ...


class WebSockets:
    """Links as WebSockets, through a proxy where one is given."""

    def __init__(self, options: AgentOptions) -> None:
        self._options = options

    def control(self) -> AbstractAsyncContextManager[Link]:
        """See `Dialler`."""
        options = self._options
        headers = {"Authorization": f"Bearer {options.secret}", "X-Fairlead-Cluster": options.cluster}
        return self._dial(CONTROL_PATH, headers)

    def channel(self, channel: str, grant: str) -> AbstractAsyncContextManager[Link]:
        """See `Dialler`."""
        return self._dial(f"{CHANNEL_PATH}/{channel}", {"Authorization": f"Bearer {grant}"})

    @asynccontextmanager
    async def _dial(self, path: str, headers: dict[str, str]) -> AsyncIterator[Link]:
        options = self._options
        try:
            async with (
                aiohttp.ClientSession(connector=_connector(options), trust_env=not options.proxy) as session,
                session.ws_connect(
                    options.url + path,
                    headers=headers,
                    heartbeat=options.heartbeat,
                    max_msg_size=0,
                    proxy=options.proxy or None,
                ) as socket,
            ):
                yield _Socket(socket)
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            raise Unreachable(str(error) or type(error).__name__) from error


class _Socket:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, data: Data) -> None:
        try:
            await (self._socket.send_str(data) if isinstance(data, str) else self._socket.send_bytes(data))
        except aiohttp.ClientError as error:
            raise ConnectionError(str(error)) from error

    async def __aiter__(self) -> AsyncIterator[Data]:
        async for message in self._socket:
            if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                yield message.data

    @property
    def close_code(self) -> int | None:
        return self._socket.close_code


def _connector(options: AgentOptions) -> aiohttp.TCPConnector:
    if not options.ca_file:
        return aiohttp.TCPConnector()
    return aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=options.ca_file))
