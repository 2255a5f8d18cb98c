"""How-tos, for the tests that follow them: what a document has people type is what the test types."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.parts.helm import helm

ROOT = Path(__file__).parents[1]
HOWTOS = ROOT / "docs" / "howto"


def blocks(name: str, language: str = "") -> list[str]:
    """The fenced blocks of `docs/howto/NAME.md` in that language, in order; without one they are commands that need a cluster."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", (HOWTOS / f"{name}.md").read_text(), re.M | re.S)
    return [block for found, block in fenced if found == language]


def put(block: str, names: Mapping[str, str]) -> str:
    """The block with names of one's own for those that it leaves open. Each must be in it."""
    for name, value in names.items():
        assert name in block, f"{name!r} is not in what the document has people type:\n{block}"
        block = block.replace(name, value)
    return block


class Reader:
    """Types what a document says, with `fairlead`, `helm` and `kubectl` of one cluster."""

    def __init__(self, folder: Path, kubeconfig: Path, environment: Mapping[str, str] | None = None) -> None:
        """`folder`: of this reader, where relative names of files lead that are not in the repository. Raises: Unavailable."""
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir()
        (programs / "helm").symlink_to(helm(3))
        (folder / "deploy").symlink_to(ROOT / "deploy")
        given = {**os.environ, **(environment or {}), "KUBECONFIG": str(kubeconfig)}
        self._env = {key: value for key, value in given.items() if not key.lower().endswith("_proxy")}
        self._env["PATH"] = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._env |= {f"HELM_{kind}_HOME": str(folder / kind) for kind in ("CACHE", "CONFIG", "DATA")}

    def start(self, block: str, names: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """It, running."""
        command = ["sh", "-euc", put(block, names or {})]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=self._env, stdout=pipe, stderr=pipe, text=True)

    def tries(self, block: str, names: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """It, ended."""
        running = self.start(block, names)
        said, complaint = running.communicate(timeout=800)
        return subprocess.CompletedProcess(running.args, running.returncode, said, complaint)

    def types(self, block: str, names: Mapping[str, str] | None = None) -> str:
        """What was printed, where it must succeed."""
        done = self.tries(block, names)
        assert done.returncode == 0, f"{done.args}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout
