"""Links to the control plane, dialled from here: one for what is wanted and seen, one more for each log, shell or explanation."""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Literal, Protocol

from msgspec import Struct

from fairlead.runtime.errors import Invalid
from fairlead.runtime.proxies import Proxy
from fairlead.runtime.trust import trusting
from fairlead.wire.agent import CHANNEL_PATH, CONTROL_PATH

Data = str | bytes
Transport = Literal["auto", "websocket", "poll"]
"""How links are made: as WebSockets, as requests that wait, or as the latter where the former do not get through."""


class AgentOptions(Struct, frozen=True, kw_only=True):
    """Where the control plane is and who we are. Units: seconds."""

    url: str
    cluster: str
    secret: str = ""
    secret_file: str = ""
    """In place of `secret`: read for each connection."""
    ca_file: str = ""
    proxy: Proxy | None = None
    transport: Transport = "auto"
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


class ByPath(ABC):
    """A `Dialler` over the network: links differ in their path and in who is asking."""

    def __init__(self, options: AgentOptions) -> None:
        self._options = options

    def control(self) -> AbstractAsyncContextManager[Link]:
        """See `Dialler`."""
        options = self._options
        headers = {"Authorization": f"Bearer {secret_of(options)}", "X-Fairlead-Cluster": options.cluster}
        return self._dial(CONTROL_PATH, headers)

    def channel(self, channel: str, grant: str) -> AbstractAsyncContextManager[Link]:
        """See `Dialler`."""
        return self._dial(f"{CHANNEL_PATH}/{channel}", {"Authorization": f"Bearer {grant}"})

    @abstractmethod
    def _dial(self, path: str, headers: dict[str, str]) -> AbstractAsyncContextManager[Link]: ...


def secret_of(options: AgentOptions) -> str:
    """The cluster's secret as it is now, since the file may have been replaced. Raises: Invalid."""
    if not options.secret_file:
        return options.secret
    try:
        return Path(options.secret_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Invalid(
            f"The cluster's secret cannot be read from {options.secret_file}: {why}.",
            hint="agent.secretFile names a file that holds the secret given out with the cluster's id.",
            code="secret-file",
        ) from error


def trusted(options: AgentOptions) -> ssl.SSLContext | None:
    """Made anew for each link, since the file may have been replaced; None where nothing on the way speaks TLS. Raises: Invalid."""
    if not options.url.startswith("https") and not (options.proxy and options.proxy.scheme == "https"):
        return None
    try:
        return trusting(options.ca_file)
    except OSError as error:
        raise Invalid(
            f"{options.ca_file} cannot be read as certificates: {error}.",
            hint="agent.caFile (agent.ca of the chart) holds the authority of the control plane's certificate in PEM form.",
            code="ca-file",
        ) from error
