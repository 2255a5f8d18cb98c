"""`fairlead nodepool`."""

from __future__ import annotations

from typing import Any

import click

from fairlead.cli import output
from fairlead.cli.lookup import cluster_of, full_names, unit_of
from fairlead.cli.options import named
from fairlead.cli.rest import Rest
from fairlead.cli.rows import plain
from fairlead.runtime.errors import Invalid

_PATH = "/api/v1/node-pools"


@click.group()
def nodepool() -> None:
    """Node pools: nodes with one label value, scheduled by themselves.

    \b
    Example:
      fairlead nodepool create h100 --label nvidia.com/gpu.product=H100
    """


@nodepool.command(name="list")
@output.OUTPUT
def list_(**more: Any) -> None:
    """All node pools."""
    rest = Rest()
    rows = rest.get(_PATH)["nodepools"]
    names = full_names(rest, rows)
    lines = [
        [name, r["phase"], f"{r['labelKey']}={r['labelValue']}" if r["labelKey"] else "all others"]
        for name, r in zip(names, rows, strict=True)
    ]
    output.show(
        plain(rows),
        more["output"],
        lambda: output.print_table(["NAME", "PHASE", "NODES"], lines),
        names=names,
    )


@nodepool.command()
@click.argument("name")
@click.option("--label", required=True, metavar="KEY=VALUE", help="Nodes with this label belong to it.")
@click.option("--cluster", default=None, help="Cluster, where there are several.")
def create(name: str, label: str, cluster: str | None) -> None:
    """Make a node pool."""
    key, _, value = label.partition("=")
    if not key or not value:
        raise Invalid(f"--label {label!r} is no label with a value.", hint="Write KEY=VALUE.")
    rest = Rest()
    body = {"name": name, "labelKey": key, "labelValue": value, "clusterId": cluster_of(rest, cluster)["uuid"]}
    with named({"name": "NAME", "labelKey": "--label", "labelValue": "--label", "clusterId": "--cluster"}):
        rest.post(_PATH, body)
    click.echo(f"Node pool {name} made.")


@nodepool.command()
@click.argument("name")
def delete(name: str) -> None:
    """Remove a node pool; its nodes fall to the default one."""
    rest = Rest()
    rest.delete(f"{_PATH}/{unit_of(rest, rest.get(_PATH)['nodepools'], name, 'node pool')['id']}")
    click.echo(f"Node pool {name} removed.")
