"""Columns: numpy arrays derived from values; what a decision loops over.

Row numbers are private to a snapshot: rows stand in canonical order (nodes and queues by name below their parents, groups by age then uid,
pods by group then task order), so equal input in any order gives equal columns.
Shape letters: N nodes, R resources, G shared GPUs, P pods, J groups, S subgroup leaves, Q queues, C classes, L levels, K quota axes.
"""

from __future__ import annotations

from fairlead.model.arrays import F64, I32, I64, Bit
from fairlead.model.units import Columns


class NodeColumns(Columns, frozen=True, kw_only=True):
    """N nodes. Resources start with gpu, cpu, memory, pods; the others follow by name (MIG profiles and DRA classes are ordinary ones)."""

    resources: tuple[str, ...]
    rank: I32
    """[N] order of names."""
    allocatable: I64
    """[N,R]."""
    foreign: I64
    """[N,R] used by pods of other schedulers."""
    idle: I64
    """[N,R] allocatable - foreign - own active pods (releasing ones too)."""
    releasing: I64
    """[N,R] comes back when RELEASING pods end; a HELD pod takes from here first, so it may be below zero."""
    gpu_memory_mib: I64
    """[N] per device, 0 = unknown."""
    usable: Bit
    """[N] ready and not cordoned."""
    ready: Bit
    """[N]."""
    has_gpu: Bit
    """[N] holds devices of any kind (a CPU-only node holds none)."""
    domain: I32
    """[L,N] domain id per topology level, -1 = outside; domains of one level are numbered by name."""
    feasible: Bit
    """[C,N] the class may run here ignoring amounts and terms: usable, taints, selector, affinity, MIG and DRA rules folded in."""


class SharedColumns(Columns, frozen=True, kw_only=True):
    """G shared GPUs, grouped by node. Every request consumes both units, floored in the one it did not name."""

    node: I32
    """[G]."""
    held_milli: I64
    held_mib: I64
    """[G] by pods that stay."""
    freeing_milli: I64
    freeing_mib: I64
    """[G] by pods being released."""
    promised_milli: I64
    promised_mib: I64
    """[G] by HELD pods."""
    members: I32
    """[G,3] pods that stay, are being released, are promised."""


class ClassColumns(Columns, frozen=True, kw_only=True):
    """C task classes."""

    request: I64
    """[C,R] amounts taken from a node; "gpu" = whole devices in milli, 0 for fractions."""
    charge: I64
    """[C,K] quota charge while pending; a memory request is charged by the node it sits on, 0 here in K gpu."""
    fraction: I32
    """[C] devices of a fraction or memory request, else 0."""
    milli: I64
    """[C] portion per device of a fraction, 0 for memory requests."""
    mib: I64
    """[C] memory per device of a memory request, else 0."""
    is_gpu: Bit
    """[C] asks for any kind of GPU."""


class PodColumns(Columns, frozen=True, kw_only=True):
    """P pods and their rows. Pods of one group are neighbours in task order."""

    klass: I32
    node: I32
    """[P] -1 = none."""
    group: I32
    leaf: I32
    """[P] row of the subgroup leaf."""
    status: I32
    """[P] PodStatus."""
    shared: I32
    """[P] first G row, -1 = none; further devices by value."""
    charge: I64
    """[P,K] quota charge: of the node it sits on, else while pending."""


class GroupColumns(Columns, frozen=True, kw_only=True):
    """J groups, oldest first."""

    queue: I32
    """[J] -1 = its queue is missing."""
    priority: I32
    preemptible: Bit
    started: F64
    """[J] nan = never."""
    pod_offset: I32
    """[J+1] pods of group j."""
    leaf_offset: I32
    """[J+1] leaves of group j."""
    leaf_min: I32
    """[S]."""


class QueueColumns(Columns, frozen=True, kw_only=True):
    """Q queues, parents before children (so one backward pass sums up the tree). Orphans and all below them are left out."""

    parent: I32
    """[Q] -1 = top."""
    depth: I32
    rank: I32
    """[Q] age, then name."""
    deserved: I64
    limit: I64
    weight: F64
    usage: F64
    """[Q,K]."""
    priority: I32
    leaf: Bit
    """[Q] has no children."""
