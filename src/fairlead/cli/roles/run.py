"""`fairlead run ROLE`."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path

import click

ROLES = ("scheduler", "controllers", "admission", "agent", "node", "server", "crds")


@click.command()
@click.argument("role", type=click.Choice(ROLES))
@click.option(
    "--settings",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    envvar="FAIRLEAD_SETTINGS",
    help="File with settings of all roles (YAML); variables such as FAIRLEAD_AGENT_URL override it.",
)
def run(role: str, settings: Path | None) -> None:
    """Run one role of a cluster, or the control plane, in this process until it is told to end.

    This is what the chart's pods do. Outside a cluster it uses the kubeconfig of kubectl. `crds` is no role but done once: it makes the
    custom resource definitions that are missing and updates ours.

    \b
    Example:
      fairlead run scheduler --settings settings.yaml
    """
    from fairlead.cli.roles.settings import RoleTree
    from fairlead.runtime.logs import set_up
    from fairlead.runtime.settings import load

    tree = load(RoleTree, file=settings)
    set_up(tree.log.level, tree.log.style)
    asyncio.run(importlib.import_module(f"fairlead.cli.roles.{role}").main(tree))
