"""Back-off grows, jitters and ends."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.runtime.clock import VirtualClock
from fairlead.runtime.errors import Permanent, Retryable
from fairlead.runtime.retry import Backoff, retry


@given(st.integers(min_value=1, max_value=500), st.integers())
def test_a_wait_stays_between_its_jitter_and_its_bound(failures: int, seed: int) -> None:
    backoff = Backoff(first=0.5, most=20, jitter=0.5)
    longest = min(20, 0.5 * 2 ** min(failures - 1, 32))
    assert longest / 2 <= backoff.wait(failures, Random(seed)) <= longest


def _failing(errors: list[Exception]) -> tuple[list[float], VirtualClock]:
    clock, calls = VirtualClock(), []

    async def call() -> str:
        calls.append(clock.monotonic())
        if errors:
            raise errors.pop(0)
        return "done"

    async def main() -> str:
        return await retry(call, clock, Random(1), Backoff(first=1, most=8, jitter=0, tries=4))

    assert clock.run(main()) == "done"
    return calls, clock


def test_waits_double() -> None:
    calls, _ = _failing([Retryable("a"), Retryable("b"), Retryable("c")])
    assert calls == pytest.approx([0, 1, 3, 7])


def test_the_other_sides_wish_is_honoured() -> None:
    calls, _ = _failing([Retryable("busy", after=5)])
    assert calls == pytest.approx([0, 5])


@pytest.mark.parametrize(
    ("error", "calls"), [(Retryable("again"), 4), (Permanent("no"), 1), (Retryable("enough", code="final"), 1)]
)
def test_trying_ends(error: Exception, calls: int) -> None:
    clock, made = VirtualClock(), []

    async def call() -> None:
        made.append(1)
        raise error

    async def main() -> None:
        backoff = Backoff(first=1, jitter=0, tries=4)
        await retry(call, clock, Random(1), backoff, is_final=lambda found: found.code == "final")

    with pytest.raises(type(error)):
        clock.run(main())
    assert len(made) == calls
