"""`fairlead simulate`: the scheduling core on public traces, in virtual time."""

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from fairlead.cli.exits import Exit

if TYPE_CHECKING:
    from fairlead.simulator.inflation import Outcome


@click.group()
def simulate() -> None:
    """The scheduling core on public traces, in virtual time."""


@simulate.command()
@click.option(
    "--nodes", required=True, metavar="CSV", type=click.Path(), help="Node list: sn, cpu_milli, memory_mib, gpu, model."
)
@click.option(
    "--pods",
    required=True,
    metavar="CSV",
    type=click.Path(),
    help="Pod list: name, cpu_milli, memory_mib, num_gpu, gpu_milli.",
)
@click.option("--seed", default=42, show_default=True, help="Order of arrivals; the published runs use 42 to 51.")
@click.option(
    "--inflate",
    default=1.3,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="GPU request to reach, x capacity.",
)
@click.option(
    "--moves",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="Pods that may be moved for one refused arrival.",
)
@click.option("--placement", type=click.Choice(["fit", "dense", "binpack", "spread"]), default="fit", show_default=True)
@click.option(
    "-o", "--output", type=click.Choice(["table", "json", "yaml", "name"]), default="table", show_default=True
)
def openb(output: str, **options: Any) -> None:
    """The inflation experiment: pods arrive one by one until they ask for more GPUs than there are; each is tried once."""
    from fairlead.simulator.inflation import Setup, inflate
    from fairlead.simulator.openb import TraceError, read_nodes, read_pods

    begin = time.perf_counter()
    try:
        nodes, pods = read_nodes(options.pop("nodes")), read_pods(options.pop("pods"))
    except TraceError as error:
        click.echo(f"{error}", err=True)
        sys.exit(Exit.NOT_FOUND if "cannot be read" in str(error) else Exit.USAGE)
    outcome = inflate(nodes, pods, Setup(**options), _progress)
    if sys.stderr.isatty():
        click.echo("\r" + " " * 40 + "\r", nl=False, err=True)
    _print(outcome, round(time.perf_counter() - begin, 3), output)


def _progress(done: int, of: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{done} of {of} arrivals", nl=False, err=True)


def _print(outcome: "Outcome", seconds: float, output: str) -> None:
    data: dict[str, Any] = {
        "seed": outcome.seed,
        "pods": outcome.pods,
        "placed": outcome.placed,
        "allocated_pct": outcome.allocated_pct,
        "frag_pct": outcome.frag_pct,
        "moves": outcome.moves,
        "gpu_seconds_moved": outcome.gpu_seconds_moved,
        "seconds": seconds,
    }
    if output == "json":
        click.echo(json.dumps(data))
    elif output == "yaml":
        import yaml

        click.echo(yaml.safe_dump(data, sort_keys=False).rstrip("\n"))
    elif output == "name":
        click.echo(f"openb/{outcome.seed}")
    else:
        click.echo(
            f"{outcome.placed} of {outcome.pods} pods placed, seed {outcome.seed}, {outcome.moves} moves, {seconds:.1f} s"
        )
        click.echo(f"{'arrived %':>9}  {'allocated %':>11}  {'fragmented %':>12}")
        for mark, allocated in outcome.allocated_pct.items():
            click.echo(f"{mark:>9}  {allocated:>11.2f}  {outcome.frag_pct[mark]:>12.2f}")
