"""`fairlead snapshot`: what a scheduler decides on, as a scenario file."""

from __future__ import annotations

import io
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairlead.cli.support.command import kubeconfig_of, reached, write
from fairlead.runtime.errors import Invalid, NotFound

if TYPE_CHECKING:
    from fairlead.model import Snapshot
    from fairlead.simulator.save import Written


@click.group()
def snapshot() -> None:
    """What a scheduler decides on, as a file that `fairlead scenario run` plays."""


@snapshot.command()
@click.option("-f", "--file", type=click.Path(path_type=Path, dir_okay=False), help="Where to; printed if left out.")
@click.option(
    "--kubeconfig",
    default="",
    help="Kubeconfig of the cluster; else the `fairlead up` of this machine, else kubectl's.",
)
@click.option("--namespace", default="fairlead", show_default=True, help="Namespace of the product.")
@click.option("--pool", default="", help="Node pool; may be left out where there is one.")
@click.option("--anonymise", is_flag=True, help="Hide names of nodes, namespaces, queues, workloads and pods.")
def save(**given: Any) -> None:
    """Write nodes, queues, and what runs and waits, at this moment, as one scenario file.

    What the format has no word for is said in comments at the top. Nothing in the cluster is changed.

    \b
    Example:
      fairlead snapshot save -f now.yaml
      fairlead scenario run now.yaml
      fairlead snapshot save --kubeconfig ~/.kube/prod --anonymise -f report.yaml
    """
    import asyncio

    found, now = asyncio.run(_read(given["kubeconfig"], given["namespace"]))
    text = _text(_chosen(found, given["pool"]), now, anonymise=given["anonymise"])
    if given["file"] is None:
        click.echo(text, nl=False)
        return
    write(given["file"], text.encode())
    click.echo(f"The snapshot is in {given['file']}. Play it: fairlead scenario run {given['file']}", file=sys.stderr)


async def _read(kubeconfig: str, namespace: str) -> tuple[dict[str, Snapshot], float]:
    """(node pool -> its snapshot, when it was read)"""
    from fairlead.cli.support.snapshot import snapshots
    from fairlead.objects import kinds

    async with reached(kubeconfig_of(kubeconfig)) as client:
        settings = await client.find(kinds.CONFIG_MAP, "fairlead-settings", namespace)
        text = settings.data.get("settings.yaml", "") if settings is not None else ""
        return await snapshots(client, text), client.clock.now()


def _chosen(found: dict[str, Snapshot], pool: str) -> Snapshot:
    """The snapshot of the pool that was meant. Raises: NotFound, Invalid."""
    if pool and pool not in found:
        raise NotFound(f"There is no node pool {pool}; there are: {', '.join(sorted(found))}.")
    if not pool and len(found) > 1:
        raise Invalid(
            f"A file is one node pool, and there are {', '.join(sorted(found))}.", hint="Name one: --pool NAME"
        )
    return found[pool] if pool else next(iter(found.values()))


def _text(found: Snapshot, now: float, *, anonymise: bool) -> str:
    from ruamel.yaml import YAML

    from fairlead.cli.support.snapshot import as_scenario

    made = as_scenario(found, now)
    document = _hidden(found, made) if anonymise else made.document
    out = io.StringIO()
    out.writelines(f"# Left out: {line}\n" for line in made.left_out)
    yaml = YAML(pure=True)
    yaml.width, yaml.default_flow_style = 140, None
    yaml.dump(document, out)
    return out.getvalue()


def _hidden(found: Snapshot, made: Written) -> Any:
    from fairlead.cli.support.names import Names

    names = Names(secrets.token_hex(16))
    for node in found.nodes:
        names.note("node", str(node.name))
    for queue in found.queues:
        names.note("queue", str(queue.name))
    for group in found.groups:
        names.note("namespace", group.namespace)
    for line in (*made.document.get("running", ()), *made.document.get("pending", ())):
        names.note("workload", line["gang"])
    for pod in found.pods:
        names.note("pod", pod.name)
    return names.value(made.document)
