"""Two clusters with a project, a workload and a node of the same names: amounts are not mixed, and commands ask which is meant."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.cli.conftest import Cli
from tests.server.agent_double import connect

from fairlead.wire.agent import NodeRow, QueueRow


@pytest.fixture(scope="module")
def two(up: Cli) -> Iterator[Cli]:
    """The cluster `this-machine`, whose work is real, and `berlin`, whose agent is a double that told what is there and went."""
    made = up.json("cluster", "create", "berlin")
    up.ok("project", "create", "team", "--gpus", "7", "--cluster", "berlin")
    node = up.ok("node", "list", "-o", "name").strip()
    with ThreadPoolExecutor(1) as other:
        other.submit(asyncio.run, _tell(made, node)).result(60)
    up.ok("submit", "hello", "-p", "this-machine/team", "-i", "x", "-g", "1", "--wait", "--", "sleep", "600")
    yield up
    up.ok("delete", "hello", "-p", "this-machine/team")


async def _tell(made: dict[str, Any], node: str) -> None:
    use = (5000, 0, 0)
    async with connect(made["url"], made["uuid"], made["client_secret"]) as agent:
        queues = [
            QueueRow(name="default", kind="department", pool="default", allocated=use),
            QueueRow(name="team", kind="project", pool="default", parent="default", allocated=use),
        ]
        await agent.report(*queues, NodeRow(name=node, ready=True, pool="default"), full=True)


def _lines(table: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split() for line in table.splitlines()}


@pytest.mark.parametrize(("what", "name"), [("project", "team"), ("department", "default")])
def test_each_is_shown_with_what_it_uses_in_its_cluster(two: Cli, what: str, name: str) -> None:
    wanted, deadline = {f"this-machine/{name}": "1", f"berlin/{name}": "5"}, time.monotonic() + 30
    while (used := _used(two.ok(what, "list"), name)) != wanted:
        assert time.monotonic() < deadline, used
        time.sleep(0.3)


def _used(table: str, name: str) -> dict[str, str]:
    lines = _lines(table)
    column = lines["NAME"].index("ALLOCATED")
    return {each: cells[column] for each, cells in lines.items() if each.endswith(f"/{name}")}


def test_a_name_that_two_clusters_have_is_asked_for_and_can_be_said(two: Cli) -> None:
    done = two.run("project", "update", "team", "--gpus", "3")
    assert (done.returncode, "berlin/team, this-machine/team" in done.stderr) == (2, True), done.stderr
    two.ok("project", "update", "berlin/team", "--gpus", "3")
    quota = {each["cluster_id"]: each["node_pools"][0]["deserved_gpu_milli"] for each in two.json("project", "list")}
    local, berlin = (
        next(c["uuid"] for c in two.json("cluster", "list") if c["name"] == n) for n in ("this-machine", "berlin")
    )
    assert (quota[local], quota[berlin]) == (2000, 3000)


def test_work_is_found_in_the_cluster_that_is_said(two: Cli) -> None:
    assert two.json("describe", "hello", "-p", "this-machine/team")["phase"] == "Running"
    assert "hello" in two.ok("list", "-p", "this-machine/team")
    assert "No workloads" in two.ok("list", "-p", "berlin/team")
    done = two.run("describe", "hello", "-p", "berlin/team")
    assert (done.returncode, "no workload 'hello' in berlin/team" in done.stderr) == (3, True), done.stderr
    done = two.run("list", "-p", "paris/team")
    assert (done.returncode, "no cluster 'paris'" in done.stderr) == (3, True), done.stderr


def test_a_node_is_cordoned_in_the_cluster_that_is_said_and_in_no_other(two: Cli) -> None:
    here = next(name for name in two.ok("node", "list", "-o", "name").split() if name.startswith("this-machine/"))
    bare = here.removeprefix("this-machine/")
    done = two.run("node", "cordon", bare)
    assert (done.returncode, f"berlin/{bare}" in done.stderr) == (2, True), done.stderr
    two.ok("node", "cordon", here)
    state = {name: cells[1] for name, cells in _lines(two.ok("node", "list")).items() if name.endswith(f"/{bare}")}
    assert state == {here: "Unschedulable", f"berlin/{bare}": "Ready"}
    two.ok("node", "uncordon", here)
