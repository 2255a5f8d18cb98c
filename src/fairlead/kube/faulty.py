"""A transport that fails on purpose: what networks and API servers do to a client, from one seed.

Faults befall calls as they happen to real ones: refused before they are done (409, 429, 500), done but the answer lost,
watches cut or expired (410), events late or delivered twice. `crash` stands before and after every call, so that a
simulation can end a process between any two of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from fairlead.kube.lines import closing, lines_of
from fairlead.kube.transport import Duplex, Refused, Request, Response, Transport
from fairlead.objects.meta import Status, StatusDetails
from fairlead.runtime.clock import Clock
from fairlead.runtime.errors import Unreachable

Chance = Annotated[float, Meta(ge=0, le=1)]
Moment = Literal["before", "after"]

Hook = Callable[[Moment, Request], None]
"""Called around every call; raising Crash ends the task that made the call."""


class Crash(BaseException):
    """The process ends here. Not an Exception: nothing in a process may survive its own end by catching it."""


class Faults(Struct, frozen=True, kw_only=True):
    """How likely each fault is for one call, or for one event of a watch."""

    conflict: Chance = 0.0
    """A write over an existing object is refused with 409."""
    throttled: Chance = 0.0
    """429 with Retry-After."""
    broken: Chance = 0.0
    """500 before anything was done."""
    lost: Chance = 0.0
    """Done, but the answer does not arrive."""
    refused_watch: Chance = 0.0
    """A watch is answered with 410."""
    cut: Chance = 0.0
    """The watch ends after this event, or in the middle of it."""
    expired: Chance = 0.0
    """The watch ends with an ERROR event of 410."""
    doubled: Chance = 0.0
    """The event is delivered twice."""
    late: Chance = 0.0
    """The event, and all behind it, come later by up to `late_seconds`."""
    late_seconds: float = 5.0


class FaultyTransport:
    """A `Transport` that hands calls on to `inner`, or spoils them."""

    def __init__(
        self, inner: Transport, rng: Random, clock: Clock, faults: Faults, crash: Hook = lambda moment, request: None
    ) -> None:
        self._inner = inner
        self._rng = rng
        self._clock = clock
        self.faults = faults
        """May be replaced while in use, to begin or end a bad time."""
        self._crash = crash
        self.injected: dict[str, int] = {}
        """How often each fault struck."""

    async def request(self, request: Request) -> Response:
        """Give the answer, or a fault. Raises: Unreachable, Crash."""
        self._crash("before", request)
        if spoiled := self._spoiled(request):
            return spoiled
        response = await self._inner.request(request)
        self._crash("after", request)
        if self._strikes("lost"):
            raise Unreachable(f"the answer to {request.method} {request.path} was lost (injected)")
        return response

    async def stream(self, request: Request) -> AsyncIterator[bytes]:
        """Give the lines of a watch with faults in between; other streams as they are. Raises: Refused, Crash."""
        self._crash("before", request)
        if request.parameter("watch") != "true":
            async with closing(self._inner.stream(request)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        if self._strikes("refused_watch"):
            raise Refused(_refusal(410, "Expired"))
        async with closing(lines_of(self._inner.stream(request))) as lines:
            async for line in lines:
                self._crash("after", request)
                spoiled, goes_on = await self._spoiled_event(line + b"\n")
                for piece in spoiled:
                    yield piece
                if not goes_on:
                    return

    async def upgrade(self, request: Request) -> Duplex:
        """Give the connection. Raises: Crash."""
        self._crash("before", request)
        duplex = await self._inner.upgrade(request)
        self._crash("after", request)
        return duplex

    def _spoiled(self, request: Request) -> Response | None:
        if self._strikes("throttled"):
            return _refusal(429, "TooManyRequests", retry_after=self._rng.randint(1, 3))
        if self._strikes("broken"):
            return _refusal(500, "InternalError")
        if request.method in ("PATCH", "PUT") and self._strikes("conflict"):
            return _refusal(409, "Conflict")
        return None

    async def _spoiled_event(self, line: bytes) -> tuple[tuple[bytes, ...], bool]:
        """Give what is delivered in place of the event, and whether the watch goes on."""
        if self._strikes("late"):
            await self._clock.sleep(self.faults.late_seconds * self._rng.random())
        if self._strikes("expired"):
            body = _refusal(410, "Expired").body
            return (b'{"type":"ERROR","object":' + body + b"}\n",), False
        if self._strikes("cut"):
            kept = self._rng.choice((0, len(line) // 2, len(line)))
            return (line[:kept],), False
        return (line, line) if self._strikes("doubled") else (line,), True

    def _strikes(self, fault: str) -> bool:
        chance: float = getattr(self.faults, fault)
        if chance <= 0 or self._rng.random() >= chance:
            return False
        self.injected[fault] = self.injected.get(fault, 0) + 1
        return True


def _refusal(code: int, reason: str, retry_after: int = 0) -> Response:
    status = Status(
        kind="Status",
        api_version="v1",
        status="Failure",
        reason=reason,
        code=code,
        message=f"{reason} (injected)",
        details=StatusDetails(retry_after_seconds=retry_after),
    )
    headers = {"content-type": "application/json"} | ({"retry-after": str(retry_after)} if retry_after else {})
    return Response(status=code, headers=headers, body=msgspec.json.encode(status))
