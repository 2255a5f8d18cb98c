"""Claims: DRA claims that several pods name. The first pod that gets a place allocates the devices; the others follow it to its node."""

from __future__ import annotations

import numpy as np

from fairlead.model import Claim, PodStatus
from fairlead.model.arrays import Bit
from fairlead.model.charges import is_gpu_class
from fairlead.scheduling.rules.state import State

MOST_USERS = 256
"""Pods that one claim serves at most."""


def claims_allow(state: State, group: int, pod: int) -> bool:
    """Whether the pod may use the claims it names: a shared GPU claim serves only the queue it is labelled for, and 256 pods."""
    queue = state.snapshot.groups[group].queue
    for claim in _shared(state, pod):
        if is_gpu_class(claim.device_class) and claim.queue != queue:
            return False
        if claim.shared_with + _users(state, claim.name) >= MOST_USERS:
            return False
    return True


def claim_mask(state: State, pod: int) -> Bit | None:
    """[N] nodes where the pod's shared claims are, or have enough devices left; None = it names none."""
    mask: Bit | None = None
    ledger, n = state.ledger, state.snapshot.n
    for claim in _shared(state, pod):
        node = claim_node(state, claim)
        if node >= 0:
            here = np.arange(len(state.snapshot.nodes)) == node
        else:
            column = (
                n.resources.index(f"dra:{claim.device_class}") if f"dra:{claim.device_class}" in n.resources else -1
            )
            free = (
                ledger.idle[:, column] + ledger.releasing[:, column]
                if column >= 0
                else np.zeros(len(n.rank), dtype=np.int64)
            )
            here = free >= claim.count
        mask = here if mask is None else mask & here
    return mask


def claim_node(state: State, claim: Claim) -> int:
    """Node row a claim is allocated on, now or by this decision; -1 = nowhere."""
    for user in state.claim_users.get(claim.name, ()):
        if state.ledger.is_active(user):
            return state.ledger.node_of(user)
    if not claim.node:
        return -1
    outside = claim.shared_with > 0
    own = any(state.ledger.base_status[user] == PodStatus.RELEASING for user in state.claim_users.get(claim.name, ()))
    return state.placer.node_row.get(claim.node, -1) if outside or own or not state.claim_users.get(claim.name) else -1


def _users(state: State, name: str) -> int:
    return sum(state.ledger.is_active(user) for user in state.claim_users.get(name, ()))


def _shared(state: State, pod: int) -> list[Claim]:
    return [claim for claim in state.snapshot.pods[pod].claims if claim.shared]
