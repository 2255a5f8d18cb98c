"""Every file of this folder holds: one rule, one file, one test."""

from pathlib import Path

import pytest

from fairlead.simulator.check import judge
from fairlead.simulator.scenario import load

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*/*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_scenario_holds(file: Path) -> None:
    failures, error, _ = judge(load(file))
    assert error is None
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_scenario_is_short_and_expects_something(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 25
    assert "\nexpect:" in file.read_text(encoding="utf-8")
