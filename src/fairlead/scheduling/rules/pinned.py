"""Pinned demand: what it costs to take GPUs of a model that other requests cannot do without.

A request whose selector or affinity leaves out nodes is pinned to the rest. The price of a GPU on a node = MODEL_PRICE x, over the
pinned rules that allow it, (share of the requested GPUs pinned so x idle GPUs of the cluster / idle GPUs that the rule allows), at most
MODEL_PRICE.
Without pinned requests it is nothing.
Source: this project's placement study (`gpuspec` lists).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairlead.model import Demand, Node, NodeRule, meets
from fairlead.model.arrays import F64, I64, Bit
from fairlead.scheduling.rules.fill import MODEL_PRICE


def pin_prices(nodes: Sequence[Node], demand: Sequence[Demand], idle_milli: I64) -> F64 | None:
    """[N] price of one milli-GPU of each node, None where nobody is pinned. `idle_milli` [N] whole GPUs idle."""
    asked = [(_milli(row) * row[3], row[4] if len(row) > 4 else NodeRule()) for row in demand]
    total = sum(weight for weight, _ in asked)
    pinned: dict[NodeRule, float] = {}
    for weight, rule in asked:
        if weight and (rule.selector or rule.affinity):
            where = NodeRule(selector=rule.selector, affinity=rule.affinity)
            pinned[where] = pinned.get(where, 0.0) + weight / total
    if not pinned:
        return None
    price = np.zeros(len(nodes), dtype=np.float64)
    idle = float(idle_milli.sum())
    for rule, mask in zip(pinned, _masks(nodes, list(pinned)), strict=True):
        here = float(idle_milli[mask].sum())
        price[mask] += pinned[rule] * idle / here if here else 1.0
    capped: F64 = MODEL_PRICE * np.minimum(price, 1.0)
    return capped


def _milli(row: Demand) -> int:
    gpu = row[0]
    return gpu.devices * (gpu.portion_milli or 1000)


def _masks(nodes: Sequence[Node], rules: Sequence[NodeRule]) -> list[Bit]:
    """[N] per rule; nodes with equal labels under the keys that matter are looked at once."""
    keys = {key for rule in rules for key, _ in rule.selector}
    keys |= {requirement[0] for rule in rules for term in rule.affinity for requirement in term}
    kinds: dict[tuple[tuple[str, str], ...], int] = {}
    kind = [kinds.setdefault(tuple(pair for pair in node.labels if pair[0] in keys), len(kinds)) for node in nodes]
    rows = np.array(kind, dtype=np.int64)
    return [np.array([_allows(rule, dict(labels)) for labels in kinds], dtype=np.bool_)[rows] for rule in rules]


def _allows(rule: NodeRule, labels: dict[str, str]) -> bool:
    selected = all(labels.get(key) == value for key, value in rule.selector)
    return selected and (not rule.affinity or any(meets(labels, term) for term in rule.affinity))
