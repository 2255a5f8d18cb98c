"""`fairlead up`: everything on this machine, in the background unless told otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from fairlead.cli import output
from fairlead.cli.amounts import Whole
from fairlead.cli.exits import Exit
from fairlead.cli.rest import data_folder
from fairlead.cli.words import command as told
from fairlead.cli.words import line

if TYPE_CHECKING:
    from fairlead.embedded.options import UpOptions


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=None, help="Folder for all data; $FAIRLEAD_DATA.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; others than this machine need TLS."
)
@click.option(
    "--port",
    default=8470,
    show_default=True,
    type=Whole(0, 65535, example="--port 8471"),
    help="Port of API and pages.",
)
@click.option("--simulate", default="", metavar="NxG", help="N simulated nodes of G GPUs instead of this machine: 4x8.")
@click.option(
    "--gpus",
    default=4,
    show_default=True,
    type=Whole(0, 64),
    help="Simulated GPUs where there are no real ones.",
)
@click.option("--runtime", default="process", show_default=True, type=click.Choice(["process", "container"]))
@click.option("--tls-cert", default="", help="Certificate file.")
@click.option("--tls-key", default="", help="Key file.")
@click.option("--foreground", is_flag=True, help="Stay in the terminal; Ctrl C stops it.")
@click.option("--sample", is_flag=True, help="Make a project, run a sample workload and follow it to its end.")
def up(data: Path | None, foreground: bool, sample: bool, **options: Any) -> int:
    """Start Fairlead on this machine: control plane, pages, Kubernetes API, scheduler, nodes.

    \b
    Examples:
      fairlead up
      fairlead up --simulate 4x8
    """
    folder = (data or data_folder()).expanduser().absolute()
    if foreground:
        return _serve(folder, options)
    from fairlead.cli.local.process import start, state_of
    from fairlead.embedded.options import UpOptions, check

    wanted = UpOptions(data=folder, **options)
    check(wanted)
    state = state_of(folder)
    if state is None:
        output.note("Starting Fairlead ...")
        state = start(folder, _arguments(options))
        output.note(f"Ready at {state['url']}.")
    else:
        output.note(f"Fairlead runs already at {state['url']}.{_unlike(wanted, state)}")
        from fairlead.cli.rest import Rest

        state["key"] = Rest(folder).post("/api/fairlead/v1/session/keys")["key"]
    try:
        return _sample(folder) if sample else Exit.DONE
    finally:
        _tell(folder, state)


def _unlike(wanted: UpOptions, state: dict[str, Any]) -> str:
    """Say which of the given options the running one does not have."""
    from fairlead.embedded.options import nodes_of

    nodes, given = nodes_of(wanted), click.get_current_context().get_parameter_source
    unlike = []
    is_default = given("port") == ParameterSource.DEFAULT
    if not is_default and wanted.port not in (0, urlsplit(state["url"]).port):
        unlike.append(f"--port {wanted.port}")
    if wanted.simulate and (len(nodes), sum(len(n.devices) for n in nodes)) != (state["nodes"], state["gpus"]):
        unlike.append(f"--simulate {wanted.simulate}")
    again = " It was started without {}: `{}` first, then start it again."
    return again.format(" and ".join(unlike), told("down", wanted.data)) if unlike else ""


def _sample(folder: Path) -> int:
    from fairlead.cli.local.sample import run_sample

    return run_sample(folder)


def _serve(folder: Path, options: dict[str, Any]) -> int:
    import asyncio
    from importlib.resources import files

    from fairlead.embedded.options import UpOptions
    from fairlead.embedded.up import serve
    from fairlead.runtime.logs import set_up

    set_up("info", "console")
    pages = Path(str(files("fairlead"))) / "server" / "web"
    asyncio.run(serve(UpOptions(data=folder, web=pages if pages.is_dir() else None, **options)))
    return Exit.DONE


def _arguments(options: dict[str, Any]) -> list[str]:
    names = ("host", "port", "simulate", "gpus", "runtime", "tls_cert", "tls_key")
    pairs = [(f"--{name.replace('_', '-')}", str(options[name])) for name in names if options[name] not in ("", None)]
    return [word for pair in pairs for word in pair]


def _tell(folder: Path, state: dict[str, Any]) -> None:
    gpus = f"{state['gpus']} {'simulated ' if state['simulated'] else ''}GPU{'' if state['gpus'] == 1 else 's'}"
    nodes = f"{state['nodes']} node{'' if state['nodes'] == 1 else 's'}"
    address = f"{state['url']}/#key={state['key']}" if state["key"] else state["url"]
    output.print_facts(
        [
            ("Open", address),
            ("Sign in as", f"admin, password in {folder / 'admin-password'} (the address above signs in once)"),
            ("Cluster", f"{nodes}, {gpus}; {_RUNTIMES[state['runtime']]}"),
            ("kubectl", f"KUBECONFIG={state['kubeconfig']} kubectl get pods,nodes -A"),
        ]
    )
    from fairlead.cli.rest import Rest

    projects = Rest(folder).get("/api/v1/org-unit/projects")["projects"]
    click.echo("\nNext:")
    for command in _NEXT if any(p["name"] == "demo" for p in projects) else _FIRST:
        click.echo(f"  {line(command, folder)}")


_RUNTIMES = {
    "process": "workloads run as processes of this machine",
    "container": "workloads run as containers of this machine",
    "simulated": "nothing really runs: the nodes are simulated",
}
_SUBMIT = "submit mine -p demo -i python:3.12 -g 1 --follow -- python3 -c 'print(\"mine\")'"
_NEXT = ("list", _SUBMIT, "node list")
_FIRST = ("project create demo --gpus 2", _SUBMIT, "list")
"""Where there is no project to submit to yet."""
