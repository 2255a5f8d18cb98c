"""A snapshot written as a scenario file is decided on as it was: every scenario of the tests, written and read again."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from msgspec.structs import replace
from ruamel.yaml import YAML

from fairlead.simulator.play import play
from fairlead.simulator.save import written
from fairlead.simulator.scenario import Scenario, load, loads
from fairlead.simulator.world import World

FOLDER = Path(__file__).parents[1] / "scenarios"
FILES = sorted(FOLDER.rglob("*.yaml"))


def again(scenario: Scenario) -> tuple[Scenario, tuple[str, ...]]:
    """The same, by way of a snapshot and a file; and what the file could not say."""
    world = World(scenario)
    found = written(world.snapshot(), world.now, scenario.title)
    text = io.StringIO()
    YAML(typ="safe", pure=True).dump(found.document, text)
    return loads(text.getvalue()), found.left_out


def plan(scenario: Scenario) -> list[str]:
    """What is decided first."""
    world = World(scenario)
    (cycle,) = play(world, 1, 1.0, time.monotonic)
    return sorted(command.text for command in cycle.commands)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FOLDER)))
def test_what_is_written_is_decided_on_as_before(file: Path) -> None:
    scenario = load(file)
    same, left_out = again(scenario)
    kept = replace(same, policy=scenario.policy)
    if not left_out:
        assert plan(kept) == plan(scenario)
