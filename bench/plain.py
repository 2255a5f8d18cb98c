"""The plain cluster: what fit keeps free for 8-GPU gangs, and what moves buy at high load; mean of several seeds."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean

from bench.rows import Row
from fairlead.model import Placement
from fairlead.simulator.plain import Kept, Load, keep_places

FIRST_SEED = 42


def rows(only: str, seeds: int) -> Iterator[Row]:
    """Refused and moves with consolidation, places against binpack without."""
    if only in "placement.plain-refused" or only in "placement.plain-moves":
        found = _runs(seeds, 0.95, "fit", 8)
        yield Row(
            "placement.plain-refused", (round(mean(kept.refused_pct for kept in found), 2),), "%", f"{seeds} seeds"
        )
        yield Row("placement.plain-moves", (round(mean(kept.moves_per_1000 for kept in found), 1),), "/1000")
    if only in "placement.plain-places":
        yield Row("placement.plain-places", tuple(round(_places(seeds, load), 3) for load in (0.7, 0.85)), "x")


def _places(seeds: int, load: float) -> float:
    ours, packed = _runs(seeds, load, "fit", 0), _runs(seeds, load, "binpack", 0)
    return mean(kept.places for kept in ours) / mean(kept.places for kept in packed)


def _runs(seeds: int, load: float, placement: Placement, moves: int) -> list[Kept]:
    setups = [Load(seed=FIRST_SEED + s, load=load, placement=placement, moves=moves) for s in range(seeds)]
    return [keep_places(setup) for setup in setups]
