"""Helm, which does the installing: found, asked for the state of the release, and run. What it is told is shown to whoever watches."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fairlead.runtime.errors import Conflict, FairleadError, Invalid, Unreachable
from fairlead.runtime.settings import environment

RELEASE: Final = "fairlead"
_OUT_OF_REACH: Final = ("unreachable", "connection refused", "no such host", "i/o timeout", "context deadline exceeded")
_NO_RELEASE: Final = "not found"


@dataclass(frozen=True)
class Release:
    """The installation as Helm knows it. `status` empty: there is none."""

    status: str = ""
    revision: int = 0
    version: str = ""
    """Of the program."""

    @property
    def is_interrupted(self) -> bool:
        """Whether an earlier Helm was ended while it worked: another refuses to begin."""
        return self.status.startswith("pending-") or self.status == "uninstalling"


class Helm:
    """One cluster's Helm. `tell`: lines for people."""

    def __init__(
        self, program: str, namespace: str, tell: Callable[[str], None], *, kubeconfig: str = "", chart: str = ""
    ) -> None:
        self._program = program
        self._namespace = namespace
        self._tell = tell
        self._kubeconfig = kubeconfig
        self.chart = chart

    async def release(self) -> Release:
        """What is installed. Raises: FairleadError."""
        try:
            told = json.loads(await self.run("status", RELEASE, "-o", "json", quietly=True))
        except FairleadError as error:
            if _NO_RELEASE in str(error):
                return Release()
            raise
        listed = json.loads(await self.run("list", "-a", "-f", f"^{RELEASE}$", "-o", "json", quietly=True))
        version = str(listed[0].get("app_version", "")) if listed else ""
        return Release(str(told["info"]["status"]), int(told["version"]), version)

    async def settle(self, found: Release) -> None:
        """Take back what an earlier Helm began and did not end."""
        if not found.is_interrupted:
            return
        self._tell(f"An earlier Helm was ended while it worked ({found.status}); what it began is taken back first.")
        if found.status in ("pending-install", "uninstalling"):
            await self.run("uninstall", RELEASE, "--no-hooks", "--wait")
        else:
            await self.run("rollback", RELEASE, "--no-hooks")

    async def install(self, values: Mapping[str, Any], extra: Sequence[Path], seconds: float, *, dry: bool) -> str:
        """Install, or bring up to date. `extra`: files with further values; `seconds`: for each Job of the chart. Gives what Helm said."""
        files = [word for file in extra for word in ("-f", str(file))]
        words = ["upgrade", RELEASE, self.chart, "--install", "--create-namespace", "--timeout", f"{seconds:.0f}s"]
        words += ["-f", "-", *files]
        return await self.run(*words, *(["--dry-run=server"] if dry else []), given=json.dumps(values))

    async def run(self, *words: str, given: str = "", quietly: bool = False) -> str:
        """What it said. Cancelled, it is interrupted as by Ctrl-C and waited for. Raises: FairleadError with its own sentence."""
        place = ["-n", self._namespace, *(["--kubeconfig", self._kubeconfig] if self._kubeconfig else [])]
        if not quietly:
            self._tell(f"$ {shlex.join(['helm', *words, *place])}")
        running = await asyncio.create_subprocess_exec(
            self._program,
            *words,
            *place,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(environment()),
            start_new_session=True,
        )
        try:
            said, complaint = await running.communicate(given.encode())
        except asyncio.CancelledError:
            await _interrupted(running)
            raise
        if running.returncode:
            raise _error(words[0], complaint.decode(errors="replace").strip())
        return said.decode(errors="replace")


async def _interrupted(running: asyncio.subprocess.Process) -> None:
    """Ends it in good order, so that it notes in the cluster how far it came."""
    if running.returncode is None:
        running.terminate()
        await asyncio.shield(running.wait())


def _error(verb: str, complaint: str) -> FairleadError:
    """In Helm's words, less what it repeats."""
    last = complaint.rpartition("Error: ")[2] or "it said nothing"
    if any(word in last.lower() for word in _OUT_OF_REACH):
        return Unreachable(f"Helm could not {verb}: {last}")
    return Conflict(f"Helm could not {verb}: {last}", code="helm")


def found_helm(named: str) -> str:
    """The program. `named`: a path, or empty for `helm` in PATH. Raises: Invalid."""
    found = shutil.which(named or "helm", path=environment().get("PATH", os.defpath))
    if found is None:
        raise Invalid(
            f"There is no {named or 'helm in PATH'}.",
            hint="Install Helm 3 or 4 (https://helm.sh/docs/intro/install), or name it: --helm PATH.",
            code="no-helm",
        )
    return found


def found_chart(named: str) -> str:
    """The chart: what is named, else the one that came with this program. Raises: Invalid."""
    if named:
        return named
    here = Path(__file__).parent
    for folder in (here / "chart", here.parents[2] / "deploy" / "chart"):
        if (folder / "Chart.yaml").is_file():
            return str(folder)
    raise Invalid(
        "This program came without its chart.", hint="Name it: --chart FOLDER, ARCHIVE or oci://ADDRESS.", code="chart"
    )
