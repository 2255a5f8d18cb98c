"""Quota as words of the command line, and as lines of a table."""

from __future__ import annotations

from typing import Any

import click

from fairlead.runtime.errors import Invalid
from fairlead.wire.amounts import number

OPTIONS = (
    click.option("--gpus", metavar="N", help="Guaranteed GPUs, or `unlimited`."),
    click.option("--gpu-limit", metavar="N", help="Most GPUs ever, or `unlimited`."),
    click.option("--weight", type=click.FloatRange(0), help="Share of idle GPUs: 0 none, 1 low, 2 medium, 3 high."),
    click.option("--cpus", metavar="N", help="Guaranteed CPU cores, or `unlimited`."),
    click.option("--memory-gib", metavar="N", help="Guaranteed memory in GiB, or `unlimited`."),
    click.option("--node-pool", default="default", show_default=True, help="Node pool the quota is in."),
)

AMOUNTS = ("gpus", "gpu_limit", "weight", "cpus", "memory_gib")
"""Those that change something, by the name of their value."""

FIELDS = {
    "name": "NAME",
    "requestedNamespace": "--namespace",
    "parentId": "--department",
    "resources.nodePool": "--node-pool",
    "resources.gpu.deserved": "--gpus",
    "resources.gpu.limit": "--gpu-limit",
    "resources.gpu.overQuotaWeight": "--weight",
    "resources.cpu.deserved": "--cpus",
    "resources.memory.deserved": "--memory-gib",
}
"""Field of a request -> the option that sets it."""


def with_quota(command: Any) -> Any:
    """Adds the quota options to a command."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def resources(
    rest: Any, asked: dict[str, Any], cluster_id: str, before: list[Any] | None = None
) -> list[dict[str, Any]]:
    """The `resources` of a request; what is not named stays as it is."""
    from fairlead.cli.lookup import by_name

    pools = [p for p in rest.get("/api/v1/node-pools")["nodepools"] if p["clusterId"] == cluster_id]
    pool = by_name(pools, asked["node_pool"], "node pool")
    kept = [r for r in before or [] if r["nodePool"]["id"] != pool["id"]]
    old: dict[str, Any] = next((r for r in before or [] if r["nodePool"]["id"] == pool["id"]), {})
    gpu = dict(old.get("gpu") or {"deserved": 0, "limit": -1, "overQuotaWeight": 2})
    for key, option in (("deserved", "gpus"), ("limit", "gpu_limit")):
        if asked[option] is not None:
            gpu[key] = _number(asked[option], option)
    if asked["weight"] is not None:
        gpu["overQuotaWeight"] = asked["weight"]
    entry: dict[str, Any] = {"nodePool": {"id": pool["id"], "name": pool["name"]}, "gpu": gpu}
    cpu = dict(old.get("cpu") or {"deserved": -1, "limit": -1, "overQuotaWeight": 2})
    memory = dict(old.get("memory") or {"deserved": -1, "limit": -1, "overQuotaWeight": 2, "units": "Mib"})
    if asked["cpus"] is not None:
        cpu["deserved"] = _scaled(asked["cpus"], "cpus", 1000)
    if asked["memory_gib"] is not None:
        memory["deserved"] = _scaled(asked["memory_gib"], "memory_gib", 1024)
    return [*kept, {**entry, "cpu": cpu, "memory": memory}]


def line(unit: Any) -> list[str]:
    """GPU figures of a department or project over its pools: allocated, asked, quota, fair share, limit."""
    quota = [r["gpu"] for r in unit["resources"]]
    use = unit["status"]["nodePoolQuotaStatuses"]
    total = {key: sum(u[key]["gpu"] for u in use) for key in ("allocated", "requested", "fairShare")}
    return [
        number(total["allocated"]),
        number(total["requested"]),
        _sum([q["deserved"] for q in quota]),
        number(total["fairShare"]),
        _sum([q["limit"] for q in quota]),
    ]


FIGURES = ["ALLOCATED", "ASKED", "QUOTA", "FAIR SHARE", "LIMIT"]


def excess(unit: Any, projects: list[Any], nodes: list[Any]) -> list[str]:
    """For each node pool of the unit whose projects are guaranteed more GPUs together than it has: the sentence that says so."""
    found = []
    for pool in (r["nodePool"]["name"] for r in unit["resources"]):
        here = [n for n in nodes if (n["clusterUuid"], n["nodePool"]) == (unit["clusterId"], pool)]
        there = sum(len(n["gpus"]) for n in here)
        quotas = [r["gpu"]["deserved"] for p in projects for r in p["resources"] if r["nodePool"]["name"] == pool]
        promised = sum(max(amount, 0) for amount in quotas)
        if here and promised > there:
            found.append(
                f"The projects of the node pool {pool} are guaranteed {number(promised)} GPUs together and it has {there}: "
                "not all of them can have their quota at once."
            )
    return found


def _sum(amounts: list[float]) -> str:
    return "-" if not amounts else "no limit" if any(a < 0 for a in amounts) else number(sum(amounts))


def _scaled(text: str, option: str, unit: int) -> float:
    value = _number(text, option)
    return value if value < 0 else value * unit


def _number(text: str, option: str) -> float:
    if text in ("unlimited", "-1"):
        return -1
    try:
        value = float(text)
    except ValueError:
        value = -1
    if value < 0:
        raise Invalid(f"--{option.replace('_', '-')} {text!r} is no amount.", hint="Write a number, or `unlimited`.")
    return value
