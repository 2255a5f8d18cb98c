"""The seam between us and a Kubernetes API: requests, streams and upgraded connections as plain values.

Everything above it (paths, pages, watch resume, retries, patch types, the error map) is one code path, whether a real API
server, the embedded store or either of them with faults stands behind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final, Protocol

from msgspec import Struct, field

from fairlead.runtime.errors import FairleadError

MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_PATCH: Final = "application/strategic-merge-patch+json"
JSON: Final = "application/json"


class Request(Struct, frozen=True, kw_only=True):
    """One call. Header names are lower case; query pairs are not yet percent-encoded."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def media(self) -> str:
        """Give the media type of the body without its parameters; empty where it is not said."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def parameter(self, name: str, default: str = "") -> str:
        """Give the first value of a query parameter."""
        return next((value for key, value in self.query if key == name), default)


class Response(Struct, frozen=True, kw_only=True):
    """One answer, whole. Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def retry_after(self) -> float | None:
        """Give the seconds the server asks to wait, None where it does not."""
        text = self.headers.get("retry-after", "")
        return float(text) if text.isdigit() else None


class Refused(FairleadError):
    """A stream or upgrade was answered with an error; `response` says which."""

    code = "refused"

    def __init__(self, response: Response) -> None:
        super().__init__(f"the API answered {response.status}")
        self.response = response


class Duplex(Protocol):
    """An upgraded connection that carries messages both ways; the first byte of each is its channel."""

    async def send(self, message: bytes) -> None:
        """Hand a message over. Raises: Unreachable when the other side is gone."""
        ...

    async def receive(self) -> bytes | None:
        """Give the next message, None when the other side has ended."""
        ...

    async def close(self) -> None:
        """End the connection; safe to call twice."""
        ...


class Transport(Protocol):
    """A way to a Kubernetes API. Raises Unreachable where no answer comes."""

    async def request(self, request: Request) -> Response:
        """Give the whole answer, whatever its status."""
        ...

    def stream(self, request: Request) -> AsyncIterator[bytes]:
        """Give the body piece by piece as it comes. Raises: Refused for an answer of 400 or more."""
        ...

    async def upgrade(self, request: Request) -> Duplex:
        """Give the connection. Raises: Refused where the server will not upgrade."""
        ...
