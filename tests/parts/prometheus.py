"""A real Prometheus and a real node-exporter, from Debian's packages."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.parts.apiserver import free_ports, stop
from tests.parts.debian import program

PROGRAMS = (("prometheus", "prometheus"), ("prometheus-node-exporter", "prometheus-node-exporter"))
_PATIENCE = 120.0


@dataclass(frozen=True)
class Prometheus:
    """A running one."""

    port: int
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self.host}:{self.port}"


@contextlib.contextmanager
def prometheus(
    folder: Path,
    targets: Mapping[str, int],
    *words: str,
    password_hash: str = "",
    rule_files: Sequence[Path] = (),
    settings: Mapping[str, Any] | None = None,
    within: Sequence[str] = (),
    host: str = "127.0.0.1",
) -> Iterator[Prometheus]:
    """Give one that scrapes those ports each second, by job. `words`: more of its command line. Raises: Unavailable, RuntimeError.

    `password_hash`: bcrypt, of the user `alice` who alone may ask it. `rule_files`: evaluated each second. `settings`: a whole
    configuration, in place of all these. `within`: what its command line begins with. `host`: the address it listens at.
    """
    folder.mkdir()
    (port,) = free_ports(1)
    jobs = [{"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{at}"]}]} for job, at in targets.items()]
    each_second = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    made = {"global": each_second, "scrape_configs": jobs, "rule_files": [str(file) for file in rule_files]}
    (folder / "prometheus.yml").write_text(json.dumps(settings or made))
    command = [*within, str(program(*PROGRAMS[0])), f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={host}:{port}", *words]
    if password_hash:
        (folder / "web.yml").write_text(json.dumps({"basic_auth_users": {"alice": password_hash}}))
        command.append(f"--web.config.file={folder / 'web.yml'}")
    with _running(command, folder / "log", f"http://{host}:{port}/-/ready"):
        yield Prometheus(port, host)


@contextlib.contextmanager
def node_exporter(folder: Path) -> Iterator[int]:
    """Give the port of one. Raises: Unavailable, RuntimeError."""
    (port,) = free_ports(1)
    command = [str(program(*PROGRAMS[1])), f"--web.listen-address=127.0.0.1:{port}"]
    with _running(command, folder / "node-exporter.log", f"http://127.0.0.1:{port}/"):
        yield port


@contextlib.contextmanager
def _running(command: list[str], log: Path, ready: str) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        end = time.monotonic() + _PATIENCE
        while not _answers(ready):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command[0]} did not start: {log.read_text()[-800:]}")
            time.sleep(0.1)
        yield
    finally:
        stop([process])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code == 401  # it asks who we are: it runs
    except OSError:
        return False
