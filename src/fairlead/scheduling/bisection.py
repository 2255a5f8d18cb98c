"""Bisection: the least count for which something holds that holds for every greater one."""

from __future__ import annotations

from collections.abc import Callable


def least_count(holds: Callable[[int], bool], most: int, guess: int = 1) -> int:
    """The least count in 1..most for which it holds, 0 = it does not hold for most. Galloping away from `guess`, then bisection."""
    if most < 1 or not holds(most):
        return 0
    low, high = 1, most
    at, step = min(max(guess, 1), most), 1
    if at < most and not holds(at):
        low = at + 1
        while at + step < high and not holds(at + step):
            low, step = at + step + 1, 2 * step
        high = min(high, at + step)
    else:
        high = at
        while at - step >= low and holds(at - step):
            high, step = at - step, 2 * step
        low = max(low, at - step + 1)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return high
