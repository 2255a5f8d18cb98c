"""What a person at a keyboard feels: start of the command line, start and memory of the embedded mode, one page of a long list.

A Fairlead of the bench's own is started on data in a temporary folder, and stopped afterwards.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.rows import HERE, Row, median_ms

LIMIT_SECONDS = 120
IDLE_SECONDS = 5
PAGE = 500
WORKLOADS = 10_000


@dataclass(frozen=True)
class Product:
    """The `fairlead` command with data of its own."""

    data: Path

    def run(self, *words: str) -> str:
        """What the command printed. Raises: CalledProcessError."""
        env = {**os.environ, "FAIRLEAD_DATA": str(self.data)}
        command = [sys.executable, "-m", "fairlead.cli.main", *words]
        return subprocess.run(
            command, capture_output=True, timeout=LIMIT_SECONDS, check=True, env=env, text=True
        ).stdout

    def up(self) -> None:
        """Start it, on a port of its own, with simulated nodes."""
        self.run("up", "--port", "0", "--simulate", "4x8")

    def state(self) -> dict[str, Any]:
        """What the running process says of itself."""
        found: dict[str, Any] = json.loads((self.data / "up.json").read_text())
        return found


def rows(only: str) -> Iterator[Row]:
    """All rows whose name holds the word."""
    if only in "product.make-up":
        yield _make_up()
    names = ("help", "list", "embedded-start", "embedded-memory", "page-of-10000")
    if not any(only in f"product.{name}" for name in names):
        return
    with running() as product:
        for name in names:
            if only in f"product.{name}":
                yield _MEASURES[name](product)


def _make_up() -> Row:
    """Of a fresh checkout of what is committed, its data in a folder of its own; packages come from the caches that are there."""
    note = "make up, fresh checkout and warm package caches, to the end of the sample"
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        checkout, env = Path(folder) / "fairlead", {**os.environ, "FAIRLEAD_DATA": str(Path(folder) / "data")}
        subprocess.run(["git", "clone", "-q", str(HERE.parent), str(checkout)], check=True)

        def make(*words: str) -> None:
            subprocess.run(
                ["make", "-C", str(checkout), *words], capture_output=True, check=True, env=env, timeout=LIMIT_SECONDS
            )

        try:
            seconds = _ms(lambda: make("up", "PORT=0")) / 1000
        finally:
            make("down")
    return Row("product.make-up", (round(seconds, 1),), "s", note)


def _help(product: Product) -> Row:
    return Row("product.help", (round(median_ms(lambda: product.run("--help")), 1),), "ms", "fairlead --help")


def _list(product: Product) -> Row:
    return Row(
        "product.list", (round(median_ms(lambda: product.run("list")), 1),), "ms", "fairlead list, on a live server"
    )


def _start_again(product: Product) -> Row:
    product.run("down")
    return Row("product.embedded-start", (round(_ms(product.up), 1),), "ms", "fairlead up on data that is there")


def _memory(product: Product) -> Row:
    time.sleep(IDLE_SECONDS)
    resident = psutil.Process(product.state()["pid"]).memory_info().rss / 1e6
    return Row("product.embedded-memory", (round(resident, 1),), "MB", "everything in one process, idle")


def _page(product: Product) -> Row:
    """p95 of one page of a list of 10,000 workloads, over HTTP, on SQLite."""
    fill(product)
    state, token = product.state(), json.loads((product.data / "cli-token.json").read_text())["token"]
    address = f"{state['url']}/api/v1/workloads?limit={PAGE}&offset="
    taken = sorted(_ms(lambda at=at: _get(address + str(at), token)) for at in range(0, WORKLOADS, PAGE))
    note = f"p95 of a page of {PAGE} of {WORKLOADS} workloads, SQLite"
    return Row("product.page-of-10000", (round(taken[int(len(taken) * 0.95) - 1], 1),), "ms", note)


def fill(product: Product) -> None:
    """Rows straight into the stopped control plane's database: the cluster was told nothing of them."""
    import sqlite3

    product.run("list")
    product.run("project", "create", "bench", "--gpus", "1")
    project = json.loads(product.run("project", "list", "-o", "json"))[0]
    product.run("down")
    with sqlite3.connect(product.data / "control-plane.db") as database:
        database.executemany(_INSERT, [_values(i, project) for i in range(WORKLOADS)])
    product.up()


_INSERT = (
    "INSERT INTO workload (id, cluster_id, project_id, kind, name, namespace, spec, object, suspended, deleting, refused, "
    "revision, submitted_by, created, updated, deleted, version, phase, observed) "
    "VALUES (?, ?, ?, 'Training', ?, 'runai-bench', '{}', NULL, 0, 0, 'kept by the bench', 0, 'bench', ?, ?, 0, 1, 'Running', ?)"
)


def _values(number: int, project: dict[str, Any]) -> tuple[Any, ...]:
    name = f"w-{number}"
    observed = {"row": "WorkloadRow", "id": name, "kind": "Training", "namespace": "runai-bench", "name": name}
    return (name, "elsewhere", project["id"], name, float(number), float(number), json.dumps(observed))


def _get(address: str, token: str) -> None:
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=LIMIT_SECONDS) as answer:
        answer.read()


def _ms(action: Any) -> float:
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1000


@contextmanager
def running() -> Iterator[Product]:
    """A Fairlead of one's own, stopped and forgotten afterwards."""
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        product = Product(Path(folder))
        product.up()
        try:
            yield product
        finally:
            product.run("down")


_MEASURES = {
    "help": _help,
    "list": _list,
    "embedded-start": _start_again,
    "embedded-memory": _memory,
    "page-of-10000": _page,
}
