"""The import contracts hold, and each of them breaks when it should."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

OFFENCES = {
    "rooms": ("model/units.py", "import fairlead.scheduling"),
    "siblings": ("scheduling/__init__.py", "import fairlead.workloads.realise"),
    "server and kube": ("server/config.py", "import fairlead.kube.client"),
    "roles": ("cluster/agent/rows.py", "import fairlead.cluster.scheduler.observe"),
    "pure rooms": ("workloads/priority.py", "import asyncio"),
    "preflight below cluster": ("preflight/roster.py", "import fairlead.cluster.agent.rows"),
    "preflight's judges": ("preflight/versions.py", "import socket"),
    "core": ("scheduling/fairshare.py", "import fairlead.scheduling.ledger"),
    "server layers": ("server/services/specs.py", "import fairlead.server.api.compat"),
    "researcher verbs": ("cli/lookup.py", "import fairlead.kube.client"),
}


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [
        str(Path(sys.executable).parent / "lint-imports"),
        "--no-cache",
        "--config",
        str(folder / "pyproject.toml"),
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": str(folder / "src")})


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "web"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_the_contracts_hold(copy: Path) -> None:
    done = _lint(copy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("offence", OFFENCES)
def test_the_contract_breaks_when_it_should(copy: Path, offence: str) -> None:
    name, line = OFFENCES[offence]
    file = copy / "src" / "fairlead" / name
    text = file.read_text()
    try:
        file.write_text(text + f"\n{line}\n")
        done = _lint(copy)
        assert done.returncode != 0, f"{offence}: {line!r} in {name} went unnoticed"
    finally:
        file.write_text(text)
