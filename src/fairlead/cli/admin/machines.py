"""`fairlead node` and `fairlead cluster`."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import quote

import click

from fairlead.cli import output
from fairlead.cli.lookup import by_name, full_names, unit_of
from fairlead.cli.rest import Rest
from fairlead.cli.rows import plain
from fairlead.cli.words import command
from fairlead.wire.amounts import gib, number

_MOST_HOLDERS = 2
"""Named in a line of the table."""


@click.group()
def node() -> None:
    """Nodes and their GPUs.

    \b
    Example:
      fairlead node list
      fairlead node cordon gpu-7
    """


@node.command(name="list")
@output.OUTPUT
def list_nodes(**more: Any) -> None:
    """All nodes: GPUs busy and free, and who holds them; CLUSTER/NAME where they are of several clusters."""
    rest = Rest()
    rows = rest.get("/api/v1/nodes", limit=10_000)["nodes"]
    names = full_names(rest, rows)

    def table() -> None:
        lines = [
            [
                name,
                r["status"],
                r["nodePool"],
                f"{number(sum(g['used_milli'] for g in r['gpus']) / 1000)}/{len(r['gpus'])}",
                _holders(r["gpus"]),
                f"{r['gpuInfo']['gpuType']}{' (simulated)' if r['simulated'] else ''}" if r["gpuInfo"] else "-",
                f"{number(r['cpuUsedMilli'] / 1000)}/{number(r['cpuMilli'] / 1000)}",
                f"{gib(r['memoryUsedBytes']).removesuffix(' GiB')}/{gib(r['memoryBytes'])}",
                r["runtime"].partition(":")[0],
            ]
            for name, r in zip(names, rows, strict=True)
        ]
        columns = ["NAME", "STATUS", "POOL", "GPUS BUSY", "HELD BY", "GPU MODEL", "CPUS", "MEMORY", "RUNTIME"]
        spare = ("RUNTIME", "MEMORY", "CPUS", "POOL", "GPU MODEL")
        output.print_table(columns, lines, right=("GPUS BUSY", "CPUS", "MEMORY"), spare=spare)

    output.show(plain(rows), more["output"], table, names=names)


def _holders(gpus: Any) -> str:
    """Workloads that hold most of the devices, and how many more; those that the reader may not see are counted alone."""
    held: Counter[str] = Counter()
    for each in (holder for gpu in gpus for holder in gpu["holders"]):
        known = each["workload_name"]
        held[f"{each['project']}/{known}" if known else "other projects"] += each["milli"]
    first = [name for name, _ in held.most_common(_MOST_HOLDERS)]
    more = f" and {len(held) - len(first)} more" if len(held) > len(first) else ""
    return f"{', '.join(first)}{more}" or "-"


@node.command(help="Let a node take no new work; what runs there goes on.")
@click.argument("name")
def cordon(name: str) -> None:
    _set_schedulable(name, "cordon")
    again = command(f"node uncordon {name}")
    click.echo(f"{name} takes no new work; what runs there goes on. `{again}` takes it back.")


@node.command(help="Let a cordoned node take work again.")
@click.argument("name")
def uncordon(name: str) -> None:
    _set_schedulable(name, "uncordon")
    click.echo(f"{name} takes work again.")


def _set_schedulable(name: str, verb: str) -> None:
    rest = Rest()
    found = unit_of(rest, rest.get("/api/v1/nodes", limit=10_000)["nodes"], name, "node")
    rest.post(f"/api/fairlead/v1/nodes/{quote(found['name'], safe='')}/{verb}", clusterId=found["clusterUuid"])


@click.group()
def cluster() -> None:
    """Clusters: their connection, and whether they have what they need.

    \b
    Example:
      fairlead cluster list
      fairlead cluster describe berlin
    """


@cluster.command(name="list")
@output.OUTPUT
def list_clusters(**more: Any) -> None:
    """All clusters and their states, each with the first reason."""
    rest = Rest()
    rows = rest.get("/api/v1/clusters")
    why = {c["id"]: c for c in rest.get("/api/fairlead/v1/clusters")["clusters"]}
    lines = [
        [
            r["name"],
            _state(why[r["uuid"]]) if r["uuid"] in why else r["status"]["state"],
            r["version"] or "-",
            output.ago(r["lastLiveness"]),
            r["uuid"],
        ]
        for r in rows
    ]
    output.show(
        plain(rows),
        more["output"],
        lambda: output.print_table(["NAME", "STATE", "VERSION", "HEARD", "ID"], lines, spare=("VERSION", "HEARD")),
        names=[r["name"] for r in rows],
    )


def _state(found: Any) -> str:
    """The state, and what makes it so."""
    first, *more = found["reasons"] or [""]
    return f"{found['state']}{f': {first}' if first else ''}{f' and {len(more)} more' if more else ''}"


@cluster.command(name="describe")
@click.argument("name")
@output.OUTPUT
def describe_cluster(name: str, **more: Any) -> None:
    """One cluster: its state and since when, what its daily checks found and what to do, what is new since the check before.

    \b
    Example:
      fairlead cluster describe berlin
    """
    rest = Rest()
    found = by_name(rest.get("/api/fairlead/v1/clusters")["clusters"], name, "cluster")
    output.show(plain(found), more["output"], lambda: _print_standing(found), names=[name])


def _print_standing(found: Any) -> None:
    since = f", for {output.ago(found['since'])}" if found["since"] else ""
    output.print_facts(
        [
            ("Name", found["name"]),
            ("Id", found["id"]),
            ("State", f"{_state(found)}{since}"),
            ("Because", found["message"]),
            ("Heard", f"{output.ago(found['lastLiveness'])} ago" if found["lastLiveness"] else "never"),
            ("Kubernetes", found["kubernetesVersion"]),
            ("Agent", found["agentVersion"]),
            ("Checked", f"{output.ago(found['checkedAt'])} ago" if found["checkedAt"] else "not yet"),
        ]
    )
    for each in found["conditions"]:
        click.echo(f"\n{each['type']}: {each['status']} ({each['reason']})\n  {each['message']}")
    if found["findings"]:
        click.echo("\nFound:")
    for each in found["findings"]:
        _print_finding(each)
    if found["news"]:
        click.echo(f"\nNew since the check {output.ago(found['newsSince'])} ago:")
    for line in found["news"]:
        click.echo(f"  {line}")


def _print_finding(each: Any) -> None:
    taken = f", accepted: {each['accepted']}" if each["accepted"] else ""
    click.echo(f"  {each['code']} {each['verdict']}{taken}, for {output.ago(each['since'])}: {each['seen']}")
    if each["remedy"]:
        click.echo(f"    {each['remedy']}")


@cluster.command(name="create")
@click.argument("name")
@output.OUTPUT
def create_cluster(name: str, **more: Any) -> None:
    """Make a cluster and give out the id and the secret that its agent connects with. The secret is shown this once.

    \b
    Example:
      fairlead cluster create berlin
    """
    rest = Rest()
    _show_secret(rest, rest.post("/api/v1/clusters", {"name": name}), more["output"])


@cluster.command(name="secret")
@click.argument("name")
@output.OUTPUT
def renew_secret(name: str, **more: Any) -> None:
    """Give out a new secret for a cluster's agent, where the one before is lost or known to others: nobody connects with that any more.
    An agent that is connected stays so until its connection ends.

    \b
    Example:
      fairlead cluster secret berlin
    """
    rest = Rest()
    found = by_name(rest.get("/api/v1/clusters"), name, "cluster")
    _show_secret(rest, rest.post(f"/api/v1/clusters/{found['uuid']}/secret"), more["output"])


def _show_secret(rest: Rest, made: Any, form: str) -> None:
    """What the agent of a cluster is installed with."""
    told = plain(made) | {"url": rest.url}

    def table() -> None:
        facts = [("Name", told["name"]), ("Id", told["uuid"]), ("Secret", told["client_secret"]), ("Server", rest.url)]
        output.print_facts(facts)
        click.echo("\nKeep the secret: it is shown this once. The agent of the cluster is installed with these three.")

    output.show(told, form, table, names=[told["name"]])
