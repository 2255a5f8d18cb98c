"""Frozen values and columns of the scheduler: what a decision reads and what it answers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from fairlead.model.plan import Bind, Counters, Evict, Keep, Outcome, Plan, Warm
from fairlead.model.policy import ACTIONS, KAI_POLICY, Action, Placement, Policy
from fairlead.model.reasons import Code, Reason
from fairlead.model.selectors import Requirement, meets, parse_selector
from fairlead.model.units import (
    K_NAMES,
    QUANTUM,
    UNLIMITED,
    Columns,
    GpuGroup,
    ModelError,
    NodeName,
    QueueName,
    Quota,
    Scalars,
    Uid,
    Value,
)
from fairlead.model.values import (
    Claim,
    GpuRequest,
    Hold,
    Node,
    NodeRule,
    Pod,
    PodGroup,
    PodStatus,
    QueueSpec,
    SharedGpu,
    SubGroup,
    TaskClass,
    Term,
)

if TYPE_CHECKING:
    from fairlead.model.build import build_snapshot, leaf_subgroups
    from fairlead.model.columns import (
        ClassColumns,
        GroupColumns,
        NodeColumns,
        PodColumns,
        QueueColumns,
        SharedColumns,
    )
    from fairlead.model.feasible import NodeRules
    from fairlead.model.patch import with_group, with_queue
    from fairlead.model.snapshot import Demand, Snapshot, demand_row

_OF_ARRAYS: Final = {
    "build": ("build_snapshot", "leaf_subgroups"),
    "columns": ("ClassColumns", "GroupColumns", "NodeColumns", "PodColumns", "QueueColumns", "SharedColumns"),
    "feasible": ("NodeRules",),
    "patch": ("with_group", "with_queue"),
    "snapshot": ("Demand", "Snapshot", "demand_row"),
}
"""Module -> names that need NumPy. They are loaded when asked for: most processes need values alone, and each saves its memory."""


def __getattr__(name: str) -> Any:
    for module, names in _OF_ARRAYS.items():
        if name in names:
            return getattr(import_module(f"fairlead.model.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "ACTIONS",
    "KAI_POLICY",
    "K_NAMES",
    "QUANTUM",
    "UNLIMITED",
    "Action",
    "Bind",
    "Claim",
    "ClassColumns",
    "Code",
    "Columns",
    "Counters",
    "Demand",
    "Evict",
    "GpuGroup",
    "GpuRequest",
    "GroupColumns",
    "Hold",
    "Keep",
    "ModelError",
    "Node",
    "NodeColumns",
    "NodeName",
    "NodeRule",
    "NodeRules",
    "Outcome",
    "Placement",
    "Plan",
    "Pod",
    "PodColumns",
    "PodGroup",
    "PodStatus",
    "Policy",
    "QueueColumns",
    "QueueName",
    "QueueSpec",
    "Quota",
    "Reason",
    "Requirement",
    "Scalars",
    "SharedColumns",
    "SharedGpu",
    "Snapshot",
    "SubGroup",
    "TaskClass",
    "Term",
    "Uid",
    "Value",
    "Warm",
    "build_snapshot",
    "demand_row",
    "leaf_subgroups",
    "meets",
    "parse_selector",
    "with_group",
    "with_queue",
]
