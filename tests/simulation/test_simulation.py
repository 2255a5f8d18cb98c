"""Hours of a cluster with everything going wrong, from one seed; every second part with its agent and control plane.

`FAIRLEAD_SIMULATION_SEED` repeats a run, `FAIRLEAD_SIMULATION_HOURS` makes it longer; a failure prints the seed.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import secrets
import signal
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import pytest
import structlog
from tests.simulation.story import Lived, live
from tests.simulation.whole import live_whole

SEED = int(os.environ.get("FAIRLEAD_SIMULATION_SEED") or secrets.randbelow(1 << 32))
HOURS = float(os.environ.get("FAIRLEAD_SIMULATION_HOURS") or 25)
GUARD_SECONDS = 3600
PART_HOURS = 5.0
"""A simulated cluster is as old as this at most; the next one begins with a seed made from the first."""


@pytest.mark.slow
@pytest.mark.timeout(GUARD_SECONDS)
def test_nothing_is_lost_overfull_or_stuck_whatever_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "0")  # sets of texts are walked in one order, so that a seed is one story
    count = max(1, round(HOURS / PART_HOURS))
    seeds = [SEED + part * 7919 for part in range(count)]
    spawn = multiprocessing.get_context("spawn")
    alone = "PYTEST_XDIST_WORKER" not in os.environ  # beside other workers it leaves them their cores
    with ProcessPoolExecutor(
        min(count, os.cpu_count() or 1) if alone else 1, mp_context=spawn, initializer=_quiet
    ) as pool:
        lived = list(pool.map(_live_part, range(count), seeds, [HOURS / count] * count))
    injected: Counter[str] = Counter()
    for one in lived:
        injected.update(one.injected)
    told = f"FAIRLEAD_SIMULATION_SEED={SEED} FAIRLEAD_SIMULATION_HOURS={HOURS:g}"
    print(told, sum(one.cycles for one in lived), "cycles,", sum(one.unstable for one in lived), "unstable", injected)
    wrong = [f"seed {seed}: {text}" for seed, one in zip(seeds, lived, strict=True) for text in one.wrong[:5]]
    assert not wrong, f"{told}\n" + "\n".join(wrong)
    for one in lived:
        assert one.acts["submit"] > 10
        assert {"Crash", "lost", "cut", "expired", "conflict", "throttled", "broken", "doubled", "late"} <= set(
            injected
        )


@pytest.mark.parametrize("lives", [live, live_whole])
def test_one_seed_is_one_story(lives: Callable[[int, float], Lived]) -> None:
    assert lives(7, 0.2) == lives(7, 0.2)


def _live_part(part: int, seed: int, hours: float) -> Lived:
    return (live_whole if part % 2 else live)(seed, hours)


def _quiet() -> None:
    """A worker says only what is wrong, and ends itself rather than hang the whole run: a guard, not a measure."""
    signal.alarm(GUARD_SECONDS)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    gc.freeze()  # all that is imported stays: a twentieth of the time went into looking it through again and again
