"""Links to the control plane, dialled from here: one for what is wanted and seen, one more for each log, shell or explanation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct

from fairlead.runtime.proxies import Proxy

Data = str | bytes


class AgentOptions(Struct, frozen=True, kw_only=True):
    """Where the control plane is and who we are. Units: seconds."""

    url: str
    cluster: str
    secret: str
    ca_file: str = ""
    proxy: Proxy | None = None
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

    @property
    def close_reason(self) -> str:
        """Why it closed, in its words; empty where it said nothing."""
        ...


class Dialler(Protocol):
    """Opens links. Raises on entering, or inside: Unreachable."""

    def control(self) -> AbstractAsyncContextManager[Link]:
        """The one connection of this cluster."""
        ...

    def channel(self, channel: str, grant: str) -> AbstractAsyncContextManager[Link]:
        """A further one, for which the control plane gave a grant."""
        ...
