"""What objects of all kinds have in common, as it is written."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.objects import kai
from fairlead.objects.meta import Condition


@pytest.mark.parametrize("status", ["True", "False", "Unknown"])
def test_a_condition_is_written_with_its_status_whatever_it_is(status: str) -> None:
    assert msgspec.to_builtins(Condition(type="Ready", status=status)) == {"type": "Ready", "status": status}
    for kind in (kai.PodGroupCondition, kai.SchedulingCondition):
        assert msgspec.to_builtins(kind(type="Ready", status=status)) == {"type": "Ready", "status": status}
