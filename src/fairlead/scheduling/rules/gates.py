"""Gates: may this much more be used by a queue at all. Limits hold on every level; fixed work must be deserved on every level."""

from __future__ import annotations

from fairlead.model import K_NAMES, UNLIMITED, Action, Code, Reason
from fairlead.scheduling.rules.state import Amounts3, State
from fairlead.scheduling.rules.turns import amounts


def capacity_reasons(state: State, group: int, pods: list[int], action: Action) -> list[Reason]:
    """Why the queue (or one above it) may not take these pods: OVER_LIMIT, OVER_DESERVED_FIXED; empty = it may.

    A memory request is charged nothing here; its node decides, see `node_slack`.
    """
    asked = amounts(state.ledger.charge, state.ledger, pods)
    return limit_reasons(state, group, asked, action) + fixed_reasons(state, group, asked, action)


def is_over_capacity(state: State, group: int, pods: list[int]) -> bool:
    """The same as a yes or no, for the inside of a search."""
    tree, fixed = state.ledger.tree, not state.ledger.preemptible[group]
    asked = amounts(state.ledger.charge, state.ledger, pods)
    for queue in tree.path[state.ledger.queue_of[group]]:
        for axis in (0, 1, 2):
            if not asked[axis]:
                continue
            if (
                tree.limit[queue][axis] < UNLIMITED
                and tree.allocated[queue][axis] + asked[axis] > tree.limit[queue][axis]
            ):
                return True
            deserved = tree.deserved[queue][axis]
            if fixed and deserved < UNLIMITED and tree.fixed[queue][axis] + asked[axis] > deserved:
                return True
    return False


def limit_reasons(state: State, group: int, asked: Amounts3, action: Action) -> list[Reason]:
    """OVER_LIMIT of each queue and resource that would be exceeded, outermost queue first."""
    return _exceeded(
        state, group, asked, (state.ledger.tree.allocated, state.ledger.tree.limit), (Code.OVER_LIMIT, action)
    )


def fixed_reasons(state: State, group: int, asked: Amounts3, action: Action) -> list[Reason]:
    """OVER_DESERVED_FIXED of each queue where non-preemptible work would exceed what is deserved; none for preemptible groups."""
    if state.ledger.preemptible[group]:
        return []
    tree = state.ledger.tree
    return _exceeded(state, group, asked, (tree.fixed, tree.deserved), (Code.OVER_DESERVED_FIXED, action))


def reclaim_reasons(state: State, group: int, asked: Amounts3) -> list[Reason]:
    """Why the group may take nothing from other queues: its leaf would pass its fair share, or fixed work what is deserved."""
    tree, queue = state.ledger.tree, state.ledger.queue_of[group]
    name = state.snapshot.queues[queue].name
    found: list[Reason] = []
    for axis, resource in enumerate(K_NAMES):
        held, fair = tree.allocated[queue][axis] + asked[axis], tree.fair[queue][axis]
        if held > fair:
            reason = Reason(
                code=Code.OVER_FAIR_SHARE,
                action=Action.RECLAIM,
                subject=name,
                resource=resource,
                wanted=held,
                available=fair,
            )
            found.append(reason)
    if not state.ledger.preemptible[group]:
        found += [reason for reason in fixed_reasons(state, group, asked, Action.RECLAIM) if reason.subject == name]
    return found


def node_slack(state: State, group: int) -> int:
    """GPU milli that one more pod may be charged before a limit (or the deserved amount of fixed work) is passed; UNLIMITED = no bound."""
    tree, slack = state.ledger.tree, UNLIMITED
    for queue in tree.path[state.ledger.queue_of[group]]:
        if tree.limit[queue][0] < UNLIMITED:
            slack = min(slack, tree.limit[queue][0] - tree.allocated[queue][0])
        if not state.ledger.preemptible[group] and tree.deserved[queue][0] < UNLIMITED:
            slack = min(slack, tree.deserved[queue][0] - tree.fixed[queue][0])
    return slack


def _exceeded(
    state: State,
    group: int,
    asked: Amounts3,
    tables: tuple[list[list[int]], list[list[int]]],
    kind: tuple[Code, Action],
) -> list[Reason]:
    found: list[Reason] = []
    for queue in reversed(state.ledger.tree.path[state.ledger.queue_of[group]]):
        for axis, resource in enumerate(K_NAMES):
            held, bound = tables[0][queue][axis] + asked[axis], tables[1][queue][axis]
            if asked[axis] and bound < UNLIMITED and held > bound:
                found.append(
                    Reason(
                        code=kind[0],
                        action=kind[1],
                        subject=state.snapshot.queues[queue].name,
                        resource=resource,
                        wanted=held,
                        available=bound,
                    )
                )
    return found
