"""A Fairlead started by `fairlead up` in a process of its own, and the command run against it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Cli:
    """The `fairlead` command with data of its own."""

    data: Path

    def run(self, *words: str, timeout: float = 240, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """The finished command."""
        return subprocess.run(
            [sys.executable, "-m", "fairlead.cli.main", *words],
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, "FAIRLEAD_DATA": str(self.data), "NO_COLOR": "1"},
            input=stdin,
        )

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """The command, running; its output and its words are pipes."""
        return subprocess.Popen(
            [sys.executable, "-m", "fairlead.cli.main", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "FAIRLEAD_DATA": str(self.data), "NO_COLOR": "1"},
        )

    def ok(self, *words: str, **more: Any) -> str:
        """What a command that must succeed printed."""
        done = self.run(*words, **more)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def until(self, *words: str, told: str, seconds: float = 30) -> None:
        """Return once a command prints that."""
        deadline = time.monotonic() + seconds
        while told not in (done := self.run(*words)).stdout:
            assert time.monotonic() < deadline, (words, done.stdout, done.stderr)
            time.sleep(0.2)

    def json(self, *words: str) -> Any:
        """The decoded `-o json` output of a command that must succeed."""
        return json.loads(self.ok(*words, "-o", "json"))

    def state(self) -> dict[str, Any]:
        """What the running process wrote about itself."""
        found: dict[str, Any] = json.loads((self.data / "up.json").read_text())
        return found


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """This machine as one node, 4 simulated GPUs where it has no real ones, and a project `team` with 2 of them."""
    cli = Cli(tmp_path_factory.mktemp("data"))
    cli.ok("up", "--port", "0")
    cli.ok("project", "create", "team", "--gpus", "2")
    yield cli
    cli.ok("down")


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Cli]:
    """Nothing started yet; whatever is started is stopped."""
    cli = Cli(tmp_path)
    yield cli
    cli.run("down")
