"""Reasons: why something waits, as a closed list of codes with amounts. Text is rendered elsewhere from one table."""

from __future__ import annotations

from enum import StrEnum

from fairlead.model.policy import Action
from fairlead.model.units import Value


class Code(StrEnum):
    """Closed list, stable on the wire; each has one message template, one docs anchor and the fixes worth trying."""

    QUEUE_MISSING, QUEUE_NOT_LEAF, OVER_LIMIT, OVER_DESERVED_FIXED = (
        "queue-missing",
        "queue-not-leaf",
        "over-limit",
        "over-deserved-fixed",
    )
    OVER_FAIR_SHARE, GANG_INCOMPLETE, NO_ROOM, NODE_RULE, TERM = (
        "over-fair-share",
        "gang-incomplete",
        "no-room",
        "node-rule",
        "term",
    )
    TOPOLOGY, SHARED_GPU, GPU_MEMORY_UNKNOWN, CLAIM, VOLUME = (
        "topology",
        "shared-gpu",
        "gpu-memory-unknown",
        "claim",
        "volume",
    )
    VICTIMS_PROTECTED, WOULD_STARVE, NO_GAIN, SEARCH_LIMIT = (
        "victims-protected",
        "would-starve",
        "no-gain",
        "search-limit",
    )
    BACKING_OFF, HELD_FOR_OTHER, INTERNAL, UNSUPPORTED = "backing-off", "held-for-other", "internal", "unsupported"
    GATED, QUEUE_DEPTH, TOO_LARGE, NODE_STATE = "gated", "queue-depth", "too-large", "node-state"
    NOT_ADMITTED = "not-admitted"


class Reason(Value, frozen=True, kw_only=True):
    """One blocking cause with amounts in the unit of its resource. All causes are returned, outermost first."""

    code: Code
    action: Action
    subject: str = ""
    """Queue, node rule, term, claim or victim group it is about."""
    resource: str = ""
    wanted: int = 0
    available: int = 0
    nodes: int = 0
    """How many nodes this cause excludes."""
