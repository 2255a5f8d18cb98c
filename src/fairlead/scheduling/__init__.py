"""The core: pure, deterministic, synchronous. `cycle.decide(snapshot, policy, now)` returns a plan."""

from fairlead.scheduling.cycle import DecisionError, decide
from fairlead.scheduling.support import unsupported

__all__ = ["DecisionError", "decide", "unsupported"]
