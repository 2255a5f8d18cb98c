"""Names, identifiers and amounts that every other value is written in.

Units: GPU 1/1000 device, CPU 1/1000 core, memory bytes (device memory MiB), times seconds since the epoch, durations seconds.
All amounts are int64. `UNLIMITED` is compared, never added.
"""

from __future__ import annotations

from typing import Final, NewType, TypeAlias

from msgspec import Struct

Uid = NewType("Uid", str)
"""Kubernetes metadata.uid."""
NodeName = NewType("NodeName", str)
QueueName = NewType("QueueName", str)
GpuGroup = NewType("GpuGroup", str)
"""Id of one shared physical GPU (label `runai-gpu-group`); never empty."""
Quota: TypeAlias = tuple[int, int, int]
"""Axis K: GPU milli, CPU milli, memory bytes."""
Scalars: TypeAlias = tuple[tuple[str, int], ...]
"""Sorted (resource, amount): "gpu" milli, "cpu" milli, "memory" bytes, "pods", "nvidia.com/mig-1g.5gb", ..."""
Pairs: TypeAlias = tuple[tuple[str, str], ...]

UNLIMITED: Final = 1 << 56
QUANTUM: Final[Quota] = (1000, 1, 1)
"""Fair share hands out whole GPUs, millicores, bytes."""
K_NAMES: Final = ("gpu", "cpu", "memory")


class Value(Struct, frozen=True, gc=False):
    """Base of every value: immutable, hashable, without cycles."""


class Columns(Struct, frozen=True, eq=False, gc=False):
    """Base of arrays: read-only once built; compared by identity (a Snapshot by its digest)."""


class ModelError(ValueError):
    """Values that cannot be one cluster: a name used twice, a pod of no group, an amount below zero. `code` is stable."""

    code = "bad-snapshot"
