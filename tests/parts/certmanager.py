"""cert-manager: its controllers and its injector as one program, and its definitions, from its Go module."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.parts.apiserver import stop
from tests.parts.build import CERT_MANAGER, Part, Unavailable, binary, cache_folder, shared_caches

PART = Part("cert-manager", CERT_MANAGER)
_MODULE = "github.com/cert-manager/cert-manager"


@contextlib.contextmanager
def cert_manager(kubeconfig: Path, log: Path) -> Iterator[None]:
    """It runs on that API server, whose kinds it has added. Raises: Unavailable, RuntimeError."""
    program, definitions = parts()
    added = ["apply", "--server-side", "-f", str(definitions)]
    done = subprocess.run(["kubectl", "--kubeconfig", str(kubeconfig), *added], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"cert-manager's kinds could not be added: {done.stderr[-800:]}")
    with log.open("wb") as out:
        process = subprocess.Popen([program, str(kubeconfig)], stdout=out, stderr=out)
    try:
        yield
    finally:
        stop([process])


def parts() -> tuple[Path, Path]:
    """Give the program and the folder of its definitions, once they are there. Raises: Unavailable, RuntimeError."""
    return binary(PART), _definitions()


def _definitions() -> Path:
    """The folder with its custom resource definitions, kept beside the built parts."""
    target = cache_folder() / f"cert-manager-{CERT_MANAGER}-crds"
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / "cert-manager-crds.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _fetch(target)
    return target


def _fetch(target: Path) -> None:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise Unavailable("cert-manager's definitions are not there, and there is no Go to fetch its module")
    with shared_caches() as scratch:
        env = os.environ | {"GOMODCACHE": scratch, "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}
        command = [go, "mod", "download", "-json", _MODULE]
        done = subprocess.run(command, cwd=PART.source, env=env, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(f"cert-manager's module could not be fetched: {done.stdout[-400:]}{done.stderr[-400:]}")
        half = target.with_suffix(".part")
        shutil.rmtree(half, ignore_errors=True)
        crds = Path(json.loads(done.stdout)["Dir"]) / "deploy" / "crds"
        shutil.copytree(crds, half, ignore=lambda _, names: [name for name in names if not name.endswith(".yaml")])
        half.rename(target)
