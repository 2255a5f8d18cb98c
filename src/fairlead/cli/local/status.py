"""`fairlead status`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fairlead.cli import output
from fairlead.cli.rest import Rest


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=None, help="Folder of the data; $FAIRLEAD_DATA.")
@output.OUTPUT
def status(data: Path | None, **more: Any) -> None:
    """State of the control plane and its clusters.

    \b
    Example:
      fairlead status -o json
    """
    rest = Rest(data.expanduser().absolute() if data else None)
    found = {"url": rest.url, **rest.get("/api/fairlead/v1/status")}

    def table() -> None:
        output.print_facts([("Server", rest.url), ("Version", found["version"]), ("Signed in as", found["user"])])
        click.echo()
        lines = [
            [c["name"], c["state"], str(c["nodes"]), f"{c['gpus']}{' (simulated)' if c['simulated'] else ''}"]
            for c in found["clusters"]
        ]
        output.print_table(["CLUSTER", "STATE", "NODES", "GPUS"], lines, right=("NODES",))

    output.show(found, more["output"], table, names=[c["name"] for c in found["clusters"]])
