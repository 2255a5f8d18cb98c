"""Helm 3 and 4, built once from the Go module proxy and kept beside the other parts."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.parts.build import Unavailable, cache_folder

MODULES = {3: "helm.sh/helm/v3/cmd/helm@v3.22.0", 4: "helm.sh/helm/v4/cmd/helm@v4.3.1"}


def helm(major: int) -> Path:
    """Give that Helm, building it (four to six minutes) when it is not in the cache. Raises: Unavailable, RuntimeError."""
    module = MODULES[major]
    target = cache_folder() / f"helm-{module.rpartition('@')[2]}"
    if target.exists():
        return target
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise Unavailable(f"Helm {major} is not built and there is no Go to build it")
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f"helm-{major}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _build(go, module, target)
    return target


def _build(go: str, module: str, target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="fairlead-go-") as scratch:
        env = os.environ | {
            "CGO_ENABLED": "0",
            "GOFLAGS": "-modcacherw",
            "GOTOOLCHAIN": "local",
            "GOBIN": scratch,
            "GOMODCACHE": f"{scratch}/mod",
            "GOCACHE": f"{scratch}/cache",
        }
        command = ["nice", go, "install", "-trimpath", "-ldflags", "-s -w", module]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{module} could not be built: {done.stderr[-800:]}")
        part = target.with_suffix(".part")
        shutil.copy(Path(scratch) / "helm", part)
        part.rename(target)
