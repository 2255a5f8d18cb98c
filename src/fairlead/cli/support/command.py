"""`fairlead support bundle`."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairlead.cli.preflight import seconds_in
from fairlead.cli.rest import data_folder
from fairlead.runtime.errors import Invalid

if TYPE_CHECKING:
    from fairlead.cli.support.bundle import Bundle
    from fairlead.cli.support.collect import Asked
    from fairlead.kube.client import Client

_LOG_BYTES = 4 << 20
"""Of the log of `fairlead up`, from its end."""


@click.group()
def support() -> None:
    """What somebody who helps needs to see, without secrets."""


@support.command()
@click.option(
    "-f", "--file", type=click.Path(path_type=Path, dir_okay=False), help="Where to; a name with the time if left out."
)
@click.option(
    "--kubeconfig",
    default="",
    help="Kubeconfig of the cluster; else the `fairlead up` of this machine, else kubectl's.",
)
@click.option("--namespace", default="fairlead", show_default=True, help="Namespace of the product.")
@click.option("--node-namespace", default="fairlead-node", show_default=True, help="Namespace of the agents of nodes.")
@click.option(
    "--anonymise",
    is_flag=True,
    help="Hide names of nodes, namespaces, projects, users, workloads, hosts and images, and IP addresses.",
)
@click.option("--since", default="24h", show_default=True, help="How far back logs and events go.")
def bundle(**given: Any) -> None:
    """Gather facts, versions, objects, logs and the scheduler's input of a cluster into one archive.

    Secrets are never gathered, and what looks like one is cut out. What could not be had is told in its manifest.json.

    \b
    Example:
      fairlead support bundle
      fairlead support bundle --anonymise -f bundle.tar.gz
      fairlead support bundle --kubeconfig ~/.kube/prod --since 2h
    """
    import asyncio

    from fairlead.cli.support.collect import Asked

    asked = Asked(
        namespace=given["namespace"],
        node_namespace=given["node_namespace"],
        reservation_namespace=f"{given['namespace']}-reservation",
        since_seconds=seconds_in(given["since"], "--since", "24h"),
    )
    now = datetime.now(UTC)
    file: Path = given["file"] or Path(f"fairlead-support-{now:%Y%m%d-%H%M%S}.tar.gz")
    local = None if given["kubeconfig"] else _local()
    made = asyncio.run(_gathered(given["kubeconfig"] or _kubeconfig(local), asked, local, anonymise=given["anonymise"]))
    content = made.archive({"at": f"{now:%Y-%m-%dT%H:%M:%SZ}", "since_seconds": asked.since_seconds}, now.timestamp())
    write(file, content)
    for line in made.missing:
        click.echo(f"Left out: {line}", err=True)
    click.echo(f"The bundle is in {file} ({len(content) / 1e6:.1f} MB). Look into it before you send it.")


async def _gathered(kubeconfig: str, asked: Asked, local: Path | None, *, anonymise: bool) -> Bundle:
    from fairlead.cli.support.bundle import Bundle
    from fairlead.cli.support.collect import Collector
    from fairlead.cli.support.names import Names

    made = Bundle(Names(secrets.token_hex(16), asked.ours), anonymise=anonymise)
    if local is not None:
        made.add_text("logs/fairlead-up.log", _end_of(local / "fairlead.log"))
    async with reached(kubeconfig) as client:
        await Collector(client, asked, made, lambda line: click.echo(line, err=True)).run()
    return made


@asynccontextmanager
async def reached(kubeconfig: str) -> AsyncIterator[Client]:
    """A client of that cluster, with patience for large lists."""
    from random import SystemRandom

    from fairlead.kube.client import Client, Limits
    from fairlead.kube.credentials import find
    from fairlead.kube.http import HttpTransport
    from fairlead.runtime.clock import SystemClock
    from fairlead.runtime.settings import environment

    clock = SystemClock()
    async with HttpTransport(find(environment(), kubeconfig), clock, trust_env=True) as transport:
        yield Client(transport, clock, SystemRandom(), Limits(call=30, watch=60))


def _local() -> Path | None:
    """The folder of a `fairlead up` that runs here."""
    from fairlead.cli.local.process import state_of

    folder = data_folder()
    return folder if state_of(folder) is not None else None


def kubeconfig_of(given: str) -> str:
    """That which was given, else that of the `fairlead up` that runs here; empty for kubectl's."""
    return given or _kubeconfig(_local())


def _kubeconfig(local: Path | None) -> str:
    return str(local / "kubeconfig") if local is not None else ""


def _end_of(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def write(file: Path, content: bytes) -> None:
    """For nobody else to read. Raises: Invalid where it cannot be written."""
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(content)
    except OSError as error:
        raise Invalid(
            f"{file} cannot be written: {error.strerror or error}.", hint="Name another file with -f.", code="file"
        ) from error
