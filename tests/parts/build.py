"""Builds Kubernetes components for the tests from the Go module proxy, once per set of inputs.

`python -m tests.parts.build [component ...]` builds what is missing and prints where it is. A binary is kept under
`$XDG_CACHE_HOME/fairlead/parts` (`~/.cache` by default), named by a hash of everything it is made from; Go's own caches
go into a temporary folder and are removed: several components built with one such folder compile what they share once. On
two cores kube-apiserver takes three to nine minutes, and each of the others half a minute or a minute after it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).parent / "kubernetes"
VERSION = "1.34.3"
COMPONENTS = tuple(sorted(path.name for path in (SOURCE / "cmd").iterdir()))


class Unavailable(Exception):
    """The part cannot be had on this machine; the message says why."""


def cache_folder() -> Path:
    """Give the folder that keeps built parts."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fairlead" / "parts"


def binary(component: str, caches: Path | None = None) -> Path:
    """Give a built component, building it when it is not in the cache. `caches`: a folder for Go's, to share.

    Raises: Unavailable without Go, RuntimeError when Go fails.
    """
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    built = sorted(cache_folder().glob(f"{component}-{_inputs(component)}-*"))
    if go is None:
        if not built:
            raise Unavailable(f"{component} is not built and there is no Go to build it")
        return built[-1]
    target = cache_folder() / f"{component}-{_inputs(component)}-{_go_version(go)}"
    if not target.exists():
        _build(go, component, target, caches)
    return target


def _inputs(component: str) -> str:
    digest = hashlib.sha256(f"{VERSION} {platform.machine()}".encode())
    for path in (SOURCE / "go.mod", SOURCE / "go.sum", SOURCE / "cmd" / component / "main.go"):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _go_version(go: str) -> str:
    return subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout.strip()


def shared_caches() -> tempfile.TemporaryDirectory[str]:
    """Give a folder for Go's caches that is removed after the `with`."""
    return tempfile.TemporaryDirectory(prefix="fairlead-go-")


def _build(go: str, component: str, target: Path, caches: Path | None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f"{component}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            return
        with contextlib.nullcontext(caches) if caches else shared_caches() as scratch:
            _compile(go, component, target, Path(scratch))


def _compile(go: str, component: str, target: Path, scratch: Path) -> None:
    out = scratch / component
    names = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version", "k8s.io/kubernetes/pkg/version")
    major, minor, _ = VERSION.split(".")
    pairs = [
        f"-X {name}.{key}={value}"
        for name in names
        for key, value in (("gitVersion", f"v{VERSION}"), ("gitMajor", major), ("gitMinor", minor))
    ]
    env = os.environ | {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -modcacherw -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOMODCACHE": os.environ.get("FAIRLEAD_GOMODCACHE") or str(scratch / "mod"),
        "GOCACHE": os.environ.get("FAIRLEAD_GOCACHE") or str(scratch / "cache"),
        "GOTMPDIR": str(scratch),
    }
    command = ["nice", go, "build", "-trimpath", "-ldflags", " ".join(["-s -w", *pairs]), "-o", str(out)]
    done = subprocess.run([*command, f"./cmd/{component}"], cwd=SOURCE, env=env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{component} could not be built: {done.stderr[-800:]}")
    part = target.with_suffix(".part")
    shutil.copy(out, part)
    part.rename(target)


def main() -> int:
    """Build the components named, or all; give 1 when one could not be had."""
    with shared_caches() as caches:
        for component in sys.argv[1:] or COMPONENTS:
            try:
                print(binary(component, Path(caches)))
            except Unavailable as error:
                print(error, file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
