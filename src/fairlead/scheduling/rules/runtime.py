"""Min runtime: how long after its start a gang may not be reclaimed or preempted; an elastic one only keeps its minimum meanwhile."""

from __future__ import annotations

from fairlead.model import Action
from fairlead.scheduling.rules.state import State
from fairlead.scheduling.rules.turns import ABOVE, elastic_state


def is_protected(state: State, victim: int, taker: int, action: Action) -> bool:
    """Whether the victim still runs within its protected time against this taker."""
    started = state.snapshot.groups[victim].started
    if started is None or action not in (Action.RECLAIM, Action.PREEMPT):
        return False
    path = state.ledger.tree.path[state.ledger.queue_of[victim]]
    if action == Action.PREEMPT:
        least = _first(state, path, "preempt_min_runtime", state.policy.preempt_min_runtime)
    else:
        least = _first(
            state, _reclaim_path(state, path, taker), "reclaim_min_runtime", state.policy.reclaim_min_runtime
        )
    return state.now < started + least


def is_runtime_kept(state: State) -> bool:
    """Whether anybody is protected from being reclaimed at all."""
    kept = (queue.reclaim_min_runtime for queue in state.snapshot.queues)
    return state.policy.reclaim_min_runtime > 0 or any(kept)


def may_be_victim(state: State, victim: int, taker: int, action: Action) -> bool:
    """A protected gang is no victim unless it has pods above its minimum to give."""
    return not is_protected(state, victim, taker, action) or elastic_state(state.ledger, victim) == ABOVE


def _reclaim_path(state: State, path: tuple[int, ...], taker: int) -> tuple[int, ...]:
    """Where the value is looked up: from the victim's leaf, or from the child of the lowest common ancestor on the victim's side."""
    if not state.policy.reclaim_runtime_at_lca:
        return path
    other = set(state.ledger.tree.path[state.ledger.queue_of[taker]])
    shared = [at for at, queue in enumerate(path) if queue in other]
    return path[(shared[0] if shared else len(path)) - 1 :] if path else path


def _first(state: State, path: tuple[int, ...], name: str, default: float) -> float:
    for queue in path:
        value: float | None = getattr(state.snapshot.queues[queue], name)
        if value is not None:
            return value
    return default
