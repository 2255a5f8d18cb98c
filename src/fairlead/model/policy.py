"""Policy: every parameter of a decision. KAI Scheduler's behaviour is one value of it, never a branch in code."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

from fairlead.model.units import Value


class Action(StrEnum):
    """The five actions, least disruptive first."""

    ALLOCATE, CONSOLIDATE, RECLAIM, PREEMPT, EVICT_STALE = (
        "allocate",
        "consolidate",
        "reclaim",
        "preempt",
        "evict_stale",
    )


ACTIONS: Final = (Action.ALLOCATE, Action.CONSOLIDATE, Action.RECLAIM, Action.PREEMPT, Action.EVICT_STALE)
Placement = Literal["fit", "dense", "binpack", "spread"]


class Policy(Value, frozen=True, kw_only=True):
    """Parameters of one node pool. Durations in seconds; counts of -1 mean no bound."""

    actions: tuple[Action, ...] = ACTIONS
    """Run in this order."""
    placement_gpu: Placement = "fit"
    """Node of a pod that asks for GPUs. fit = least loss of expected fill, dense = the same with full weight on filling."""
    placement_cpu: Placement = "fit"
    """Node of a CPU-only pod; `fit` and `dense` only together with the same `placement_gpu`."""
    placement_device: Placement = "fit"
    """Device of a fraction inside its node."""
    max_moves: int = 16
    """Gangs one consolidation may choose among; 0 = off, -1 = no bound."""
    allow_consolidating_reclaim: bool = True
    """A victim that gets another place does not count as reclaimed."""
    max_victims: int = -1
    """Victim gangs per preemptor; -1 = only the fairness rules bound it."""
    queue_depth: tuple[tuple[Action, int], ...] = ()
    """Groups per leaf queue looked at by an action; none named = no bound."""
    restrict_node_scheduling: bool = False
    """GPU pods only on nodes labelled gpu-worker, CPU-only pods only on cpu-worker."""
    full_hierarchy_fairness: bool = True
    """False: queues without a parent are left out, all others hang below one made-up queue."""
    saturation: float = 1.0
    usage_k: float = 1.0
    stale_grace: float = 60.0
    """Negative = never."""
    reclaim_runtime_at_lca: bool = True
    preempt_min_runtime: float = 0.0
    reclaim_min_runtime: float = 0.0
    keep_holds: bool = True
    """A pipelined gang keeps its place between cycles; False = promises are forgotten after each cycle, and work that was moved for a
    group may be back in its old place before the group is there, to be moved again."""
    hold_timeout: float = 120.0
    """Seconds from the promise to its deadline."""
    min_gpu_memory_mib: int = 0
    """Device size that a pending gpu-memory request is charged by; 0 = the true minimum of the pool."""
    max_probes: int = 64
    """Ledger verifications per victim search; reaching it is a Reason, never silence."""


KAI_POLICY: Final = Policy(
    placement_gpu="binpack", placement_cpu="binpack", placement_device="binpack", keep_holds=False
)
"""What a KAI Scheduler with default flags does."""
