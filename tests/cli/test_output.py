"""Tables on narrow terminals."""

from __future__ import annotations

import sys

import click
import pytest
from ruamel.yaml import YAML

from fairlead.cli import output

_COLUMNS = ("NAME", "PHASE", "NOW", "PROJECT", "TYPE", "GPUS", "NODE", "AGE")
_SAID = "Waiting for 4 GPUs: no node has room for all pods of the gang"
_ROW = ("training-large", "Pending", _SAID, "vision-research", "Distributed", "0/4", "-", "12 min")


def _table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int, *, is_terminal: bool = True
) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    output.print_table(_COLUMNS, [_ROW], right=("GPUS",), spare=("TYPE", "NODE", "AGE", "PROJECT"))
    return click.unstyle(capsys.readouterr().out).splitlines()


@pytest.mark.parametrize("columns", [60, 80, 100, 120])
def test_a_row_stays_one_line_of_whole_words_in_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    lines = _table(monkeypatch, capsys, columns)
    assert (len(lines), max(map(len, lines)) <= columns) == (3, True)
    assert ("training-large" in lines[2], "Pending" in lines[2], "0/4" in lines[2]) == (True, True, True)
    said = lines[2][lines[2].index("Waiting") : lines[2].index("…")]
    assert (_SAID + " ").startswith(said + " ")


def test_yaml_has_a_text_of_several_lines_on_lines_of_its_own_and_is_read_as_the_same() -> None:
    value = {"config": "a: 1\nb:\n  c: x\n", "ends": "one\ntwo", "spaces": " x \n y", "number": "1", "plain": "a: b"}
    text = output.as_yaml(value)
    assert text.startswith("config: |\n  a: 1\n  b:\n    c: x\n")
    assert YAML(typ="safe").load(text) == value


def test_the_least_important_columns_go_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _table(monkeypatch, capsys, 150)[0].split() == list(_COLUMNS)
    assert _table(monkeypatch, capsys, 100)[0].split() == ["NAME", "PHASE", "NOW", "PROJECT", "GPUS", "NODE", "AGE"]
    assert _table(monkeypatch, capsys, 60)[0].split() == ["NAME", "PHASE", "NOW", "GPUS"]


def test_a_long_word_is_kept_whole_while_there_are_columns_to_leave_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output.print_table(("NAME", "VERSION", "ID"), [("this-machine", "0.1.0", "9" * 34)], spare=("VERSION",))
    assert click.unstyle(capsys.readouterr().out).splitlines()[2].split() == ["this-machine", "9" * 34]


def test_what_no_terminal_shows_is_whole(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _SAID in _table(monkeypatch, capsys, 40, is_terminal=False)[2]
