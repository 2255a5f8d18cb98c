"""`fairlead list` and `fairlead describe`."""

from __future__ import annotations

from typing import Any

import click

from fairlead.cli import output
from fairlead.cli.amounts import Whole
from fairlead.cli.lookup import PROJECT, full_names, project_of, workload_of
from fairlead.cli.rest import Rest
from fairlead.cli.rows import workload
from fairlead.cli.words import line
from fairlead.runtime.errors import FairleadError
from fairlead.wire.amounts import gpu_memory, number


@click.command(name="list")
@PROJECT
@click.option("--limit", default=500, show_default=True, type=Whole(1, 10_000))
@output.OUTPUT
def list_(project: str | None, limit: int, **more: Any) -> None:
    """Workloads: what runs, what waits, and why; newest first.

    \b
    Example:
      fairlead list -p vision
    """
    rest = Rest()
    query = f"projectId=={project_of(rest, project)['id']}" if project else None
    rows = rest.get("/api/v1/workloads", filterBy=query, limit=limit)["workloads"]
    form = more["output"]
    output.show([workload(r) for r in rows], form, lambda: _table(rest, rows), names=[r["name"] for r in rows])


@click.command()
@click.argument("name")
@PROJECT
@output.OUTPUT
def describe(name: str, project: str | None, **more: Any) -> None:
    """One workload: what it asks for, its pods, what happened.

    \b
    Example:
      fairlead describe hello -p demo
    """
    rest = Rest()
    row = workload_of(rest, name, project)
    full = rest.get(f"/api/v1/workloads/{row['id']}")
    full["pods"] = rest.get(f"/api/v1/workloads/{row['id']}/pods")["pods"]
    if full["phase"] == "Pending" and more["output"] in ("json", "yaml"):
        full["reasons"] = _detailed(rest, full)
    output.show(workload(full), more["output"], lambda: _describe(full), names=[name])


def _detailed(rest: Rest, row: Any) -> Any:
    """The reasons with their amounts, as the scheduler of its cluster says now; those known where it does not say."""
    try:
        said = rest.get(f"/api/fairlead/v1/workloads/{row['id']}/explain")
    except FairleadError:
        return row["reasons"]
    return said["reasons"] or row["reasons"]


def _table(rest: Rest, rows: list[Any]) -> None:
    if not rows:
        click.echo("No workloads yet. Submit one: " + line("submit hello -i python:3.12 -- python3 -c 'print(1)'"))
        return
    columns = ["NAME", "PHASE", "NOW", "PROJECT", "TYPE", "GPUS", "NODE", "AGE"]
    lines = [
        [
            r["name"],
            r["phase"],
            _now(r),
            project,
            r["type"],
            f"{number(r['allocatedGpus'])}/{_asked(r)}",
            r["nodes"][0] if len(r["nodes"]) == 1 else f"{len(r['nodes'])} nodes" if r["nodes"] else "-",
            output.ago(r["createdAt"]),
        ]
        for r, project in zip(rows, full_names(rest, rows, "projectName"), strict=True)
    ]
    output.print_table(columns, lines, right=("GPUS",), spare=("TYPE", "NODE", "AGE", "PROJECT"))
    output.tell_simulated(rows)


def _asked(row: Any) -> str:
    """GPUs asked, or memory of them."""
    memory = row["requestedGpuMemoryMib"]
    return gpu_memory(memory) if memory else number(row["requestedGpus"])


def _now(row: Any) -> str:
    if row["phase"] == "Completed":
        return f"Took {_span(row['startedAt'], row['completedAt'])}" if row["startedAt"] else ""
    text: str = row["phaseMessage"]
    return text if len(text) <= 60 else text[:59].rstrip() + "…"


def _span(start: str, end: str | None) -> str:
    from datetime import datetime

    if not end:
        return "-"
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _describe(w: Any) -> None:
    part = "held for" if w["requestedGpuMemoryMib"] else "of"
    simulated = " (simulated)" if w["simulated"] else ""
    gpus = f"{number(w['allocatedGpus'])} {part} {_asked(w)}{' of GPU memory asked' if part != 'of' else ''}{simulated}"
    reasons = "\n".join(f"{r['message']} [{r['code']}]" for r in w["reasons"])
    command = (w["spec"] or {}).get("command") or ""
    output.print_facts(
        [
            ("Name", w["name"]),
            ("Phase", ". ".join(filter(None, (w["phase"], w["phaseMessage"])))),
            ("Waits for", reasons),
            ("In line", f"{w['place']} of {w['waiting']}" if w["place"] else ""),
            ("Project", f"{w['projectName']} of {w['departmentName']}"),
            ("Type", w["type"]),
            ("GPUs", gpus),
            ("Pods", f"{w['runningPods']} running of {w['requestedPods']['number']}"),
            (
                "Priority",
                f"{w['priorityClassName']} ({w['priority']}), {'may be stopped' if w['preemptible'] else 'is not stopped'}",
            ),
            ("Image", ", ".join(w["images"])),
            ("Command", command),
            ("Asked by", w["submittedBy"]),
            ("Evictions", str(w["evictions"] or "")),
            ("Exit code", "" if w["exitCode"] is None else str(w["exitCode"])),
        ]
    )
    if w["pods"]:
        click.echo("\nPods")
        rows = [
            [
                p["name"],
                p["k8sPhase"],
                p["nodeName"] or "-",
                ",".join(map(str, p["devices"])) or "-",
                p["enforcement"],
                p["message"],
            ]
            for p in w["pods"]
        ]
        output.print_table(
            ["NAME", "PHASE", "NODE", "DEVICES", "ENFORCEMENT", "MESSAGE"], rows, spare=("ENFORCEMENT", "NODE")
        )
        for p in w["pods"]:
            if p["enforcementReason"]:
                click.echo(f"Enforcement of {p['name']} is {p['enforcement']}: {p['enforcementReason']}.")
    click.echo("\nWhat happened")
    for entry in w["history"]:
        click.echo(f"  {entry['time'][:19].replace('T', ' ')}  {entry['message']}")
    if w["phase"] == "Pending" and not w["nextTryAt"]:
        click.echo("\nWhat would start it: " + line(f"explain {w['name']} -p {w['projectName']}"))
