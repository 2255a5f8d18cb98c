"""What commands print: a table for people, or JSON, YAML or names for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from fairlead.wire.amounts import number

F = TypeVar("F", bound=Callable[..., Any])

OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml", "name"]),
    default="table",
    show_default=True,
    help="Form of the output.",
)

STYLES = {
    "Pending": "yellow",
    "Degraded": "red",
    "Failed": "red",
    "Running": "green",
}


def show(rows: Any, output: str, table: Callable[[], None], *, names: Sequence[str] = ()) -> None:
    """Prints `rows` in the form asked for; `table` draws the one for people."""
    if output == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif output == "yaml":
        click.echo(as_yaml(rows), nl=False)
    elif output == "name":
        for name in names:
            click.echo(name)
    else:
        table()


def as_yaml(value: Any) -> str:
    """The value as YAML; a text of several lines on lines of its own."""
    from io import StringIO

    from ruamel.yaml import YAML
    from ruamel.yaml.representer import SafeRepresenter

    class Lines(SafeRepresenter):
        def represent_str(self, data: str) -> Any:
            return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)

    Lines.add_representer(str, Lines.represent_str)
    writer = YAML(typ="safe")
    writer.Representer = Lines
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # order of keys is kept
    out = StringIO()
    writer.dump(value, out)
    return out.getvalue()


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str] = (),
    spare: Sequence[str] = (),
) -> None:
    """A plain table: a heading, one line a row, no frame. Columns named in `right` hold figures.

    A terminal too narrow for it loses columns named in `spare`, the first ones first, then the end of what the widest other column says.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else _NO_TERMINAL, soft_wrap=False, highlight=False)
    columns, rows = _fitted(columns, rows, spare, console.width)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    console.print(table)


_NO_TERMINAL = 10_000
"""Width where no terminal shows it: nothing is left out of what a program reads."""
_GAP = 3
_LEAST = 24
"""Characters the widest column keeps while there are others to leave out; more where a word of it is longer."""


def _fitted(
    columns: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[str], width: int
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """The columns and rows that fit into `width` characters."""
    widths = [max(map(len, (column, *(row[i] for row in rows)))) for i, column in enumerate(columns)]
    stays = [i for i, column in enumerate(columns) if i and column not in spare]
    widest = max(stays, key=widths.__getitem__, default=0)
    words = (word for row in rows for word in row[widest].split())
    wanted = min(widths[widest], max(_LEAST, *map(len, words), 0))
    keep = list(range(len(columns)))

    def room() -> int:
        return width - sum(widths[i] + _GAP for i in keep if i != widest)

    for i in (columns.index(name) for name in spare):
        if room() < wanted:
            keep.remove(i)
    least = max(room(), len(columns[widest]))
    return [columns[i] for i in keep], [
        [_shortened(row[i], least) if i == widest else row[i] for i in keep] for row in rows
    ]


def _shortened(text: str, width: int) -> str:
    """The text, or as many whole words of it as fit, with an ellipsis."""
    if len(text) <= width:
        return text
    words = text[:width].rpartition(" ")[0] or text[: width - 1]
    return words.rstrip(" ,.;:") + "…"


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Name and value, one line each, values in one column; empty values are left out."""
    width = max((len(name) for name, value in facts if value), default=0)
    for name, value in facts:
        if value:
            first, *more = value.split("\n")
            click.echo(f"{name:<{width}}  {first}")
            for line in more:
                click.echo(f"{'':<{width}}  {line}")


def seconds_since(when: str) -> float:
    """Seconds since an RFC 3339 time; 0 where it is still to come."""
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(when)).total_seconds())


def ago(when: str | None) -> str:
    """How long ago an RFC 3339 time was: 45 s, 12 min, 3 h, 2 d."""
    if not when:
        return "-"
    seconds = seconds_since(when)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def gpus(amount: float) -> str:
    """GPUs as people write them: 2, 0.5, no limit."""
    return "no limit" if amount < 0 else number(amount)


def tell_simulated(rows: Sequence[Any]) -> None:
    """Below a table about GPUs: that they do not exist, where they do not."""
    if any(row["simulated"] for row in rows):
        click.echo("GPUs are simulated.")


def note(text: str) -> None:
    """A remark on standard error, so that output stays clean."""
    click.echo(text, err=True)
