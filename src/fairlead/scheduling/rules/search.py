"""Victim search: the shortest prefix of victims after which a group fits, trimmed, replayed in allocate order, and validated.

Victims come in chunks in the order their queues give. More of them never hurt, so the shortest prefix is found by galloping and bisection,
first on array sums, then on the ledger. What was found is trimmed and started again with only that set evicted and everybody placed in
allocate order: whoever allocation would serve first gets the room, so that nothing is evicted and bound again in every cycle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import numpy as np

from fairlead.model import Action, Code, Reason
from fairlead.model.arrays import I64
from fairlead.scheduling.ledger import NOWHERE, Ledger
from fairlead.scheduling.rules.assembly import place_turn
from fairlead.scheduling.rules.devices import may_return
from fairlead.scheduling.rules.gates import capacity_reasons, is_over_capacity
from fairlead.scheduling.rules.order import Leaf, Line
from fairlead.scheduling.rules.placement import View
from fairlead.scheduling.rules.state import JobKey, State
from fairlead.scheduling.rules.turns import pods_wanted

REPLAYED_WHOLE: Final = 256
"""Chunks of a prefix that are still replayed all together when the trimmed ones do not do."""
Chunk = tuple[int, tuple[int, ...]]
"""(group, pods)."""
Places = dict[int, tuple[int, tuple[int, ...], int]]
"""Pod to (node, device rows, kind)."""
Validator = Callable[[list[Chunk]], bool]
"""Whether the final victims (pods that stay evicted) may be taken; the ledger stands as after the placement."""


class Search:
    """One search for one group. `find` leaves the ledger with the solution in it, or as it was."""

    def __init__(
        self, state: State, group: int, action: Action, victims: Iterator[Chunk], freed: Callable[[], I64]
    ) -> None:
        self.state, self.group, self.action = state, group, action
        self._source, self._chunks, self._all_freed = victims, list[Chunk](), freed
        self._turn = pods_wanted(state.ledger, group, simulated=True)
        self._probes = 0
        self._over: list[Reason] = []
        self._verdicts: dict[tuple[Chunk, ...], bool | None] = {}
        """What came of sets of victims. One that is met again, in a longer prefix, meets the ledger as it was: each try is taken back."""

    def find(self, is_valid: Validator) -> list[Reason]:
        """Empty when solved; else why not."""
        state = self.state
        state.searches += 1
        reasons = self._find(is_valid)
        state.probes += self._probes
        state.most_probes = max(state.most_probes, self._probes)
        return reasons

    def _find(self, is_valid: Validator) -> list[Reason]:
        if self.action == Action.CONSOLIDATE and self._is_free():
            return []
        if not self._has(1):
            return [self._reason(Code.VICTIMS_PROTECTED if self._others_run() else Code.NO_ROOM)]
        count = self._shortest_prefix()
        if not count:
            return self._over or [self._reason(Code.NO_ROOM)]
        while self._probes < self.state.policy.max_probes:
            if self._solve(count, is_valid):
                return []
            count += 1
            if not self._has(count):
                return [self._reason(Code.NO_GAIN if self.action == Action.CONSOLIDATE else Code.WOULD_STARVE)]
        return [self._reason(Code.SEARCH_LIMIT)]

    def _others_run(self) -> bool:
        """Whether anybody else holds a place at all."""
        ledger = self.state.ledger
        own = range(ledger.leaf_offset[self.group], ledger.leaf_offset[self.group + 1])
        return sum(ledger.active) > sum(ledger.active[leaf] for leaf in own)

    def _is_free(self) -> bool:
        """Whether the turn got a place where nobody has to move."""
        if is_over_capacity(self.state, self.group, self._turn):
            return False
        self._probes += 1
        return place_turn(self.state, self.group, self._turn, only_pipeline=True)

    # --- the shortest prefix -----------------------------------------------------------------------------------------

    def _shortest_prefix(self) -> int:
        """Fewest chunks after which the turn fits; 0 = never (or only after more probes than allowed)."""
        low = self._lower_bound()
        if not low:
            return 0
        step, high = 1, low
        while not self._fits(high):
            if self._probes >= self.state.policy.max_probes or not self._has(high + 1):
                return 0
            low = high + 1
            high = min(high + step, self._have(high + step))
            step *= 2
        while low < high:
            middle = (low + high) // 2
            if self._fits(middle):
                high = middle
            else:
                low = middle + 1
        return high

    def _lower_bound(self) -> int:
        """Chunks below which array sums already say no, by the most demanding class of the turn; 0 = not even without all that may go."""
        state, ledger = self.state, self.state.ledger
        needed: dict[int, int] = {}
        for pod in self._turn:
            if not ledger.fraction[ledger.klass[pod]]:
                needed[ledger.klass[pod]] = needed.get(ledger.klass[pod], 0) + 1
        best = 1
        for klass, count in needed.items():
            view = state.placer.view(klass)
            free = ledger.idle + ledger.releasing
            if int(np.minimum(view.room(free + self._all_freed()), count).sum()) < count:
                return 0
            best = self._gallop(best, partial(self._has_room, view, free, count))
            if not best:
                return 0
        return best

    def _gallop(self, low: int, is_enough: Callable[[int], bool]) -> int:
        step, high = 1, low
        while not is_enough(high):
            if not self._has(high + 1):
                return 0
            low, high = high + 1, min(high + step, self._have(high + step))
            step *= 2
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
        return high

    def _has_room(self, view: View, free: I64, wanted: int, count: int) -> bool:
        return int(np.minimum(view.room(self._freed(free, count)), wanted).sum()) >= wanted

    def _useful(self, chunks: list[Chunk]) -> list[Chunk]:
        """The chunks with a pod on a node where all of them together make room for a pod of the turn: no other node can take one.

        All of them where limits or company count too, which see evictions on any node.
        """
        state, ledger = self.state, self.state.ledger
        if len(chunks) < 16 or state.company.is_needed or is_over_capacity(state, self.group, self._turn):
            return chunks
        after = self._freed(ledger.idle + ledger.releasing, len(chunks))
        rooms = [state.placer.view(klass).room(after) > 0 for klass in {ledger.klass[pod] for pod in self._turn}]
        nodes = set(np.flatnonzero(np.logical_or.reduce(rooms)).tolist())
        return [chunk for chunk in chunks if any(ledger.node_of(pod) in nodes for pod in chunk[1])]

    def _freed(self, free: I64, count: int) -> I64:
        """Free amounts after evicting a prefix; shared devices as if each part freed a whole one (an upper bound)."""
        ledger = self.state.ledger
        pods = [pod for _, chunk in self._chunks[:count] for pod in chunk]
        nodes = np.array([ledger.node_of(pod) for pod in pods], dtype=np.int64)
        rows = ledger.request[[ledger.klass[pod] for pod in pods]].copy()
        rows[:, 0] += [1000 * ledger.fraction[ledger.klass[pod]] for pod in pods]
        after = free.copy()
        np.add.at(after, nodes[nodes >= 0], rows[nodes >= 0])
        return after

    def _fits(self, count: int) -> bool:
        """Whether the turn fits (by amounts and limits) after evicting a prefix."""
        self._probes += 1
        ledger = self.state.ledger
        mark = ledger.checkpoint()
        ledger.evict_many(self._pods(self._useful(self._chunks[:count])))
        over = is_over_capacity(self.state, self.group, self._turn)
        self._over = capacity_reasons(self.state, self.group, self._turn, self.action) if over else []
        done = not over and place_turn(self.state, self.group, self._turn, only_pipeline=True)
        ledger.rollback(mark)
        return done

    # --- solving with a prefix ---------------------------------------------------------------------------------------

    def _solve(self, count: int, is_valid: Validator) -> bool:
        """The trimmed prefix, else the chunks that meet on one node of the last victim, else the whole prefix."""
        prefix = self._chunks[:count]
        tried: set[tuple[int, ...]] = set()
        for chosen in self._candidates(prefix):
            pods = tuple(sorted(self._pods(chosen)))
            if not chosen or pods in tried:
                continue
            tried.add(pods)
            verdict = self._verdict(tuple(chosen), is_valid)
            if verdict is not None:
                return verdict
            if self._probes >= self.state.policy.max_probes:
                return False
        return False

    def _candidates(self, prefix: list[Chunk]) -> Iterator[list[Chunk]]:
        yield self._trim(prefix)
        ledger = self.state.ledger
        taken_on: dict[int, set[int]] = {}
        for group, pods in prefix:
            for pod in pods:
                taken_on.setdefault(ledger.node_of(pod), set()).add(group)
        last = prefix[-1][0]
        nodes = dict.fromkeys(ledger.node_of(pod) for group, pods in prefix if group == last for pod in pods)
        for node in nodes:
            yield [chunk for chunk in prefix if chunk[0] in taken_on[node]]
        yield prefix if len(prefix) <= REPLAYED_WHOLE else self._useful(prefix)

    def _trim(self, prefix: list[Chunk]) -> list[Chunk]:
        """The prefix without chunks, last taken first, that can stay beside the placed group; no gang keeps surplus without its core."""
        self._probes += 1
        state, ledger = self.state, self.state.ledger
        mark = ledger.checkpoint()
        prefix = self._useful(prefix)
        places = new_places(ledger, prefix)
        ledger.evict_many(self._pods(prefix))
        if not place_turn(state, self.group, self._turn, only_pipeline=True):
            ledger.rollback(mark)
            return []
        needed: list[Chunk] = []
        groups: set[int] = set()
        for chunk in reversed(prefix):
            if chunk[0] in groups or not restore_chunk(ledger, chunk[1], places):
                needed.append(chunk)
                groups.add(chunk[0])
        ledger.rollback(mark)
        return needed[::-1]

    def _verdict(self, chosen: tuple[Chunk, ...], is_valid: Validator) -> bool | None:
        """The same as `_try`, tried once."""
        if chosen not in self._verdicts:
            self._verdicts[chosen] = self._try(list(chosen), is_valid)
        return self._verdicts[chosen]

    def _try(self, chosen: list[Chunk], is_valid: Validator) -> bool | None:
        """None = the group did not get its place; else the validator's verdict. The ledger keeps what is valid."""
        self._probes += 1
        ledger = self.state.ledger
        mark = ledger.checkpoint()
        ledger.evict_many(self._pods(chosen))
        if not replay(self.state, self.group, self._turn, {group for group, _ in chosen}):
            ledger.rollback(mark)
            return None
        lost = [(group, tuple(pod for pod in pods if not ledger.is_active(pod))) for group, pods in chosen]
        if is_valid([chunk for chunk in lost if chunk[1]]):
            return True
        ledger.rollback(mark)
        return False

    def _pods(self, chunks: list[Chunk]) -> list[int]:
        return [pod for _, pods in chunks for pod in pods]

    def _has(self, count: int) -> bool:
        return self._have(count) >= count

    def _have(self, count: int) -> int:
        """How many of `count` chunks there are; takes them from the source, for which the ledger must stand as at the start."""
        while len(self._chunks) < count:
            chunk = next(self._source, None)
            if chunk is None:
                return len(self._chunks)
            self._chunks.append(chunk)
        return count

    def _reason(self, code: Code) -> Reason:
        return Reason(code=code, action=self.action, wanted=len(self._turn), available=len(self._chunks))


def replay(state: State, group: int, turn: list[int], victims: set[int]) -> bool:
    """Places the group and its victims in allocate order, one turn each; whether the group got its place.

    Other waiting groups stand in their leaves' lines and so decide which queue is next, but are passed over.
    """
    special = victims | {group}
    state.moving = special
    try:
        return _replay(state, group, turn, special)
    finally:
        state.moving = set()


def _replay(state: State, group: int, turn: list[int], special: set[int]) -> bool:
    leaves = _line_leaves(state, group, special)
    changed = {above for one in special for above in state.ledger.tree.path[state.ledger.queue_of[one]]}
    known = {queue: best for queue, best in state.front.items() if queue not in changed}
    line, left, placed = Line(state, leaves, known), len(special), False
    leaf = line.next_leaf()
    state.front.update((queue, best) for queue, best in line.best.items() if queue not in changed)
    while left and leaf >= 0:
        one = leaves[leaf].pop()
        if one in special:
            left -= 1
            if not _take_turn(state, one, turn if one == group else None) and one == group:
                return False
            placed |= one == group
        else:
            pass_equals(state, leaves[leaf], one, special)
        line.stir(leaf)
        leaf = line.next_leaf()
    return placed


def _line_leaves(state: State, group: int, special: set[int]) -> dict[int, Leaf]:
    """Leaves of the special groups, and of those waiting below the same top queues: no other queue decides who of them is next."""
    tree, queue_of = state.ledger.tree, state.ledger.queue_of
    heaps: dict[int, list[tuple[JobKey, int]]] = {queue_of[one]: [] for one in special}
    for one in special:
        if one == group or pods_wanted(state.ledger, one, simulated=True):
            heaps[queue_of[one]].append((state.job_key(one), one))
    tops = {tree.path[queue][-1] for queue in heaps}
    shared = [queue for queue in state.waiting if queue not in heaps and tree.path[queue][-1] in tops]
    leaves = {queue: Leaf(state.waiting[queue], _anybody) for queue in shared}
    for queue, heap in heaps.items():
        leaves[queue] = Leaf(state.waiting.get(queue, []), lambda one: one not in special, heap)
    return leaves


def _anybody(_group: int) -> bool:
    return True


def pass_equals(state: State, leaf: Leaf, passed: int, special: set[int]) -> None:
    """Pops the groups behind one that was passed over while they would ask the same: the order of queues stays as it is."""
    asked, ask = state.ask(passed), state.ask
    leaf.skip(lambda front: front not in special and ask(front) == asked)


def new_places(ledger: Ledger, chunks: list[Chunk]) -> Places:
    """Places that this decision gave to pods of these chunks; to be asked before they are evicted."""
    pods = (pod for _, chunk in chunks for pod in chunk if ledger.kind[pod] != NOWHERE)
    return {pod: (ledger.place_node[pod], ledger.shared_of(pod), ledger.kind[pod]) for pod in pods}


def restore_chunk(ledger: Ledger, pods: tuple[int, ...], places: Places) -> bool:
    """Whether all of an evicted chunk could stay where it was (an old place, or one of `places`); if not, nothing changed."""
    mark = ledger.checkpoint()
    for pod in pods:
        node, shared, kind = places.get(pod) or (ledger.base_node[pod], ledger.base_shared.get(pod, ()), NOWHERE)
        request = ledger.request[ledger.klass[pod]]
        free = node < 0 or bool((ledger.idle[node] + ledger.releasing[node] >= request).all())
        if not free or not may_return(ledger, pod, node, shared):
            ledger.rollback(mark)
            return False
        if kind == NOWHERE:
            ledger.restore(pod)
        else:
            ledger.place_as(pod, node, shared, kind)
    return True


def _take_turn(state: State, group: int, turn: list[int] | None) -> bool:
    pods = pods_wanted(state.ledger, group, simulated=True) if turn is None else turn
    if not pods or is_over_capacity(state, group, pods):
        return False
    return place_turn(state, group, pods, only_pipeline=True)
