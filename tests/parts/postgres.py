"""A real PostgreSQL from Debian's package, started on a free port with its data in a temporary folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Postgres:
    """A running server."""

    port: int
    tools: Path

    def new_database(self) -> str:
        """The SQLAlchemy address of a new, empty database."""
        name = f"t{uuid.uuid4().hex}"
        subprocess.run(
            _as_postgres([str(self.tools / "createdb"), "-h", "127.0.0.1", "-p", str(self.port), name]), check=True
        )
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{name}"


def tools() -> Path | None:
    """Folder of PostgreSQL's server programs, newest version first."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    return found[0].parent if found else None


def install() -> None:
    """Installs Debian's package where the tests run as root; elsewhere nothing happens."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", "postgresql"]):
        subprocess.run(["apt-get", *words], check=False, capture_output=True, env=env, timeout=600)


@contextmanager
def postgres_or_skip() -> Iterator[Postgres]:
    """A server for the time of the `with`; the test is skipped where the package cannot be had."""
    if tools() is None:
        install()
    found = tools()
    if found is None:
        pytest.skip("PostgreSQL's server programs are not installed (Debian package postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="fairlead-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    data, port = folder / "data", _free_port()
    subprocess.run(
        _as_postgres([str(found / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust"]),
        check=True,
        capture_output=True,
    )
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    control = [str(found / "pg_ctl"), "-D", str(data), "-w"]
    subprocess.run(_as_postgres([*control, "-o", options, "-l", str(folder / "log"), "start"]), check=True, stdout=-3)
    try:
        yield Postgres(port, found)
    finally:
        subprocess.run(_as_postgres([*control, "-m", "immediate", "stop"]), check=False, stdout=-3)
        shutil.rmtree(folder, ignore_errors=True)


def _as_postgres(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root."""
    return (
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command] if os.geteuid() == 0 else command
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
