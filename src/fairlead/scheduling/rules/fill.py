"""Expected fill: what a node's free GPUs, cores and memory are worth for the requests that are likely to come.

R[f] = milli-GPU that a run of random requests is expected to put on one device with f milli idle; the worth of a node is
the sum of R over its devices, bounded softly by its cores and memory; gangs still to come put a price on the places
that only whole nodes give.
Source: this project's placement study (limits, ablations and figures), restated in docs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from fairlead.model import Demand
from fairlead.model.arrays import F64, I64

HORIZON: Final = 80
"""Requests looked ahead."""
GANG_SIZES: Final = (2, 4, 8)
GANG_PRICE: Final = 0.05
MODEL_PRICE: Final = 0.3
PACKING: Final = 0.02
ROUNDING: Final = 10.0
SAFE, FULL = 0.5, 1.0
"""How much of the cores and memory asked per GPU counts: `fit` is safe for plain clusters, `dense` fills only."""


@lru_cache(maxsize=16)
def fill_of(demand: tuple[Demand, ...], strength: float) -> Fill:
    """What is learnt from that demand; remembered, for it takes ten times as long as to place a pod."""
    return Fill(demand, strength)


class Fill:
    """What was learnt from the demand: the worth table, the price of gang places."""

    def __init__(self, demand: Sequence[Demand], strength: float) -> None:
        sizes, cores, memory, weight = _spread(demand)
        asked = float((weight * sizes).sum())
        self.worth = _worth_table(sizes, weight)
        self.cores = strength * float((weight * cores).sum()) / asked if asked else 0.0
        self.memory = strength * float((weight * memory).sum()) / asked if asked else 0.0
        self.gangs: list[tuple[int, float, float, float]] = []
        """(GPUs, share of all GPUs asked, mean cores, mean memory) of each size that is asked at all."""
        for size in GANG_SIZES:
            mine = sizes == 1000 * size
            total = float(weight[mine].sum())
            if total:
                part = total * 1000 * size / asked
                self.gangs.append(
                    (
                        size,
                        part,
                        float((weight * cores)[mine].sum()) / total,
                        float((weight * memory)[mine].sum()) / total,
                    )
                )

    def value(self, w: F64, cores: F64, memory: F64) -> F64:
        """[N] worth of nodes with device worth `w` and that much idle CPU (milli) and memory (bytes)."""
        by_cores = w * self.cores / np.maximum(cores, 1e-9)
        by_memory = w * self.memory / np.maximum(memory, 1e-9)
        worst = np.maximum(np.maximum(by_cores, by_memory), 1.0)
        total = _eighth(1 / worst) + _eighth(by_cores / worst) + _eighth(by_memory / worst)
        value: F64 = w / (worst * np.sqrt(np.sqrt(np.sqrt(total))))
        return value

    def slots(self, gang: tuple[int, float, float, float], whole: I64, cores: F64, memory: F64) -> F64:
        """[N] pods of that gang size a node can take; `whole` = idle devices."""
        found = (whole // gang[0]).astype(np.float64)
        if gang[2]:
            found = np.minimum(found, cores // gang[2])
        if gang[3]:
            found = np.minimum(found, memory // gang[3])
        return np.maximum(found, 0.0)

    def prices(self, whole: I64, idle_gpus: float, cores: F64, memory: F64) -> list[float]:
        """Per gang size: the price of one place, by how many gangs are to come and how many places are left."""
        found = []
        for gang in self.gangs:
            left = float(self.slots(gang, whole, cores, memory).sum())
            to_come = gang[1] * idle_gpus / gang[0]
            found.append(GANG_PRICE * 1000 * gang[0] * (min(1.0, to_come / left) if left else 1.0))
        return found


def _eighth(x: F64) -> F64:
    """x to the 8th: the softness of the bound; by squares, which round alike everywhere, where a general power does not."""
    square = x * x
    fourth = square * square
    eighth: F64 = fourth * fourth
    return eighth


def _spread(demand: Sequence[Demand]) -> tuple[I64, F64, F64, F64]:
    """GPU milli, CPU, memory and weight of every request that asks for GPUs (parts of several devices count per device)."""
    rows = []
    for gpu, cores, memory, weight, *_ in demand:
        milli = gpu.devices * 1000 if gpu.portion_milli >= 1000 else gpu.portion_milli
        if milli:
            rows.append((milli, cores, memory, weight))
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return table[:, 0].astype(np.int64), table[:, 1], table[:, 2], table[:, 3]


def _worth_table(sizes: I64, weight: F64) -> F64:
    """R[0..1000]; without any demand a device is worth its idle part."""
    total = float(weight.sum())
    if not total:
        return np.arange(1001, dtype=np.float64)
    small = sizes <= 1000
    each, where = np.unique(sizes[small], return_inverse=True)
    odds = np.bincount(where, weights=weight[small], minlength=len(each)) / total
    worth = np.zeros(1001, dtype=np.float64)
    for _ in range(HORIZON):
        after = worth.copy()
        for size, chance in zip(each.tolist(), odds.tolist(), strict=True):
            after[size:] += chance * (size + worth[: 1001 - size] - worth[size:])
        worth = after
    return worth
