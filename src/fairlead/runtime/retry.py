"""Trying again: how long to wait, and how often. Randomness comes from the caller's generator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Final, TypeVar

from msgspec import Struct

from fairlead.runtime.clock import Clock
from fairlead.runtime.errors import Retryable

T = TypeVar("T")


class Backoff(Struct, frozen=True, kw_only=True):
    """Waits that double from `first` to `most` seconds, each shortened by up to `jitter` of itself."""

    first: float = 0.1
    most: float = 30.0
    jitter: float = 0.5
    tries: int = 6
    """Tries in all, the first included."""

    def wait(self, failures: int, rng: Random) -> float:
        """Give the seconds to wait after that many failures in a row (1 or more)."""
        longest = min(self.most, self.first * 2.0 ** min(failures - 1, 32))
        return longest * (1 - self.jitter * rng.random())


CALLS: Final = Backoff()
"""For single calls: about three seconds in all."""

FOREVER: Final = Backoff(first=0.2, most=60.0, tries=1 << 30)
"""For loops that must go on."""


async def retry(
    call: Callable[[], Awaitable[T]],
    clock: Clock,
    rng: Random,
    backoff: Backoff = CALLS,
    *,
    is_final: Callable[[Retryable], bool] = lambda error: False,
) -> T:
    """Give what `call` gives, tried again while it raises Retryable that is not final and tries are left.

    The other side's own wish (`Retryable.after`) is honoured where it is longer than the back-off.
    Raises: the last Retryable, and anything else at once.
    """
    failures = 0
    while True:
        try:
            return await call()
        except Retryable as error:
            failures += 1
            if failures >= backoff.tries or is_final(error):
                raise
            await clock.sleep(max(error.after or 0.0, backoff.wait(failures, rng)))
