"""`fairlead node` and `fairlead cluster`."""

from __future__ import annotations

from typing import Any

import click

from fairlead.cli import output
from fairlead.cli.rest import Rest
from fairlead.cli.rows import plain
from fairlead.wire.amounts import gib, number


@click.group()
def node() -> None:
    """Nodes and their GPUs.

    \b
    Example:
      fairlead node list
    """


@node.command(name="list")
@output.OUTPUT
def list_nodes(**more: Any) -> None:
    """All nodes: GPUs busy and free, and who holds them."""
    rows = Rest().get("/api/v1/nodes", limit=10_000)["nodes"]

    def table() -> None:
        lines = [
            [
                r["name"],
                r["status"],
                r["nodePool"],
                f"{number(sum(g['used_milli'] for g in r['gpus']) / 1000)}/{len(r['gpus'])}",
                f"{r['gpuInfo']['gpuType']}{' (simulated)' if r['simulated'] else ''}" if r["gpuInfo"] else "-",
                f"{number(r['cpuUsedMilli'] / 1000)}/{number(r['cpuMilli'] / 1000)}",
                f"{gib(r['memoryUsedBytes']).removesuffix(' GiB')}/{gib(r['memoryBytes'])}",
                r["runtime"].partition(":")[0],
            ]
            for r in rows
        ]
        columns = ["NAME", "STATUS", "POOL", "GPUS BUSY", "GPU MODEL", "CPUS", "MEMORY", "RUNTIME"]
        output.print_table(
            columns, lines, right=("GPUS BUSY", "CPUS", "MEMORY"), spare=("RUNTIME", "MEMORY", "CPUS", "POOL")
        )

    output.show(plain(rows), more["output"], table, names=[r["name"] for r in rows])


@click.group()
def cluster() -> None:
    """Clusters and their connection.

    \b
    Example:
      fairlead cluster list
    """


@cluster.command(name="list")
@output.OUTPUT
def list_clusters(**more: Any) -> None:
    """All clusters."""
    rows = Rest().get("/api/v1/clusters")
    lines = [
        [r["name"], r["status"]["state"], r["version"] or "-", output.ago(r["lastLiveness"]), r["uuid"]] for r in rows
    ]
    output.show(
        plain(rows),
        more["output"],
        lambda: output.print_table(["NAME", "STATE", "VERSION", "HEARD", "ID"], lines, spare=("VERSION", "HEARD")),
        names=[r["name"] for r in rows],
    )
