"""Evict stale: ends gangs that have been below their minimum for longer than the grace time."""

from __future__ import annotations

import numpy as np

from fairlead.model import Action, PodStatus
from fairlead.scheduling.ledger import group_pods
from fairlead.scheduling.rules.moments import stale_at
from fairlead.scheduling.rules.state import State
from fairlead.scheduling.rules.turns import is_stale


def evict_stale(state: State) -> None:
    """Evicts every active pod of each stale gang; a gang seen stale for the first time is stale since now."""
    if state.policy.stale_grace < 0:
        return
    ledger = state.ledger
    status = state.snapshot.p.status
    held = (status >= PodStatus.HELD) & (status <= PodStatus.RELEASING)
    for group in np.unique(state.snapshot.p.group[held]).tolist():
        since = state.snapshot.groups[group].stale_since
        if since is None and state.policy.stale_grace:
            continue
        state.current = group
        if state.now >= stale_at(state.now if since is None else since, state.policy) and is_stale(ledger, group):
            for pod in group_pods(ledger, group):
                if ledger.is_active(pod):
                    ledger.evict(pod)
                    state.because.setdefault(pod, (Action.EVICT_STALE, -1))
            state.changed.add(group)
    state.current = -1
