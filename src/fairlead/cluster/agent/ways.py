"""Which way links take: WebSockets, or requests that wait where those do not get through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from fairlead.cluster.agent.failures import NO_CONTROL_PLANE
from fairlead.cluster.agent.links import AgentOptions, Dialler, Link
from fairlead.cluster.agent.polling import Polling
from fairlead.cluster.agent.sockets import WebSockets
from fairlead.runtime.clock import Clock
from fairlead.runtime.errors import Unreachable
from fairlead.runtime.logs import logger

_CUTS: Final = 3
"""So many WebSockets in a row that were cut soon say that something on the way does so."""
_SOON: Final = 120.0
_AGAIN: Final = 3600.0
"""After so long WebSockets are tried again, at the next link. Units of both: seconds."""
_CUT_CODES: Final = (None, 1006)
_log = logger("agent.ways")


class Ways:
    """A `Dialler` that takes the way which gets through."""

    def __init__(
        self, options: AgentOptions, clock: Clock, sockets: Dialler | None = None, polling: Dialler | None = None
    ) -> None:
        self._transport = options.transport
        self._sockets = sockets or WebSockets(options)
        self._polling = polling or Polling(options)
        self._clock = clock
        self._cuts = 0
        self._polls_until: float | None = None

    @property
    def polls(self) -> bool:
        """Whether the next link is made of requests."""
        if self._transport != "auto":
            return self._transport == "poll"
        return self._polls_until is not None and self._clock.monotonic() < self._polls_until

    @asynccontextmanager
    async def control(self) -> AsyncIterator[Link]:
        """See `Dialler`."""
        if self.polls:
            async with self._polling.control() as link:
                yield link
            return
        opened = None
        try:
            async with self._sockets.control() as link:
                opened = self._clock.monotonic()
                yield link
        except Unreachable as error:
            if opened is None and error.code == NO_CONTROL_PLANE:
                self._poll(str(error))
            raise
        finally:
            if opened is not None:
                self._judge(link, self._clock.monotonic() - opened)

    def channel(self, channel: str, grant: str) -> AbstractAsyncContextManager[Link]:
        """See `Dialler`."""
        return (self._polling if self.polls else self._sockets).channel(channel, grant)

    def _judge(self, link: Link, lasted: float) -> None:
        is_cut = lasted < _SOON and link.close_code in _CUT_CODES
        self._cuts = self._cuts + 1 if is_cut else 0
        if self._cuts >= _CUTS:
            self._cuts = 0
            self._poll(f"{_CUTS} WebSockets in a row were cut within {_SOON:g} s")

    def _poll(self, why: str) -> None:
        if self._transport == "auto":
            _log.warning("transport.polls", message=why, seconds=_AGAIN)
            self._polls_until = self._clock.monotonic() + _AGAIN
