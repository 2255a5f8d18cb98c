"""YAML 1.2 core schema, and what a scenario file may not hold."""

import pytest

from fairlead.simulator.scenario.faults import Unreadable
from fairlead.simulator.scenario.yaml12 import line_of, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: on", "on"),
        ("a: yes", "yes"),
        ("a: 1:30", "1:30"),
        ("a: 0o17", 15),
        ("a: 0x1f", 31),
        ("a: 017", 17),
        ("a: 1_000", "1_000"),
        ("a: 2001-01-01", "2001-01-01"),
        ("a: 1e3", 1000.0),
        ("a: .5", 0.5),
        ("a: true", True),
        ("a: 'true'", "true"),
        ("a: !!str 5", "5"),
        ("a: <<", "<<"),
    ],
)
def test_plain_scalars_mean_what_the_core_schema_says(text: str, value: object) -> None:
    found = parse(text)
    assert isinstance(found, dict)
    assert found["a"] == value
    assert type(found["a"]) is type(value)


def test_an_alias_stands_for_its_anchor() -> None:
    assert parse("a: &x {b: 1}\nc: *x") == {"a": {"b": 1}, "c": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\na: 2", 2, "written twice"),
        ("a: 1\n3: 2", 2, "must be text"),
        ("a:\nb: 1", 1, "empty value"),
        ("a: ~", 1, "empty value"),
        ("a: 1\n? [x]\n: 2", 2, "must be text"),
        ("a: [1, 2", 1, "not YAML"),
        ("", 1, "empty"),
        ("a: 1\n---\nb: 2", 2, "second document"),
        ("a: !!binary x", 1, "core schema"),
        ("a: *x", 1, "stands for nothing"),
    ],
)
def test_what_a_scenario_may_not_hold_is_refused_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(Unreadable) as refused:
        parse(text)
    assert says in refused.value.text
    assert refused.value.line == line


def test_the_line_of_a_path_is_that_of_its_key_as_deep_as_it_goes() -> None:
    text = "a: 1\nb:\n  - {x: 1}\n  - y:\n      z: 3\n"
    assert line_of(text, ("b",)) == 2
    assert line_of(text, ("b", 1, "y", "z")) == 5
    assert line_of(text, ("b", 0, "nothing")) == 3
