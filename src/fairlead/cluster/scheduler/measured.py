"""What the scheduler shows to Prometheus: counters of what it does, and gauges of the newest decision of each node pool.

A cycle only hands over what it decided on; gauges are worked out from that when somebody asks, in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from fairlead.cluster.scheduler.series import NAMES, Decided, values_of
from fairlead.model import ACTIONS
from fairlead.runtime.instruments import Sample, counter, gauge, histogram

CYCLE: Final = histogram("fairlead_scheduler_cycle_seconds")
DECISION: Final = histogram("fairlead_scheduler_decision_seconds")
LAST_CYCLE: Final = gauge("fairlead_scheduler_last_cycle_timestamp_seconds")
BUGS: Final = counter("fairlead_scheduler_bugs_total")
BINDS: Final = counter("fairlead_binds_total", *((result,) for result in ("done", "refused", "uncertain", "failed")))
EVICTIONS: Final = counter("fairlead_evictions_total", *((action.value,) for action in ACTIONS[1:]))


class Measured:
    """The newest decision of each node pool. `names`: the gauges it serves."""

    names: Final = NAMES

    def __init__(self) -> None:
        self._newest: dict[str, Decided] = {}

    def note(self, decided: Decided) -> None:
        """Takes the place of the pool's last one."""
        self._newest[decided.snapshot.pool] = decided

    def keep(self, pools: Collection[str]) -> None:
        """Pools that are gone are shown no more."""
        for pool in self._newest.keys() - set(pools):
            del self._newest[pool]

    def samples(self) -> Iterable[Sample]:
        """The gauges now. Decisions do not change once they are here; the tuple of them is taken in one step of the interpreter."""
        return values_of(tuple(self._newest.values()))
