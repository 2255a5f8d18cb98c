"""`fairlead suspend`, `resume` and `delete`: one line for each workload."""

from __future__ import annotations

from typing import Any

import click

from fairlead.cli.exits import Exit, exit_of
from fairlead.cli.lookup import PROJECT, workload_of
from fairlead.cli.rest import Rest
from fairlead.cli.words import command
from fairlead.runtime.errors import FairleadError

NAMES = click.argument("names", nargs=-1, required=True)


@click.command()
@NAMES
@PROJECT
def suspend(names: tuple[str, ...], project: str | None) -> int:
    """Stop workloads and keep them under their names.

    \b
    Example:
      fairlead suspend nb-1 nb-2 -p vision
    """
    return _each(
        names,
        project,
        "suspend",
        "suspended; resume it with `{resume}`, read its log with `{logs}`",
    )


@click.command()
@NAMES
@PROJECT
def resume(names: tuple[str, ...], project: str | None) -> int:
    """Start suspended workloads again.

    \b
    Example:
      fairlead resume nb-1 -p vision
    """
    return _each(names, project, "resume", "resumed; the log of the run before: `{logs} --previous`")


@click.command()
@NAMES
@PROJECT
def delete(names: tuple[str, ...], project: str | None) -> int:
    """Remove workloads and what they run.

    \b
    Example:
      fairlead delete hello -p demo
    """
    return _each(names, project, "delete", "deleted")


def _already(row: Any, verb: str) -> str:
    """What makes the verb needless for that workload; empty where it is needed."""
    if row["phase"] in ("Completed", "Failed"):
        return f"has ended ({row['phase'].lower()})"
    if row["suspended"] == (verb == "suspend"):
        return "is suspended already" if row["suspended"] else "was not suspended"
    return ""


def _each(names: tuple[str, ...], project: str | None, verb: str, done: str) -> int:
    rest, worst = Rest(), int(Exit.DONE)
    for name in names:
        try:
            row = workload_of(rest, name, project)
            if verb == "delete":
                rest.delete(f"/api/v1/workloads/any/{row['id']}")
            elif already := _already(row, verb):
                click.echo(f"{name} {already}; nothing was changed")
                continue
            else:
                rest.post(f"/api/v1/workloads/any/{row['id']}/{verb}")
            said = {word: command(f"{word} {name}") for word in ("resume", "logs")}
            click.echo(f"{name} {done.format(**said)}")
        except FairleadError as error:
            worst = exit_of(error)
    return worst
