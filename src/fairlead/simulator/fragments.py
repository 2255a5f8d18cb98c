"""Fragmented GPUs: idle GPU that the pods people usually submit cannot use, weighed by how usual they are.

F(node) = sum over typical pods of popularity x (all idle GPU where the pod does not fit or asks none, else the idle part on devices
smaller than its request). Typical pods = the most popular requests that cover 95 % of a list.
Source: "Beware of Fragmentation" (USENIX ATC 2023), section 3.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from fairlead.model import Node
from fairlead.model.arrays import F64, I64, Bit
from fairlead.scheduling.ledger import Ledger
from fairlead.simulator.openb import Arrival

_COVER: Final = 0.95


class Fragments:
    """Fragmented milli-GPU of every node, kept up to date node by node."""

    def __init__(self, nodes: Sequence[Node], pods: Sequence[Arrival]) -> None:
        counts = Counter((pod.cpu, pod.gpus, pod.milli, pod.models) for pod in pods)
        typical, covered = [], 0
        for spec, count in counts.most_common():
            typical.append((spec, count))
            covered += count
            if covered >= _COVER * len(pods):
                break
        self.weight: F64 = np.array([count for _, count in typical], dtype=np.float64) / covered
        self.cpu: I64 = np.array([spec[0] for spec, _ in typical], dtype=np.int64)
        self.gpus: I64 = np.array([spec[1] for spec, _ in typical], dtype=np.int64)
        self.milli: I64 = np.array([spec[2] for spec, _ in typical], dtype=np.int64)
        specs = [spec[3] for spec, _ in typical]
        ordered = sorted(nodes, key=lambda node: node.name)
        models = {node.gpu_model for node in ordered}
        allowed = {model: np.array([not spec or model in spec for spec in specs]) for model in models}
        self.allowed: list[Bit] = [allowed[node.gpu_model] for node in ordered]
        self.of_node = [
            self._fragmented(row, [1000] * node.gpus, dict(node.allocatable)["cpu"]) for row, node in enumerate(ordered)
        ]
        self.total = sum(self.of_node)

    def update(self, row: int, ledger: Ledger) -> None:
        """Looks at one node again."""
        idle = [1000] * (int(ledger.idle[row, 0]) // 1000)
        idle += [
            1000 - int(ledger.amounts[device, 0, 0])
            for device in ledger.devices_on.get(row, ())
            if ledger.members[device, 0]
        ]
        now = self._fragmented(row, idle, int(ledger.idle[row, 1]))
        self.total += now - self.of_node[row]
        self.of_node[row] = now

    def _fragmented(self, row: int, idle: list[int], cpu: int) -> float:
        parts = np.array(idle, dtype=np.int64)
        total = parts.sum()
        enough = parts[None, :] >= self.milli[:, None]
        fits = (self.gpus > 0) & (self.cpu <= cpu) & (enough.sum(axis=1) >= self.gpus) & self.allowed[row]
        lost = np.where(fits, (parts[None, :] * ~enough).sum(axis=1), total)
        return float((self.weight * lost).sum())
