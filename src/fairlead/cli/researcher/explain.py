"""`fairlead explain`: why a workload waits, and the smallest changes that would start it."""

from __future__ import annotations

from typing import Any

import click

from fairlead.cli import output
from fairlead.cli.lookup import PROJECT, workload_of
from fairlead.cli.rest import Rest

_WAITING = ("waiting", "held", "evicted", "skipped")
"""Answers of the scheduler that come with reasons; any other is one sentence."""


@click.command()
@click.argument("name")
@PROJECT
@output.OUTPUT
def explain(name: str, project: str | None, **more: Any) -> None:
    """Why a workload waits, and what would start it; each change was tried with the scheduler's own code.

    \b
    Example:
      fairlead explain big -p vision
    """
    rest = Rest()
    row = workload_of(rest, name, project)
    found = rest.get(f"/api/fairlead/v1/workloads/{row['id']}/explain")
    output.show(found, more["output"], lambda: _table(row, found), names=[name])


def _table(row: Any, found: Any) -> None:
    if found["result"] in _WAITING:
        _waits(row, found)
    elif found["result"] == "bound":
        click.echo(f"{row['name']} has its place: {', '.join(row['nodes']) or 'it is being started'}.")
    else:
        click.echo(found["message"] or f"{row['name']} runs on {', '.join(row['nodes']) or 'its node'}.")
    output.tell_simulated([found])


def _waits(row: Any, found: Any) -> None:
    click.echo(f"{row['name']} of {row['projectName']} waits.")
    if found.get("place"):
        click.echo(f"Place in line: {found['place']} of {found['waiting']}.")
    click.echo("\nBecause")
    for reason in found["reasons"]:
        click.echo(f"  {reason['message']} [{reason['code']}]")
    click.echo("\nWhat would start it (each tried on the present state)")
    for fix in found["fixes"]:
        click.echo(f"  {fix['text']}")
        if fix["victims"]:
            click.echo(f"    stops: {', '.join(fix['victims'])}")
    if not found["fixes"]:
        click.echo("  No single change was found; it may need several, or others to end.")
