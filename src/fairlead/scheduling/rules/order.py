"""Order: who is served next, and who gives first. A tree of queues with groups below its leaves.

Seven comparisons decide between two queues, each looking at the best group below; the first that differs holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import heapify, heappop, heappush
from types import MappingProxyType

from fairlead.model import UNLIMITED
from fairlead.scheduling.ledger import Tree
from fairlead.scheduling.rules.state import Amounts3, Best, JobKey, QueueKey, State
from fairlead.scheduling.rules.turns import Victim

ZERO: Amounts3 = (0, 0, 0)


def queue_key(tree: Tree, queue: int, job: Amounts3, taken: Amounts3, total: Amounts3) -> QueueKey:
    """Rules 1 to 6: over its share in all resources last; within deserved with the job first; priority; a use of what it has no share in
    last; smaller dominant share with the job and without what was `taken` from it; the same without both."""
    held, fair = tree.allocated[queue], tree.fair[queue]
    after = (held[0] + job[0], held[1] + job[1], held[2] + job[2])
    deserved = tree.deserved[queue]
    room = tree.room[queue]
    return (
        fair[0] < held[0] and fair[1] < held[1] and fair[2] < held[2],
        after[0] > deserved[0] or after[1] > deserved[1] or after[2] > deserved[2],
        -tree.priority[queue],
        (room[0] == 0 and after[0] > 0) or (room[1] == 0 and after[1] > 0) or (room[2] == 0 and after[2] > 0),
        _dominant((after[0] - taken[0], after[1] - taken[1], after[2] - taken[2]), room, total),
        _dominant((held[0], held[1], held[2]), room, total),
    )


def comes_first(tree: Tree, left: tuple[QueueKey, int], right: tuple[QueueKey, int]) -> bool:
    """Whether the left (key, queue) is served before the right one; rules 7 (smaller share to be had) and 8 (older) settle ties."""
    if left[0] != right[0]:
        return left[0] < right[0]
    pairs = list(zip(tree.room[left[1]], tree.room[right[1]], strict=True))
    if any(mine != theirs for mine, theirs in pairs):
        if all(mine <= theirs for mine, theirs in pairs):
            return True
        if all(mine >= theirs for mine, theirs in pairs):
            return False
    return tree.rank[left[1]] < tree.rank[right[1]]


class Leaf:
    """Groups of one leaf queue: a sorted base that is only walked, and a heap for those that came later or changed."""

    __slots__ = ("at", "base", "heap", "keep")

    def __init__(
        self, base: list[tuple[JobKey, int]], keep: Callable[[int], bool], heap: Iterable[tuple[JobKey, int]] = ()
    ) -> None:
        self.base, self.keep, self.at = base, keep, 0
        self.heap = list(heap)
        heapify(self.heap)

    def top(self) -> int:
        """The group in front, -1 = none."""
        while self.at < len(self.base) and not self.keep(self.base[self.at][1]):
            self.at += 1
        if self.at == len(self.base):
            return self.heap[0][1] if self.heap else -1
        return min(self.base[self.at], self.heap[0])[1] if self.heap else self.base[self.at][1]

    def pop(self) -> int:
        """Takes the group in front."""
        group = self.top()
        self.drop(group)
        return group

    def drop(self, group: int) -> None:
        """Takes that group, which is in front."""
        if self.heap and self.heap[0][1] == group:
            heappop(self.heap)
        else:
            self.at += 1

    def skip(self, are_alike: Callable[[int], bool]) -> None:
        """Takes groups from the front while they are alike."""
        while self.heap and (front := self.top()) >= 0 and are_alike(front):
            self.drop(front)
        if self.heap:
            return
        base, at, keep = self.base, self.at, self.keep
        while at < len(base) and (not keep(base[at][1]) or are_alike(base[at][1])):
            at += 1
        self.at = at

    def push(self, key: JobKey, group: int) -> None:
        """Puts a group (back) in."""
        heappush(self.heap, (key, group))


class Line:
    """The tree of queues with leaves of waiting groups. `best` is cached per queue until something below it changes.

    `known`: what a line of the same groups and amounts found of its queues, for those queues that are alike in both.
    """

    def __init__(self, state: State, leaves: dict[int, Leaf], known: Mapping[int, Best] = MappingProxyType({})) -> None:
        self._state, self._tree, self.leaves = state, state.ledger.tree, leaves
        self.best: dict[int, Best] = dict(known)
        self._below = queues_below(self._tree, leaves)

    def next_leaf(self) -> int:
        """The leaf whose front group is served next, -1 = all are empty."""
        if len(self.leaves) == 1:
            leaf = next(iter(self.leaves))
            return leaf if self.leaves[leaf].top() >= 0 else -1
        best = self._pick(self._below.get(-1, []))
        return best[2] if best else -1

    def stir(self, leaf: int) -> None:
        """The leaf's front or amounts changed."""
        for queue in self._tree.path[leaf]:
            self.best.pop(queue, None)

    def key_of(self, queue: int, leaf: int) -> QueueKey:
        """The queue's key with the group in front of that leaf."""
        return queue_key(self._tree, queue, self._state.ask(self.leaves[leaf].top()), ZERO, self._state.total)

    def precedes(self, left: tuple[QueueKey, int], right: tuple[QueueKey, int]) -> bool:
        """Which of two queues is taken first."""
        return comes_first(self._tree, left, right)

    def _pick(self, queues: list[int]) -> Best:
        """(key, queue, leaf) of the first of these sibling queues: by key in one pass, by the last two rules among equals."""
        best = self.best
        for queue in queues:
            if queue not in best:
                best[queue] = self._evaluate(queue)
        found = [one for queue in queues if (one := best[queue])]
        if len(found) < 2:
            return found[0] if found else None
        key = self.extreme(one[0] for one in found)
        equals = [one for one in found if one[0] == key]
        first = equals[0]
        for one in equals[1:]:
            if self.precedes((one[0], one[1]), (first[0], first[1])):
                first = one
        return first

    def extreme(self, keys: Iterable[QueueKey]) -> QueueKey:
        """The key that is taken first."""
        return min(keys)

    def _evaluate(self, queue: int) -> Best:
        if queue in self.leaves:
            leaf = queue if self.leaves[queue].top() >= 0 else -1
        else:
            below = self._pick(self._below.get(queue, []))
            leaf = below[2] if below else -1
        return (self.key_of(queue, leaf), queue, leaf) if leaf >= 0 else None


def queues_below(tree: Tree, leaves: Iterable[int]) -> dict[int, list[int]]:
    """Queue (-1 = the top) to the queues below it on the way to these leaves, in row order."""
    below: dict[int, list[int]] = {}
    for queue in sorted({above for leaf in leaves for above in tree.path[leaf]}):
        below.setdefault(tree.parent[queue], []).append(queue)
    return below


class VictimLine(Line):
    """The same tree read backwards: the queue and group that would be served last give first.

    Rule 5 alone looks at what is left of a queue: without the groups already taken from the best leaf below it and the one in front of it.
    """

    def __init__(self, state: State, leaves: dict[int, Leaf], known: Mapping[int, Best] = MappingProxyType({})) -> None:
        super().__init__(state, leaves, known)
        self.taken: dict[int, list[int]] = {leaf: [0, 0, 0] for leaf in leaves}
        self.views: dict[int, Victim] = {}
        self._worth: dict[int, Amounts3] = {}

    def key_of(self, queue: int, leaf: int) -> QueueKey:
        """The queue's key with nothing asked and what was taken so far."""
        gone, front = self.taken[leaf], self.worth(self.leaves[leaf].top())
        taken = (gone[0] + front[0], gone[1] + front[1], gone[2] + front[2])
        return queue_key(self._tree, queue, ZERO, taken, self._state.total)

    def precedes(self, left: tuple[QueueKey, int], right: tuple[QueueKey, int]) -> bool:
        """The reverse of serving."""
        return not comes_first(self._tree, left, right)

    def extreme(self, keys: Iterable[QueueKey]) -> QueueKey:
        """The key that is taken first: the one served last."""
        return max(keys)

    def worth(self, group: int) -> Amounts3:
        """Charge of all that the group still has; kept until a chunk is taken from it."""
        found = self._worth.get(group)
        if found is None:
            ledger = self._state.ledger
            gpu = cpu = memory = 0
            for pod in self.view(group).pods():
                row = ledger.charge_at(pod, ledger.node_of(pod))
                gpu, cpu, memory = gpu + row[0], cpu + row[1], memory + row[2]
            found = self._worth[group] = (gpu, cpu, memory)
        return found

    def view(self, group: int) -> Victim:
        """The group with what is left of it."""
        found = self.views.get(group)
        if found is None:
            found = self.views[group] = self._state.victim(group)
        return found

    def chunks(self, surplus_only: Callable[[int], bool]) -> Iterator[tuple[int, tuple[int, ...]]]:
        """(group, pods) in the order they give. The ledger must stand as at the start whenever the next one is asked for."""
        while (leaf := self.next_leaf()) >= 0:
            group = self.leaves[leaf].top()
            worth, view = self.worth(group), self.view(group)
            self.leaves[leaf].pop()
            chunk = view.take(surplus_only(group))
            self._worth.pop(group, None)
            if chunk:
                for axis in (0, 1, 2):
                    self.taken[leaf][axis] += worth[axis]
                if view.pods():
                    self.leaves[leaf].push(victim_key(self._state, group, view.state()), group)
            self.stir(leaf)
            if chunk:
                yield group, chunk


def victim_key(state: State, group: int, elastic: int) -> JobKey:
    """Order among victims of a leaf: lower priority, then with surplus, then younger."""
    return (int(state.snapshot.j.priority[group]), -elastic, -group)


def _dominant(amount: Amounts3, room: Amounts3, total: Amounts3) -> float:
    worst = 0.0
    for axis in (0, 1, 2):
        have = total[axis] if room[axis] >= UNLIMITED else room[axis]
        worst = max(worst, amount[axis] / have if have else amount[axis] * (1000.0 if axis else 1.0))
    return worst
