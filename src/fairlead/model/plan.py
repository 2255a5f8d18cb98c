"""Plan: what a decision answers. Commands stand in the order to apply them; preconditions are pod UIDs."""

from __future__ import annotations

from typing import Literal

from fairlead.model.policy import Action, Policy
from fairlead.model.reasons import Reason
from fairlead.model.units import GpuGroup, NodeName, QueueName, Quota, Uid, Value
from fairlead.model.values import Claim, Hold


class Bind(Value, frozen=True, kw_only=True, tag=True):
    """Start this pod on this node now. A shared id that no SharedGpu carries = the binder makes its reservation pod first."""

    pod: Uid
    node: NodeName
    shared: tuple[GpuGroup, ...] = ()
    claims: tuple[Claim, ...] = ()


class Evict(Value, frozen=True, kw_only=True, tag=True):
    """End this pod. `for_group` is empty for a stale gang; `moved_to` names where a moved pod is expected to restart."""

    pod: Uid
    action: Action
    for_group: Uid = Uid("")
    moved_to: NodeName = NodeName("")


class Keep(Value, frozen=True, kw_only=True, tag=True):
    """The places promised to a group (its pipelined pods), always before the evictions that free them; None clears an earlier promise.
    With `Policy.keep_holds` the shell writes it on the PodGroup; without, it is only shown and forgotten."""

    group: Uid
    hold: Hold | None


class Outcome(Value, frozen=True, kw_only=True):
    """What became of one group that wanted something, or was evicted. `waiting` carries every blocking cause."""

    group: Uid
    result: Literal["bound", "held", "waiting", "evicted", "skipped"]
    reasons: tuple[Reason, ...] = ()


class Counters(Value, frozen=True, kw_only=True):
    """Deterministic work counts of one decision, for tests of growth."""

    searches: int = 0
    probes: int = 0
    most_probes: int = 0
    """Of one victim search."""
    ledger_ops: int = 0
    """Pods placed, evicted, restored or undone."""
    classes: int = 0


class Plan(Value, frozen=True, kw_only=True):
    """The answer for one pool. Equal snapshot, policy and time give an equal plan."""

    digest: str
    """Of the snapshot."""
    commands: tuple[Bind | Evict | Keep, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    fair_share: tuple[tuple[QueueName, Quota], ...] = ()
    """Per queue of the tree, by name; UNLIMITED never appears here."""
    counters: Counters = Counters()


class Warm(Value, frozen=True, kw_only=True):
    """Memory between cycles: only ever a speed-up, a decision with it equals one without.

    It is the last plan, which is the next one too while the snapshot and the policy are the same and no moment that a rule waits
    for has passed. Units: seconds since the epoch.
    """

    plan: Plan | None = None
    policy: Policy = Policy()
    since: float = 0.0
    until: float = 0.0
    """First moment that the plan does not hold for."""

    def answer(self, digest: str, policy: Policy, now: float) -> Plan | None:
        """The plan for the snapshot of that digest, where it is known."""
        plan = self.plan
        if plan is None or plan.digest != digest or policy != self.policy:
            return None
        return plan if self.since <= now < self.until else None
