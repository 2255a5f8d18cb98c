"""Roles as the processes that a chart's pods run, on a real API server: `fairlead run ROLE` with one settings file."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.parts.apiserver import free_ports, stop

PATIENCE = 180.0
"""Seconds to wait for anything."""


def until(look: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """What `look` gives, once it gives anything. Half of the time nobody looks: a look may be a program that has to start."""
    end = time.monotonic() + patience
    while True:
        began = time.monotonic()
        if found := look():
            return found
        now = time.monotonic()
        assert now < end, "it did not come"
        time.sleep(max(0.2, now - began))


@dataclass
class Process:
    """A role that runs. `health`: its port."""

    role: str
    popen: subprocess.Popen[bytes]
    health: int
    log: Path

    def says(self, path: str) -> str:
        """What it answers on its health port; empty while it does not, or says no."""
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{self.health}{path}", timeout=5) as answer,
        ):
            return str(answer.read().decode())
        return ""

    def leads(self) -> bool:
        """Whether it is the one that acts."""
        return f'fairlead_leader{{role="{self.role}"}} 1.0' in self.says("/metrics")


@dataclass
class Cluster:
    """Processes with one settings file."""

    folder: Path
    settings: dict[str, Any]
    processes: list[Process] = field(default_factory=list)

    def start(self, role: str, **env: str) -> Process:
        """Start one more process of that role; returns at once."""
        file = self.folder / f"settings-{len(self.processes)}.yaml"  # whoever was started before may be reading its own
        file.write_text(json.dumps(self.settings))
        (health,) = free_ports(1)
        log = self.folder / f"{role}-{len(self.processes)}.log"
        more = {"FAIRLEAD_ROLE_HEALTH_PORT": str(health), "FAIRLEAD_ROLE_HEALTH_HOST": "127.0.0.1", **env}
        with log.open("wb") as out:
            popen = subprocess.Popen(
                [sys.executable, "-m", "fairlead.cli.main", "run", role, "--settings", str(file)],
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **more},
            )
        made = Process(role, popen, health, log)
        self.processes.append(made)
        return made

    def logs(self) -> str:
        """What all of them wrote last."""
        return "\n".join(f"--- {p.log.name}\n{p.log.read_text()[-2000:]}" for p in self.processes)


@contextlib.contextmanager
def processes(kubeconfig: Path, folder: Path, **sections: Any) -> Iterator[Cluster]:
    """No process yet; all that are started end with it."""
    kube = {"kubeconfig": str(kubeconfig)}
    lease = {"durationSeconds": 3, "renewDeadlineSeconds": 2, "retrySeconds": 0.5}
    cluster = Cluster(folder, {"kube": kube, "lease": lease, **sections})
    try:
        yield cluster
    finally:
        stop([p.popen for p in cluster.processes])
