"""Custom resource definitions that others make, from their Go modules, kept beside the built parts."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.parts.build import Part, Unavailable, cache_folder, shared_caches


def definitions(part: Part, module: str, *folders: str) -> Path:
    """Give a folder with the definitions that are in those folders of the part's module. Raises: Unavailable."""
    target = cache_folder() / f"{part.component}-{part.version}-crds"
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f"{part.component}-crds.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _fetch(part, module, Path(*folders), target)
    return target


def _fetch(part: Part, module: str, folder: Path, target: Path) -> None:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise Unavailable(f"the definitions of {part} are not there, and there is no Go to fetch its module")
    with shared_caches() as scratch:
        env = os.environ | {"GOMODCACHE": scratch, "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}
        command = [go, "mod", "download", "-json", module]
        done = subprocess.run(command, cwd=part.source, env=env, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(f"the module of {part} could not be fetched: {done.stdout[-400:]}{done.stderr[-400:]}")
        half = target.with_suffix(".part")
        shutil.rmtree(half, ignore_errors=True)
        crds = Path(json.loads(done.stdout)["Dir"]) / folder
        shutil.copytree(crds, half, ignore=lambda _, names: [name for name in names if not name.endswith(".yaml")])
        half.rename(target)
