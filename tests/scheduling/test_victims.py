"""What is kept up to date while an action goes on equals what would be made anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from tests.strategies import clusters, policies

from fairlead.model import Action, Policy, Snapshot
from fairlead.scheduling.actions import take
from fairlead.scheduling.actions.victims import Victims
from fairlead.scheduling.cycle import decide
from fairlead.scheduling.rules.order import Leaf, Line
from fairlead.scheduling.rules.state import State
from fairlead.scheduling.rules.turns import amounts, pods_wanted

SETTINGS = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


class Checked(Victims):
    """Victims that compare themselves, and what the state remembers, after every success."""

    compared = 0

    def settled(self, groups: set[int]) -> None:
        super().settled(groups)
        state, anew = self._state, Victims(self._state, self._action)
        if self._lines is not None:
            assert {queue: line for queue, line in self._lines.items() if line} == anew._sorted()
        for group in {entry[1] for line in state.waiting.values() for entry in line}:
            assert np.array_equal(self.freed(group), anew.freed(group))
        _compare_waiting(state)
        Checked.compared += 1


def _compare_waiting(state: State) -> None:
    for line in state.waiting.values():
        for _, group in line:
            assert state.is_pending(group)
            assert state.ask(group) == amounts(state.wish, state.ledger, pods_wanted(state.ledger, group, True))
    line = Line(state, {queue: Leaf(found, lambda _: True) for queue, found in state.waiting.items()})
    line.next_leaf()
    assert {queue: line.best[queue] for queue in state.front if queue in line.best} == {
        queue: best for queue, best in state.front.items() if queue in line.best
    }


@pytest.fixture(autouse=True)
def checked(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(take, "Victims", Checked)
    Checked.compared = 0
    yield
    assert Checked.compared > 20, "no search succeeded: nothing was compared"


@SETTINGS
@given(clusters(), policies())
def test_the_order_of_victims_and_of_those_who_wait_is_what_it_would_be_made_anew(
    snapshot: Snapshot, policy: Policy
) -> None:
    decide(snapshot, policy, 100.0)


@SETTINGS
@given(clusters())
def test_it_is_so_when_one_action_follows_another_on_the_same_gangs(snapshot: Snapshot) -> None:
    decide(snapshot, Policy(actions=(Action.RECLAIM, Action.PREEMPT, Action.CONSOLIDATE)), 100.0)
