"""Assembly: places the pods of one turn of a group, all or nothing, through its tree of subgroups and their topology constraints."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.model import PodGroup, SubGroup
from fairlead.model.units import UNLIMITED
from fairlead.scheduling.rules.claims import claim_mask, claims_allow
from fairlead.scheduling.rules.gates import node_slack
from fairlead.scheduling.rules.state import State
from fairlead.scheduling.rules.topology import Subset, node_sets


def place_turn(state: State, group: int, pods: Sequence[int], only_pipeline: bool) -> bool:
    """Whether every one of these pods got a place; if not, the ledger is as before."""
    value = state.snapshot.groups[group]
    mark = state.ledger.checkpoint()
    for subset in node_sets(
        state, group, (value.topology, value.required_level, value.preferred_level), pods, (None, None)
    ):
        if len(value.subgroups) == 1:
            done = _place_leaf(state, group, value.subgroups[0], pods, (subset, only_pipeline))
        else:
            done = _place_children(state, group, "", pods, (subset, only_pipeline))
        if done:
            return True
        state.ledger.rollback(mark)
    return False


def _place_children(state: State, group: int, parent: str, pods: Sequence[int], how: tuple[Subset, bool]) -> bool:
    """Child sets first, then leaves, each by name; leaves in the order of the turn."""
    value = state.snapshot.groups[group]
    parents = {sub.parent for sub in value.subgroups}
    below = sorted(
        (sub for sub in value.subgroups if sub.parent == parent and sub.name != parent), key=lambda sub: sub.name
    )
    sets = [sub for sub in below if sub.name in parents]
    leaves = [sub for sub in below if sub.name not in parents]
    turn = [state.snapshot.leaves[state.ledger.leaf_of[pod]] for pod in pods]
    leaves.sort(key=lambda sub: turn.index(sub.name) if sub.name in turn else len(turn))
    for sub in sets:
        if not _place_set(state, group, sub, pods, how):
            return False
    return all(_place_leaf(state, group, sub, _of_leaf(state, pods, sub.name), how) for sub in leaves)


def _place_set(state: State, group: int, sub: SubGroup, pods: Sequence[int], how: tuple[Subset, bool]) -> bool:
    names = _leaves_below(state.snapshot.groups[group], sub.name)
    mine = [pod for pod in pods if state.snapshot.leaves[state.ledger.leaf_of[pod]] in names]
    mark = state.ledger.checkpoint()
    for subset in node_sets(state, group, _constraint(state, group, sub), mine, how[0]):
        if _place_children(state, group, sub.name, mine, (subset, how[1])):
            return True
        state.ledger.rollback(mark)
    return not mine


def _place_leaf(state: State, group: int, sub: SubGroup, pods: Sequence[int], how: tuple[Subset, bool]) -> bool:
    mark = state.ledger.checkpoint()
    for subset in node_sets(state, group, _constraint(state, group, sub), pods, how[0]):
        if all(_place_pod(state, group, pod, subset, how[1]) for pod in pods):
            return True
        state.ledger.rollback(mark)
    return not pods


def _place_pod(state: State, group: int, pod: int, subset: Subset, only_pipeline: bool) -> bool:
    ledger, placer = state.ledger, state.placer
    among, bonus = subset
    if not claims_allow(state, group, pod):
        return False
    for mask in (state.company.mask(pod), claim_mask(state, pod)):
        if mask is not None:
            among = mask if among is None else among & mask
    liking = state.company.liking(pod)
    slack = node_slack(state, group) if ledger.mib[ledger.klass[pod]] else UNLIMITED
    if bonus is not None:
        among = bonus >= 0 if among is None else among & (bonus >= 0)
    wishes = [wish for wish in (liking, bonus) if wish is not None]
    place = placer.choose(pod, (among, wishes), only_pipeline, slack)
    if place is None:
        return False
    ledger.place(pod, *place)
    return True


def _constraint(state: State, group: int, sub: SubGroup) -> tuple[str, str, str]:
    return sub.topology or state.snapshot.groups[group].topology, sub.required_level, sub.preferred_level


def _of_leaf(state: State, pods: Sequence[int], name: str) -> list[int]:
    return [pod for pod in pods if state.snapshot.leaves[state.ledger.leaf_of[pod]] == name]


def _leaves_below(group: PodGroup, name: str) -> set[str]:
    found, names = set(), {name}
    for _ in group.subgroups:
        names |= {sub.name for sub in group.subgroups if sub.parent in names and sub.name}
    parents = {sub.parent for sub in group.subgroups}
    found = {sub for sub in names if sub not in parents}
    return found
