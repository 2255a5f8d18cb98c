"""Priority classes: the words people use, the number the scheduler orders by, and what may be evicted."""

from __future__ import annotations

from typing import Final

PRIORITIES: Final = {"train": 50, "interactive-preemptible": 75, "build": 100, "inference": 125}
"""Class -> number. From 100 on, work is not preemptible unless it says so."""

FIRST_NON_PREEMPTIBLE: Final = 100


HIGHEST: Final = 1_000_000_000
"""Kubernetes keeps what is above for itself."""


def is_priority(name: str) -> bool:
    """Whether that is a class, or a number that may be given."""
    return name in PRIORITIES or (name.isascii() and name.isdigit() and int(name) <= HIGHEST)


def priority_of(name: str, default: str = "train") -> int:
    """The number of a class, or of a number written as text; an unknown class counts as `default`."""
    if name.lstrip("-").isdigit():
        return int(name)
    return PRIORITIES.get(name, PRIORITIES[default])


def is_preemptible(priority: int, said: bool | None) -> bool:
    """Whether work may be evicted: what it says, else by its priority."""
    return priority < FIRST_NON_PREEMPTIBLE if said is None else said
