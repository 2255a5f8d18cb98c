"""Expected fill of one node by plain numbers: the same as the array form in `placement`, to the last bit, at a tenth of its cost.

After each placement one node has changed, and a call into numpy costs more there than the sum itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from fairlead.scheduling.rules.fill import PACKING, ROUNDING, Fill

Ask = tuple[int, int, int]
"""(whole GPUs, CPU milli, memory bytes) of one pod."""
_WIDE = 1 << 18


def expected_fill(
    fill: Fill, prices: Sequence[float], pin: float, ask: Ask, free: Sequence[int], devices: Sequence[int]
) -> int:
    """Score of a whole-GPU or CPU-only pod on a node with `free` (GPU milli, CPU, memory, ...) and shared `devices` (milli idle each).

    Higher is better: rounded change of worth less prices and packing; then less idle GPU, then less idle CPU.
    """
    whole, cores, memory = max(free[0], 0) // 1000, float(max(free[1], 0)), float(max(free[2], 0))
    new = float(fill.worth[1000])
    worth = sum((float(fill.worth[idle]) for idle in devices), 0.0) + whole * new
    idle = sum(devices) + whole * 1000
    cores_after, memory_after = max(cores - ask[1], 0.0), max(memory - ask[2], 0.0)
    score = _value(fill, max(worth - ask[0] * new, 0.0), cores_after, memory_after) - _value(fill, worth, cores, memory)
    for gang, price in zip(fill.gangs, prices, strict=True):
        lost = _slots(gang, whole, cores, memory) - _slots(gang, max(whole - ask[0], 0), cores_after, memory_after)
        score -= price * lost
    score -= pin * (ask[0] * 1000)
    score -= PACKING * idle
    rounded = min(max(round(score / ROUNDING), -_WIDE), _WIDE) + _WIDE
    left_gpu = (1 << 15) - 1 - min(idle // 10, (1 << 15) - 1)
    left_cpu = (1 << 20) - 1 - min(max(free[1], 0) // 10, (1 << 20) - 1)
    return (rounded << 35) + (left_gpu << 20) + left_cpu


def _value(fill: Fill, worth: float, cores: float, memory: float) -> float:
    if worth <= 0:
        return worth
    by_cores = worth * fill.cores / max(cores, 1e-9)
    by_memory = worth * fill.memory / max(memory, 1e-9)
    worst = max(by_cores, by_memory, 1.0)
    total = _eighth(1 / worst) + _eighth(by_cores / worst) + _eighth(by_memory / worst)
    return worth / (worst * sqrt(sqrt(sqrt(total))))


def _eighth(x: float) -> float:
    square = x * x
    fourth = square * square
    return fourth * fourth


def _slots(gang: tuple[int, float, float, float], whole: int, cores: float, memory: float) -> float:
    found = float(whole // gang[0])
    if gang[2]:
        found = min(found, cores // gang[2])
    if gang[3]:
        found = min(found, memory // gang[3])
    return max(found, 0.0)
