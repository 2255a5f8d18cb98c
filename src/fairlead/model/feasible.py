"""What a class asks and where it may run, evaluated once per distinct class and rule rather than per pod."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from fairlead.model.arrays import I32, Bit
from fairlead.model.charges import is_gpu_class, mig_charge
from fairlead.model.columns import ClassColumns, NodeColumns, PodColumns
from fairlead.model.selectors import Requirement, meets
from fairlead.model.values import GpuRequest, Node, NodeRule, PodStatus, TaskClass

_BLOCKING: Final = ("NoSchedule", "NoExecute")


def class_columns(classes: Sequence[TaskClass], names: tuple[str, ...]) -> ClassColumns:
    """Requests and charges of every class over the resources `names`."""
    column = {name: at for at, name in enumerate(names)}
    request = np.zeros((len(classes), len(names)), dtype=np.int64)
    charge = np.zeros((len(classes), 3), dtype=np.int64)
    for row, klass in enumerate(classes):
        for name, amount in (*klass.request, *klass.gpu.mig):
            request[row, column[name]] += amount
        for name, count in klass.claims:
            request[row, column[f"dra:{name}"]] += count
        request[row, 0] = 0 if _is_fraction(klass.gpu) else klass.gpu.devices * 1000
        dra = sum(count for name, count in klass.claims if is_gpu_class(name))
        charge[row] = (_pending_charge(klass.gpu) + 1000 * dra, request[row, 1], request[row, 2])
    return ClassColumns(
        request=request,
        charge=charge,
        fraction=np.array([max(k.gpu.devices, 1) if _is_fraction(k.gpu) else 0 for k in classes], dtype=np.int32),
        milli=np.array(
            [k.gpu.portion_milli if _is_fraction(k.gpu) and not k.gpu.memory_mib else 0 for k in classes],
            dtype=np.int64,
        ),
        mib=np.array([k.gpu.memory_mib for k in classes], dtype=np.int64),
        is_gpu=np.array([_asks_gpu(k) for k in classes], dtype=np.bool_),
    )


def feasibility(nodes: Sequence[Node], classes: Sequence[TaskClass], n: NodeColumns, p: PodColumns) -> Bit:
    """[C,N]: the class may run on the node ignoring amounts and the company it would keep."""
    table = NodeRules(nodes)
    legacy = np.array([klass.gpu.legacy_mig for klass in classes], dtype=np.bool_)
    beside = np.zeros(len(nodes), dtype=np.bool_)
    if legacy.any():
        here = legacy[p.klass] & (p.node >= 0) & (p.status > PodStatus.HELD)
        beside[p.node[here]] = True
    feasible = np.zeros((len(classes), len(nodes)), dtype=np.bool_)
    for row, klass in enumerate(classes):
        feasible[row] = n.usable & table.mask(klass.rule) & table.kind_mask(klass.gpu, n, beside)
    return feasible


class NodeRules:
    """Rules against nodes: every label key is spread over the nodes once, every distinct rule answered once."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self._labels = [dict(node.labels) for node in nodes]
        self._columns: dict[str, tuple[dict[str | None, int], I32]] = {}
        self._masks: dict[NodeRule, Bit] = {}
        self._mig = np.array([("none", "single", "mixed").index(node.mig) for node in nodes], dtype=np.int32)
        self._dra = np.array([node.gpu_source == "dra" for node in nodes], dtype=np.bool_)
        self._taints: dict[tuple[tuple[str, str, str], ...], list[int]] = {}
        for row, node in enumerate(nodes):
            if node.taints:
                self._taints.setdefault(node.taints, []).append(row)

    def mask(self, rule: NodeRule) -> Bit:
        """[N] nodes that meet selector, affinity and taints."""
        found = self._masks.get(rule)
        if found is None:
            found = self._masks[rule] = self._evaluate(rule)
        return found

    def affine(self, terms: tuple[tuple[Requirement, ...], ...]) -> Bit:
        """[N] nodes that meet any of the terms; all nodes for none."""
        if not terms:
            return np.ones(len(self._nodes), dtype=np.bool_)
        mask: Bit = np.logical_or.reduce([self._all(term) for term in terms])
        return mask

    def left_out(self, rule: NodeRule) -> tuple[tuple[str, Bit], ...]:
        """Each line of a rule with the [N] nodes that it alone leaves out: selector pairs, the affinity, taints that are not tolerated."""
        found = [(f"selector {key}={value}", ~self._one(key, "In", (value,))) for key, value in rule.selector]
        if rule.affinity:
            found.append(("affinity", ~self.affine(rule.affinity)))
        blocked: dict[str, Bit] = {}
        for taints, rows in self._taints.items():
            for key, value, effect in taints:
                if effect in _BLOCKING and not _tolerated((key, value, effect), rule.tolerations):
                    name = f"taint {key}{'=' if value else ''}{value}:{effect}"
                    blocked.setdefault(name, np.zeros(len(self._nodes), dtype=np.bool_))[rows] = True
        return (*found, *sorted(blocked.items()))

    def kind_mask(self, gpu: GpuRequest, n: NodeColumns, beside_legacy: Bit) -> Bit:
        """[N] nodes whose kind of GPU serves this request."""
        allowed: Bit = np.full(len(self._nodes), not gpu.legacy_mig, dtype=np.bool_)
        if gpu.mig:
            allowed &= (self._mig == 2) & ~beside_legacy
        elif _is_fraction(gpu):
            allowed &= (self._mig == 0) & ~self._dra
        elif gpu.devices:
            allowed &= (self._mig != 2) & ~self._dra
        if gpu.memory_mib:
            allowed &= n.gpu_memory_mib >= gpu.memory_mib
        return allowed

    def _evaluate(self, rule: NodeRule) -> Bit:
        mask = self.affine(rule.affinity)
        for key, value in rule.selector:
            mask = mask & self._one(key, "In", (value,))
        for taints, rows in self._taints.items():
            if not all(_tolerated(taint, rule.tolerations) for taint in taints if taint[2] in _BLOCKING):
                mask = mask.copy()
                mask[rows] = False
        return mask

    def _all(self, term: tuple[Requirement, ...]) -> Bit:
        mask = np.ones(len(self._nodes), dtype=np.bool_)
        for key, operator, values in term:
            mask &= self._one(key, operator, values)
        return mask

    def _one(self, key: str, operator: str, values: tuple[str, ...]) -> Bit:
        codes, column = self._column(key)
        wanted = [
            code
            for value, code in codes.items()
            if meets({} if value is None else {key: value}, ((key, operator, values),))
        ]
        mask: Bit = np.isin(column, wanted) if len(wanted) != 1 else column == wanted[0]
        return mask

    def _column(self, key: str) -> tuple[dict[str | None, int], I32]:
        found = self._columns.get(key)
        if found is None:
            codes: dict[str | None, int] = {}
            column = np.array(
                [codes.setdefault(labels.get(key), len(codes)) for labels in self._labels], dtype=np.int32
            )
            found = self._columns[key] = (codes, column)
        return found


def preferred_weight(nodes: Sequence[Node], klass: TaskClass) -> dict[int, int]:
    """Node row to the summed weight of the preferred node rules it meets; nodes that meet none are left out."""
    rules = [(what, weight) for what, weight in klass.preferred if isinstance(what, NodeRule)]
    if not rules:
        return {}
    table = NodeRules(nodes)
    total = np.zeros(len(nodes), dtype=np.int64)
    for rule, weight in rules:
        total += weight * table.affine(rule.affinity)
    return {row: int(total[row]) for row in np.flatnonzero(total).tolist()}


def _is_fraction(gpu: GpuRequest) -> bool:
    return gpu.memory_mib > 0 or 0 < gpu.portion_milli < 1000


def _pending_charge(gpu: GpuRequest) -> int:
    if gpu.memory_mib:
        return 0
    portion = gpu.portion_milli if _is_fraction(gpu) else 1000
    return max(gpu.devices, 1 if _is_fraction(gpu) else 0) * portion + mig_charge(gpu.mig)


def _asks_gpu(klass: TaskClass) -> bool:
    gpu = klass.gpu
    return bool(gpu.devices or gpu.memory_mib or gpu.mig or gpu.portion_milli) or any(
        is_gpu_class(name) for name, _ in klass.claims
    )


def _tolerated(taint: tuple[str, str, str], tolerations: tuple[tuple[str, str, str, str], ...]) -> bool:
    key, value, effect = taint
    for t_key, operator, t_value, t_effect in tolerations:
        if (t_effect and t_effect != effect) or (t_key and t_key != key):
            continue
        if operator == "Exists" or t_value == value:
            return True
    return False
