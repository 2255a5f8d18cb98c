"""Topology: which sets of nodes a group is tried on, tightest domain first, from the preferred level up to the required one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fairlead.model.arrays import F64, I32, I64, Bit
from fairlead.scheduling.ledger import Ledger, group_pods
from fairlead.scheduling.rules.state import State

Constraint = tuple[str, str, str]
"""(topology, required level, preferred level)."""
Subset = tuple[Bit | None, I64 | None]
"""(nodes, preference of each node: higher first, -1 = dropped)."""


def node_sets(state: State, group: int, constraint: Constraint, pods: Sequence[int], among: Subset) -> Iterator[Subset]:
    """The node sets to try, in order; `among` itself without a constraint or without pods; none for an unknown topology or level."""
    topology, required, preferred = constraint
    if not pods or not (required or preferred):
        yield among
        return
    rows = [row for row, (name, _) in enumerate(state.snapshot.levels) if name == topology]
    labels = [state.snapshot.levels[row][1] for row in rows]
    if (required and required not in labels) or (preferred and preferred not in labels):
        return
    tree = _Tree(state, rows, pods, among[0])
    low = labels.index(preferred or required)
    high = labels.index(required) if required else -1
    held = (
        _held_domain(state.ledger, tree.path[:, high], {state.ledger.leaf_of[pod] for pod in pods}, group)
        if required
        else None
    )
    order = tree.walk(low)
    bonus = tree.preference(order, low) if preferred else among[1]
    for level in range(low, high - 1, -1):
        for domain in tree.domains(order, level):
            mask = tree.mask(level, domain)
            if tree.fits(mask) and (held is None or bool((tree.path[mask, high] == held).all())):
                yield mask, bonus


class _Tree:
    """Domains of one topology over the nodes that may be used. `path` [N, levels] holds domain ids, coarse to fine."""

    def __init__(self, state: State, rows: list[int], pods: Sequence[int], among: Bit | None) -> None:
        ledger = state.ledger
        self.path: I32 = state.snapshot.n.domain[rows].T
        inside = self.path[:, -1] >= 0
        self._nodes: Bit = inside if among is None else inside & among
        self._free = np.maximum(ledger.idle + ledger.releasing, 0)
        klass = [ledger.klass[pod] for pod in pods]
        self._pods = len(pods)
        request = ledger.request[klass].copy()
        request[:, 0] += [ledger.milli[k] * ledger.fraction[k] for k in klass]
        self._sum, self._largest = request.sum(axis=0), request.max(axis=0)
        kinds = request > 0
        self._alike = bool((kinds == kinds[0]).all())
        self._keys: dict[tuple[int, int], float] = {}

    def walk(self, low: int) -> list[tuple[int, ...]]:
        """Domain paths down to level `low`, siblings tightest first, then by id."""
        nodes = np.flatnonzero(self._nodes)
        paths = {tuple(path) for path in self.path[nodes, : low + 1].tolist()}
        return sorted(
            paths, key=lambda path: tuple((-self._ratio(level, domain), domain) for level, domain in enumerate(path))
        )

    def domains(self, order: list[tuple[int, ...]], level: int) -> list[int]:
        """Domains of a level in that order; level -1 is the whole topology."""
        return [-1] if level < 0 else list(dict.fromkeys(path[level] for path in order))

    def mask(self, level: int, domain: int) -> Bit:
        """Nodes of a domain."""
        return self._nodes if level < 0 else self._nodes & (self.path[:, level] == domain)

    def preference(self, order: list[tuple[int, ...]], level: int) -> I64:
        """[N] later domains of the sorted tree are preferred, in ten steps."""
        bonus = np.full(len(self._nodes), -1, dtype=np.int64)
        domains = self.domains(order, level)
        for at, domain in enumerate(domains):
            bonus[self.mask(level, domain)] = 10 * at // len(domains)
        return bonus

    def fits(self, mask: Bit) -> bool:
        """Whether the pods could fit: by counting the largest one per node when all ask the same kinds, else by sums."""
        if not self._alike:
            return self._share(mask) <= 1
        asked = np.flatnonzero(self._largest[:4])
        if not len(asked):
            return True
        counts: I64 = (self._free[mask][:, asked] // self._largest[asked]).min(axis=1)
        return int(np.minimum(counts, self._pods).sum()) >= self._pods

    def _ratio(self, level: int, domain: int) -> float:
        key = (level, domain)
        if key not in self._keys:
            self._keys[key] = self._share(self.mask(level, domain))
        return self._keys[key]

    def _share(self, mask: Bit) -> float:
        """Largest part of the domain's free amounts that the pods ask; 1000 for what it lacks."""
        free: F64 = self._free[mask].sum(axis=0).astype(np.float64)
        asked = self._sum > 0
        with np.errstate(divide="ignore"):
            parts = np.where(free[asked] > 0, self._sum[asked] / np.maximum(free[asked], 1e-9), 1000.0)
        return float(parts.max(initial=0.0))


def _held_domain(ledger: Ledger, domain: I32, leaves: set[int], group: int) -> int | None:
    """The domain of the required level that pods of these subgroups sit in already; None when none sits."""
    for pod in group_pods(ledger, group):
        if ledger.leaf_of[pod] in leaves and ledger.is_active(pod) and ledger.node_of(pod) >= 0:
            return int(domain[ledger.node_of(pod)])
    return None
