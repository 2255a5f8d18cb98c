"""`fairlead down`."""

from __future__ import annotations

from pathlib import Path

import click

from fairlead.cli.local.process import stop
from fairlead.cli.rest import data_folder


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=None, help="Folder of the data; $FAIRLEAD_DATA.")
def down(data: Path | None) -> None:
    """Stop the Fairlead on this machine. Data stays, and running processes go on until it is up again.

    \b
    Example:
      fairlead down
    """
    folder = (data or data_folder()).expanduser().absolute()
    click.echo(f"Stopped; data stays in {folder}." if stop(folder) else "Fairlead does not run on this machine.")
