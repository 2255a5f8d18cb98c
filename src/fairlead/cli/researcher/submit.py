"""`fairlead submit`: a container, a process, a gang."""

from __future__ import annotations

import difflib
import re
import shlex
from typing import Any

import click

from fairlead.cli import output
from fairlead.cli.amounts import Cores, Gpus, Whole
from fairlead.cli.exits import Exit
from fairlead.cli.lookup import PROJECT, project_of
from fairlead.cli.options import named
from fairlead.cli.rest import Rest
from fairlead.cli.rows import plain
from fairlead.cli.words import command, line
from fairlead.runtime.errors import Invalid


@click.command(
    context_settings={
        "ignore_unknown_options": False,
        "allow_interspersed_args": True,
        "help_option_names": ["-h", "--help"],
    }
)
@click.argument("name")
@click.argument("command", nargs=-1, metavar="[-- COMMAND ...]")
@PROJECT
@click.option("-i", "--image", default="", help="Container image.")
@click.option(
    "-g", "--gpu", "--gpus", "gpu", type=Gpus(), default=None, help="GPUs a pod: 1, 2, ... or a part such as 0.5."
)
@click.option("--gpu-memory", metavar="AMOUNT", help="Memory of one GPU instead, such as 20G.")
@click.option("--cpu", type=Cores(), help="CPU cores a pod.")
@click.option("--memory", metavar="AMOUNT", help="Memory a pod, such as 4Gi.")
@click.option("--cpu-limit", type=Cores(), help="Most CPU cores a pod.")
@click.option("--memory-limit", metavar="AMOUNT", help="Most memory a pod; stopped above it.")
@click.option("-e", "--environment", multiple=True, metavar="NAME=VALUE", help="Environment variable; repeatable.")
@click.option("--working-dir", help="Folder to start in.")
@click.option("--interactive", is_flag=True, help="A workspace: stays inside the quota, is not stopped for others.")
@click.option("--preemptible/--non-preemptible", default=None, help="Whether it may be stopped for others.")
@click.option("--priority", metavar="CLASS", help="train, interactive-preemptible, build, inference, or a number.")
@click.option("--workers", type=Whole(1), help="A gang of that many pods, which start together.")
@click.option("--min-workers", type=Whole(1), help="Start with at least so many of them.")
@click.option("--node-type", metavar="TYPE", help="Only nodes labelled run.ai/type=TYPE.")
@click.option("--node-pools", metavar="A,B", help="Node pools in order.")
@click.option("--backoff-limit", type=Whole(0), help="Failures that are tried again (6).")
@click.option("--dry-run", is_flag=True, help="Print what would be made; make nothing.")
@click.option("--wait", is_flag=True, help="Wait until it runs.")
@click.option("--follow", is_flag=True, help="Show its progress and its log until it ends.")
@output.OUTPUT
def submit(name: str, command: tuple[str, ...], **asked: Any) -> int:
    """Submit a workload.

    \b
    Examples:
      fairlead submit hello -i python:3.12 -g 0.5 -- python3 -c 'print("hello")'
      fairlead submit big -p vision -i team/train:1 -g 8 --workers 4 -- torchrun train.py
      fairlead submit nb --interactive -i jupyter/scipy-notebook -g 1
    """
    _check(asked)
    rest = Rest()
    project = project_of(rest, asked["project"])
    path = "distributed" if asked["workers"] else "workspaces" if asked["interactive"] else "trainings"
    body = {
        "name": name,
        "projectId": project["id"],
        "clusterId": project["clusterId"],
        "spec": _spec(command, asked),
    }
    if asked["dry_run"]:
        with named(_OPTIONS):
            made = rest.post("/api/fairlead/v1/workloads/render", body, kind=path)
        form = "yaml" if asked["output"] == "table" else asked["output"]
        output.show(made, form, lambda: None, names=[name])
        return Exit.DONE
    with named(_OPTIONS):
        made = rest.post(f"/api/v1/workloads/{path}", body)
    _tell(rest, made, project["name"], {**asked, "command": command})
    if asked["follow"]:
        from fairlead.cli.researcher.follow import follow

        return follow(rest, made["workloadId"], name)
    if asked["wait"]:
        from fairlead.cli.researcher.follow import wait_until_running

        return wait_until_running(rest, made["workloadId"], name)
    return Exit.DONE


_OPTIONS = {
    "name": "NAME",
    "spec.image": "--image",
    "spec.environmentVariables": "--environment",
    "spec.workingDir": "--working-dir",
    "spec.compute.gpuDevicesRequest": "--gpu",
    "spec.compute.gpuPortionRequest": "--gpu",
    "spec.compute.gpuMemoryRequest": "--gpu-memory",
    "spec.compute.cpuCoreRequest": "--cpu",
    "spec.compute.cpuCoreLimit": "--cpu-limit",
    "spec.compute.cpuMemoryRequest": "--memory",
    "spec.compute.cpuMemoryLimit": "--memory-limit",
    "spec.priorityClass": "--priority",
    "spec.preemptibility": "--preemptible",
    "spec.nodeType": "--node-type",
    "spec.nodePools": "--node-pools",
    "spec.numWorkers": "--workers",
    "spec.minReplicas": "--min-workers",
    "spec.backoffLimit": "--backoff-limit",
}
"""Field of a submission -> the option that sets it."""


def _tell(rest: Rest, made: Any, project: str, asked: dict[str, Any]) -> None:
    def table() -> None:
        click.echo(f"{made['name']} submitted to {project}.")
        if not asked["follow"]:
            click.echo("See how it does: " + line(f"describe {made['name']} -p {project}"))

    nodes = rest.get("/api/v1/nodes")["nodes"]
    simulated = any(n["simulated"] for n in nodes)
    output.show({**plain(made), "simulated": simulated}, asked["output"], table, names=[made["name"]])
    if any(n["runtime"].startswith("process") for n in nodes):
        limit = ", its --cpu-limit is not enforced" if asked["cpu_limit"] else ""
        output.note(
            f"Note: it runs as a process of this machine: its image is not used{limit}, and it is not isolated."
        )
        if not asked["command"]:
            output.note(
                "Note: it has no command and will fail, for a process cannot take that of its image.\n"
                "  Remove it with `"
                + command(f"delete {made['name']} -p {project}")
                + "`, and submit it with a command after `--`."
            )
    if simulated and (asked["gpu"] or asked["gpu_memory"]):
        output.note("Note: the GPUs of this cluster are simulated.")


def _check(asked: dict[str, Any]) -> None:
    """Refuses options that would have no effect together. Raises: Invalid."""
    if asked["interactive"] and asked["workers"]:
        raise Invalid(
            "--interactive and --workers cannot be asked together: a workspace is one pod.",
            hint="Leave one of them out.",
        )
    _check_priority(asked["priority"])
    if asked["min_workers"] and not asked["workers"]:
        raise Invalid(
            "--min-workers is the least size of a gang, and this is one pod.", hint="Name its size, too: --workers N."
        )


_PRIORITIES = (
    *("train", "interactive-preemptible", "build", "inference"),
    *("very-low", "low", "medium-low", "medium", "medium-high", "high", "very-high"),
)


def _check_priority(text: str | None) -> None:
    """Refuses a word that is no priority; which numbers are is the server's to say. Raises: Invalid."""
    if text is None or text in _PRIORITIES or not re.search("[a-z]", text.lower()):
        return
    near = difflib.get_close_matches(text.lower(), _PRIORITIES, 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise Invalid(
        f"--priority: {text!r} is neither a number nor a known word.",
        hint=f"{hint}There are: {', '.join(_PRIORITIES)}.",
    )


def _spec(command: tuple[str, ...], asked: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "image": asked["image"] or None,
        "command": shlex.join(command) if command else None,
        "workingDir": asked["working_dir"],
        "environmentVariables": [_variable(text) for text in asked["environment"]] or None,
        "compute": _compute(asked),
        "priorityClass": asked["priority"],
        "preemptibility": {True: "preemptible", False: "non-preemptible", None: None}[asked["preemptible"]],
        "nodeType": asked["node_type"],
        "nodePools": asked["node_pools"].split(",") if asked["node_pools"] else None,
        "backoffLimit": asked["backoff_limit"],
        "numWorkers": asked["workers"],
        "minReplicas": asked["min_workers"],
    }
    if asked["interactive"] and asked["preemptible"] and not asked["priority"]:
        spec["priorityClass"] = "interactive-preemptible"
    if not spec["image"]:
        raise Invalid("Which image?", hint="Name one with -i, such as -i python:3.12.")
    return {key: value for key, value in spec.items() if value is not None}


def _compute(asked: dict[str, Any]) -> dict[str, Any]:
    gpu = asked["gpu"]
    if gpu is not None and asked["gpu_memory"]:
        raise Invalid("-g and --gpu-memory cannot be asked together.", hint="Ask for GPUs, or for memory of one.")
    found = {
        "gpuDevicesRequest": int(gpu) if gpu and gpu >= 1 else 1 if gpu or asked["gpu_memory"] else None,
        "gpuRequestType": "memory" if asked["gpu_memory"] else "portion" if gpu else None,
        "gpuPortionRequest": (gpu if gpu < 1 else 1) if gpu else None,
        "gpuMemoryRequest": asked["gpu_memory"],
        "cpuCoreRequest": asked["cpu"],
        "cpuCoreLimit": asked["cpu_limit"],
        "cpuMemoryRequest": asked["memory"],
        "cpuMemoryLimit": asked["memory_limit"],
    }
    return {key: value for key, value in found.items() if value is not None}


def _variable(text: str) -> dict[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise Invalid(f"-e {text!r} is no variable.", hint="Write NAME=VALUE.")
    return {"name": name, "value": value}
