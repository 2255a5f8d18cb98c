"""Fair share: what each queue may use, handed down the tree. Deserved first, then the surplus by priority, weight and past use.

Source: the proportion rules of KAI Scheduler, restated in this project's reference notes, section 2.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from typing import Final

from fairlead.model import QUANTUM, UNLIMITED

Amounts = list[int]
"""One amount per quota axis: GPU milli, CPU milli, memory bytes."""
AXES: Final = (0, 1, 2)


class Share:
    """One queue as the division sees it; plain and slotted, since a division touches each many times."""

    __slots__ = ("children", "deserved", "fair", "limit", "priority", "rank", "requested", "usage", "weight")

    def __init__(self, deserved: Amounts, limit: Amounts, weight: Sequence[float], usage: Sequence[float]) -> None:
        self.deserved, self.limit, self.weight, self.usage = deserved, limit, weight, usage
        self.priority = 0
        self.rank = 0
        self.requested: Amounts = [0, 0, 0]
        self.fair: Amounts = [0, 0, 0]
        self.children: list[Share] = []

    def wanted(self, axis: int) -> int:
        """What it could use at most: its requests up to its limit."""
        return min(self.limit[axis], self.requested[axis])


def divide(total: Sequence[int], queues: list[Share], usage_k: float) -> None:
    """Sets `fair` of these sibling queues and of all below them; `total` is what there is to give."""
    for axis in AXES:
        _divide_axis(total[axis], queues, axis, max(usage_k, 0.0))
    for queue in queues:
        if queue.children:
            divide(queue.fair, queue.children, usage_k)


def _divide_axis(total: int, queues: list[Share], axis: int, usage_k: float) -> None:
    left = total
    for queue in queues:
        deserved = total if queue.deserved[axis] >= UNLIMITED else queue.deserved[axis]
        queue.fair[axis] = min(deserved, queue.wanted(axis))
        left -= queue.fair[axis]
    if left <= 0:
        return
    levels = sorted({queue.priority for queue in queues}, reverse=True)
    remainders: list[tuple[float, Share]] = []
    for level in levels:
        left, found = _weighted(left, [queue for queue in queues if queue.priority == level], axis, usage_k)
        remainders += sorted(found, key=lambda pair: (-pair[0], pair[1].rank))
    for _, queue in remainders:
        if left <= 0:
            return
        give = min(QUANTUM[axis], left)
        queue.fair[axis] += give
        left -= give


def _weighted(left: int, queues: list[Share], axis: int, usage_k: float) -> tuple[int, list[tuple[float, Share]]]:
    """Surplus by weight w and past use u: s = max(0, n + k (n - u)) with n = w / sum of w; rounds until nobody wants less than its part.

    Gives (what is left, [(part of a unit not handed out, queue)]).
    """
    unit = QUANTUM[axis]
    remainder: dict[int, tuple[float, Share]] = {}
    while left > 0:
        hungry = [queue for queue in queues if queue.wanted(axis) > queue.fair[axis] and queue.weight[axis] > 0]
        weights = sum(queue.weight[axis] for queue in hungry)
        if not weights:
            break
        norms = [queue.weight[axis] / weights for queue in hungry]
        parts = [max(0.0, n + usage_k * (n - queue.usage[axis])) for n, queue in zip(norms, hungry, strict=True)]
        whole = sum(parts)
        if whole == 0:
            break
        pool, again = left, False
        for part, queue in zip(parts, hungry, strict=True):
            if left == 0:
                break
            share = pool * part / whole
            want = queue.wanted(axis) - queue.fair[axis]
            give = want if want <= share else floor(share / unit) * unit
            remainder.pop(id(queue), None)
            if want > share:
                remainder[id(queue)] = (share - give, queue)
            give = min(give, left)
            queue.fair[axis] += give
            left -= give
            again |= want < share
        if not again:
            break
    return left, [pair for pair in remainder.values() if pair[1].wanted(axis) > pair[1].fair[axis]]
