"""Reclaimable: may this group take these pods from other queues. KAI Scheduler's validation, on amounts from before the first eviction."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from fairlead.model import UNLIMITED
from fairlead.scheduling.fairshare import Amounts
from fairlead.scheduling.ledger import Ledger, Tree
from fairlead.scheduling.rules.state import Amounts3, State

Taken = Sequence[tuple[int, Sequence[int]]]
"""(group, pods in the order taken)."""


class Left(dict[int, list[int]]):
    """Queue row to its amounts while chunks are taken: copied when first looked at."""

    def __init__(self, amounts: list[list[int]]) -> None:
        super().__init__()
        self._amounts = amounts

    def __missing__(self, queue: int) -> list[int]:
        self[queue] = list(self._amounts[queue])
        return self[queue]


class Before:
    """Queue amounts as they stood before the first eviction."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.allocated = [list(row) for row in tree.allocated]
        self.fixed = [list(row) for row in tree.fixed]


def is_reclaimable(state: State, group: int, asked: Amounts3, victims: Taken, before: Before) -> bool:
    """Every chunk of every victim queue must leave it over its share (or the taker within its deserved amount and the victim above its
    own) before it goes; then no level of the taker may be fuller than a sibling it took from."""
    ledger, tree = state.ledger, before.tree
    left = Left(before.allocated)
    taker = tree.path[ledger.queue_of[group]]
    touched: set[int] = set()
    taken_axes = [amount > 0 for amount in asked]
    for leaf, chunks in _by_leaf(ledger, victims).items():
        mine, theirs = _fork(tree, taker, tree.path[leaf])
        touched.add(theirs)
        for chunk in chunks:
            if not _may_give(tree, (mine, theirs), before.allocated[mine], left[theirs], asked):
                return False
            taken_axes = [had or part > 0 for had, part in zip(taken_axes, chunk, strict=True)]
            for queue in tree.path[leaf]:
                touched.add(queue)
                for axis in (0, 1, 2):
                    left[queue][axis] -= chunk[axis]
    return _levels_hold(state, group, asked, (left, touched, taken_axes), before)


def has_giver(state: State, group: int, asked: Amounts3) -> bool:
    """Whether any queue may give even its first chunk: the more is taken, the less may be."""
    tree = state.ledger.tree
    held = tree.allocated
    for mine in tree.path[state.ledger.queue_of[group]]:
        siblings = tree.children[tree.parent[mine]] if tree.parent[mine] >= 0 else tree.roots
        givers = (one for one in siblings if one != mine and any(held[one]))
        if any(_may_give(tree, (mine, one), held[mine], held[one], asked) for one in givers):
            return True
    return False


def _may_give(tree: Tree, pair: tuple[int, int], held: Amounts, rest: Amounts, asked: Amounts3) -> bool:
    """Whether the second queue of the pair, which has `rest` left, may give to the first, which `held` that much before."""
    mine, theirs = pair
    if any(rest[axis] > tree.allocatable(theirs, axis) for axis in (0, 1, 2)):
        return True
    if any(held[axis] + asked[axis] > tree.deserved[mine][axis] for axis in (0, 1, 2)):
        return False
    return any(rest[axis] > tree.deserved[theirs][axis] for axis in (0, 1, 2))


def _levels_hold(
    state: State, group: int, asked: Amounts3, taken: tuple[Left, set[int], list[bool]], before: Before
) -> bool:
    tree, (left, touched, axes) = before.tree, taken
    fixed = not state.ledger.preemptible[group]
    for queue in tree.path[state.ledger.queue_of[group]]:
        siblings = tree.children[tree.parent[queue]] if tree.parent[queue] >= 0 else tree.roots
        after = [left[queue][axis] + asked[axis] for axis in (0, 1, 2)]
        for axis in (0, 1, 2):
            if fixed and before.fixed[queue][axis] + asked[axis] > tree.deserved[queue][axis]:
                return False
            if not axes[axis]:
                continue
            mine = _ratio(after[axis], tree.fair[queue][axis])
            for sibling in siblings:
                if sibling == queue or sibling not in touched or mine <= 1 or tree.fair[sibling][axis] <= 0:
                    continue
                if mine * state.policy.saturation >= _ratio(left[sibling][axis], tree.fair[sibling][axis]):
                    return False
    return True


def _ratio(used: int, fair: int) -> float:
    if fair >= UNLIMITED:
        return 0.0
    if not fair:
        return inf if used > 0 else 0.0
    return used / fair


def _fork(tree: Tree, taker: tuple[int, ...], victim: tuple[int, ...]) -> tuple[int, int]:
    """The pair of siblings where the two paths part."""
    mine, theirs = taker[::-1], victim[::-1]
    for left, right in zip(mine, theirs, strict=False):
        if left != right:
            return left, right
    return taker[0], victim[0]


def _by_leaf(ledger: Ledger, victims: Taken) -> dict[int, list[Amounts3]]:
    """Chunks of each victim leaf: per group, pods beyond the first `minimum` of a subgroup singly, then those as a block."""
    found: dict[int, list[Amounts3]] = {}
    pods_of: dict[int, list[int]] = {}
    for group, pods in victims:
        pods_of.setdefault(group, []).extend(pods)
    for group, pods in pods_of.items():
        chunks = found.setdefault(ledger.queue_of[group], [])
        if len(pods) == 1:
            chunks.append(ledger.charge_at(pods[0], ledger.node_of(pods[0])))
            continue
        single, block = _split(ledger, group, pods)
        chunks += [ledger.charge_at(pod, ledger.node_of(pod)) for pod in single]
        if block:
            chunks.append(_sum([ledger.charge_at(pod, ledger.node_of(pod)) for pod in block]))
    return found


def _split(ledger: Ledger, group: int, pods: list[int]) -> tuple[list[int], list[int]]:
    single: list[int] = []
    block: list[int] = []
    for leaf in range(ledger.leaf_offset[group], ledger.leaf_offset[group + 1]):
        mine = [pod for pod in pods if ledger.leaf_of[pod] == leaf]
        block += mine[: ledger.leaf_min[leaf]]
        single += mine[ledger.leaf_min[leaf] :]
    return single, block


def _sum(rows: list[Amounts3]) -> Amounts3:
    return sum(row[0] for row in rows), sum(row[1] for row in rows), sum(row[2] for row in rows)
