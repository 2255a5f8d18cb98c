"""`fairlead scenario`: check scenario files against what they expect, or play one and look."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairlead.cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fairlead.simulator.check import Result

_OUTPUT = click.option(
    "-o", "--output", type=click.Choice(["table", "json", "yaml", "name"]), default="table", show_default=True
)
_PROGRESS_AFTER_SECONDS = 1.0


@click.group()
def scenario() -> None:
    """Scenario files: one YAML file = one cluster, one policy, and what must come out."""


@scenario.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@_OUTPUT
def check(paths: tuple[str, ...], output: str) -> None:
    """Check scenario files; directories are walked. Exit 1 when any does not hold or cannot be read."""
    from fairlead.simulator.check import files_under

    files = files_under(list(paths))
    if not files:
        raise click.UsageError(
            f"no scenario files (*.yaml) under {', '.join(paths)}: name a file, or a directory with some"
        )
    results = list(_checked(files))
    if output == "table":
        _print_table(results)
    elif output == "name":
        _print_lines([result.file for result in results])
    else:
        click.echo(_rendered(_summary(results), output))
    sys.exit(Exit.DONE if all(result.passed for result in results) else Exit.NO)


@scenario.command()
@click.argument("file", type=click.Path())
@click.option("--cycles", type=click.IntRange(min=1), help="Decisions to take; the file's own number if left out.")
@_OUTPUT
def run(file: str, cycles: int | None, output: str) -> None:
    """Play one scenario file and print plan, states, fair shares and reasons."""
    from fairlead.simulator.report import Impossible
    from fairlead.simulator.report import run as play
    from fairlead.simulator.scenario import Refused, load

    begin = time.perf_counter()
    try:
        loaded = load(file)
    except Refused as refused:
        click.echo(f"{refused}", err=True)
        sys.exit(Exit.NO if Path(file).exists() else Exit.NOT_FOUND)
    read = time.perf_counter()
    try:
        report = play(loaded, cycles, time.perf_counter)
    except Impossible as impossible:
        click.echo(f"{impossible}", err=True)
        sys.exit(Exit.NO)
    report["seconds"] = {"load": round(read - begin, 6), **report["seconds"]}
    if output == "table":
        _print_run(report)
    elif output == "name":
        _print_lines(list(report["state"]))
    else:
        click.echo(_rendered(report, output))


def _checked(files: list[str]) -> "Iterator[Result]":
    """Each file checked; says on stderr how far it is where that takes long and somebody watches."""
    from fairlead.simulator.check import check as check_file

    begin = last = time.perf_counter()
    for number, file in enumerate(files, 1):
        yield check_file(file, time.perf_counter)
        now = time.perf_counter()
        if now - begin > _PROGRESS_AFTER_SECONDS and now - last > _PROGRESS_AFTER_SECONDS and sys.stderr.isatty():
            click.echo(f"\r{number} of {len(files)} files", nl=False, err=True)
            last = now
    if last != begin:
        click.echo("\r" + " " * 40 + "\r", nl=False, err=True)


def _summary(results: "list[Result]") -> dict[str, Any]:
    return {
        "files": len(results),
        "passed": sum(result.passed for result in results),
        "failed": sum(not result.passed and result.error is None for result in results),
        "errors": sum(result.error is not None for result in results),
        "results": [
            {
                "file": result.file,
                "title": result.title,
                "tags": list(result.tags),
                "passed": result.passed,
                "failures": list(result.failures),
                "error": result.error,
                "seconds": {"load": round(result.seconds.load, 6), "decide": round(result.seconds.decide, 6)},
            }
            for result in results
        ],
    }


def _print_table(results: "list[Result]") -> None:
    """What did not hold, then one line of counts; a passed file is one line only where it is the only one."""
    for result in results:
        if result.passed and len(results) > 1:
            continue
        verdict, colour = ("ok", "green") if result.passed else ("error", "red") if result.error else ("FAILED", "red")
        click.echo(f"{click.style(verdict, fg=colour)}  {result.file}: {result.title}".rstrip(": "))
        for text in (result.error,) if result.error else result.failures:
            click.echo(f"    {text}")
    summary = _summary(results)
    parts = [f"{summary['passed']} of {summary['files']} hold"]
    parts += [
        f"{summary[key]} {word}" for key, word in (("failed", "failed"), ("errors", "with errors")) if summary[key]
    ]
    seconds = sum(result.seconds.load + result.seconds.decide for result in results)
    click.echo(f"{', '.join(parts)}, {seconds:.2f} s")


def _print_run(report: dict[str, Any]) -> None:
    click.echo(f"{report['title']} ({report['cycles']} cycles)")
    _section("plan of the last cycle", report["plan"] or ["nothing to do"])
    states = report["state"].items()
    shown = [f"{name}: {', '.join(f'{n} {text}' if n > 1 else text for text, n in by.items())}" for name, by in states]
    _section("state", shown[:100] + ([f"... and {len(shown) - 100} gangs more"] if len(shown) > 100 else []))
    shares = report["fair_share"].items()
    _section("fair share", [f"{name}: {share['gpu']:g} GPUs, {share['cpu']:g} cores" for name, share in shares])
    _section("waiting because", [f"{name}: {r['message']}" for name, all_ in report["reasons"].items() for r in all_])
    click.echo(f"read in {report['seconds']['load']:.3f} s, decided in {report['seconds']['decide']:.3f} s")


def _section(title: str, lines: list[str]) -> None:
    if lines:
        click.echo(f"{click.style(title, bold=True)}")
        _print_lines([f"  {line}" for line in lines])


def _print_lines(lines: list[str]) -> None:
    for line in lines:
        click.echo(line)


def _rendered(data: dict[str, Any], output: str) -> str:
    if output == "json":
        return json.dumps(data, ensure_ascii=False)
    import yaml

    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120).rstrip("\n")
