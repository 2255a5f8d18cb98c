"""What `fit` placement expects to come: how often each request for GPUs was asked in a node pool, fading with time.

Learnt from the creation times of pods, so that a scheduler that starts again knows what the pods still present tell it.
"""

from __future__ import annotations

from typing import Final

from fairlead.model import Demand, TaskClass, demand_row

HALF_LIFE: Final = 7 * 86_400.0
"""Seconds after which a request counts half."""
MOST: Final = 500
"""Kinds of request remembered in a pool: the rarest are forgotten first."""
STEPS: Final = ((200, 20), (1000, 50), (4000, 100))
"""Up to so many requests seen, learn again after so many; later after every 200."""


class Learned:
    """Requests seen, per node pool. What `demand` gives stays the same until enough new ones came."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[TaskClass, float]] = {}
        self._count: dict[str, int] = {}
        self._learn_at: dict[str, int] = {}
        self._demand: dict[str, tuple[Demand, ...]] = {}
        self._epoch: float | None = None

    def saw(self, pool: str, klass: TaskClass, when: float) -> None:
        """A pod of that class was asked for; `when` in seconds since the epoch."""
        if not klass.gpu.devices:
            return
        if self._epoch is None:
            self._epoch = when
        seen = self._seen.setdefault(pool, {})
        kind = TaskClass(request=klass.request, gpu=klass.gpu, rule=klass.rule)  # whom it avoids asks for nothing
        seen[kind] = seen.get(kind, 0.0) + 2.0 ** ((when - self._epoch) / HALF_LIFE)
        self._count[pool] = self._count.get(pool, 0) + 1

    def demand(self, pool: str) -> tuple[Demand, ...]:
        """Each kind of request and its share of all that were asked."""
        count = self._count.get(pool, 0)
        if count >= self._learn_at.get(pool, 1):
            self._learn_at[pool] = count + next((step for until, step in STEPS if count < until), 200)
            self._demand[pool] = self._learn(pool)
        return self._demand.get(pool, ())

    def _learn(self, pool: str) -> tuple[Demand, ...]:
        seen = sorted(self._seen[pool].items(), key=lambda item: -item[1])[:MOST]
        self._seen[pool] = dict(seen)
        total = sum(weight for _, weight in seen)
        return tuple(demand_row(kind, weight / total) for kind, weight in seen)
