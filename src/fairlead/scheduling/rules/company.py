"""Company: rules about the pods that a pod runs beside, counted per domain of a node label."""

from __future__ import annotations

from collections import Counter

import numpy as np

from fairlead.model import PodStatus, Snapshot, Term, meets, parse_selector
from fairlead.model.arrays import I64, Bit
from fairlead.scheduling.ledger import NOWHERE, Ledger

Kind = tuple[int, str]
"""(class row, namespace): what terms can tell apart."""


class Company:
    """Who is where, for the classes that some term looks at; empty (and free of cost) when the snapshot has no terms."""

    def __init__(self, snapshot: Snapshot, ledger: Ledger) -> None:
        self._snapshot, self._ledger = snapshot, ledger
        self._terms = [
            (row, term)
            for row, klass in enumerate(snapshot.classes)
            for term in (*klass.terms, *_preferred(klass.preferred))
        ]
        self.is_needed = bool(self._terms)
        self._domains: dict[str, I64] = {}
        self._matches: dict[tuple[Term, str, Kind], bool] = {}
        self._pods = [row for row, _ in enumerate(snapshot.pods)] if self.is_needed else []
        self._census: dict[Kind, Counter[int]] = {}
        self._version = -1

    def mask(self, pod: int) -> Bit | None:
        """[N] nodes whose company the pod accepts and that accept the pod; None = all."""
        if not self.is_needed:
            return None
        self._count()
        klass, namespace = self._ledger.klass[pod], self._snapshot.pods[pod].namespace
        mask = np.ones(len(self._snapshot.nodes), dtype=np.bool_)
        for term in self._snapshot.classes[klass].terms:
            present, domain = self._present(term, namespace), self._domain(term.level)
            if term.kind == "avoid":
                mask &= ~(present & (domain >= 0))
            elif term.kind == "need" and (present.any() or not self._is_match(term, namespace, (klass, namespace))):
                mask &= present & (domain >= 0)
        for (other, space), nodes in self._census.items():
            for term in self._snapshot.classes[other].terms:
                if term.kind == "avoid" and self._is_match(term, space, (klass, namespace)):
                    domain = self._domain(term.level)
                    taken = domain[list(nodes)]
                    mask &= ~np.isin(domain, taken[taken >= 0])
        return mask

    def liking(self, pod: int) -> I64 | None:
        """[N] summed weights of preferred company; None = no preference."""
        klass, namespace = self._ledger.klass[pod], self._snapshot.pods[pod].namespace
        wishes = [(what, weight) for what, weight in self._snapshot.classes[klass].preferred if isinstance(what, Term)]
        if not wishes:
            return None
        self._count()
        total = np.zeros(len(self._snapshot.nodes), dtype=np.int64)
        for term, weight in wishes:
            total += (-weight if term.kind == "avoid" else weight) * self._present(term, namespace)
        found: I64 = total - total.min()
        return found

    def _present(self, term: Term, namespace: str) -> Bit:
        """[N] nodes in whose domain a pod that the term selects sits."""
        domain = self._domain(term.level)
        taken: set[int] = set()
        for kind, nodes in self._census.items():
            if self._is_match(term, namespace, kind):
                taken.update(int(domain[node]) for node in nodes)
        taken.discard(-1)
        return np.isin(domain, list(taken))

    def _count(self) -> None:
        if self._version == self._ledger.version and self._census:
            return
        self._version = self._ledger.version
        self._census = {}
        ledger = self._ledger
        for pod in self._pods:
            node = ledger.node_of(pod)
            stays = ledger.kind[pod] != NOWHERE or (
                not ledger.evicted[pod] and ledger.base_status[pod] != PodStatus.RELEASING
            )
            if node >= 0 and stays:
                self._census.setdefault((ledger.klass[pod], self._snapshot.pods[pod].namespace), Counter())[node] += 1

    def _is_match(self, term: Term, namespace: str, kind: Kind) -> bool:
        key = (term, namespace, kind)
        if key not in self._matches:
            spaces = term.namespaces or (namespace,)
            labels = dict(self._snapshot.classes[kind[0]].labels)
            self._matches[key] = ("*" in spaces or kind[1] in spaces) and meets(labels, parse_selector(term.selector))
        return self._matches[key]

    def _domain(self, level: str) -> I64:
        found = self._domains.get(level)
        if found is None:
            codes: dict[str, int] = {}
            values = [dict(node.labels).get(level) for node in self._snapshot.nodes]
            column = [-1 if value is None else codes.setdefault(value, len(codes)) for value in values]
            found = self._domains[level] = np.array(column, dtype=np.int64)
        return found


def _preferred(pairs: tuple[tuple[object, int], ...]) -> list[Term]:
    return [what for what, _ in pairs if isinstance(what, Term)]
