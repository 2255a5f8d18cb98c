"""Builds Kubernetes components, cert-manager, CoreDNS and the Prometheus Operator from the Go module proxy, once per set of inputs.

`python -m tests.parts.build [part ...]` builds what is missing and prints where it is. A part is a component, `kubelet`, or
one of another version, `kube-apiserver@1.24.17`. A binary is kept under `$XDG_CACHE_HOME/fairlead/parts` (`~/.cache` by
default), named by a hash of everything it is made from; Go's own caches go into a temporary folder and are removed: several
parts of one version built with one such folder compile what they share once. On two cores a kube-apiserver takes three to
nine minutes, and each of the others half a minute or a minute after it; cert-manager, CoreDNS and the operator, alone, two to eight.
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
from dataclasses import dataclass
from pathlib import Path

NEWEST, OLDER = "1.34.3", "1.24.17"
CERT_MANAGER = "1.21.2"
PROMETHEUS_OPERATOR = "0.85.0"
COREDNS = "1.15.0"
_HERE = Path(__file__).parent
_SOURCES = {
    NEWEST: _HERE / "kubernetes",
    OLDER: _HERE / "kubernetes-1.24",
    CERT_MANAGER: _HERE / "cert-manager",
    PROMETHEUS_OPERATOR: _HERE / "prometheus-operator",
    COREDNS: _HERE / "coredns",
}
_ELSEWHERE = {"prometheus-operator": "github.com/prometheus-operator/prometheus-operator/cmd/operator"}
"""Programs that are whole in a module of others; all else is a few lines of ours about theirs."""


class Unavailable(Exception):
    """The part cannot be had on this machine; the message says why."""


def cache_folder() -> Path:
    """Give the folder that keeps built parts."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fairlead" / "parts"


@dataclass(frozen=True)
class Part:
    """A component of one version of Kubernetes, or a program of others in its own."""

    component: str
    version: str = NEWEST

    @property
    def source(self) -> Path:
        """The Go module it is built from."""
        return _SOURCES[self.version]

    @property
    def package(self) -> str:
        """What Go builds there."""
        return _ELSEWHERE.get(self.component, f"./cmd/{self.component}")

    def __str__(self) -> str:
        return self.component if self.version == NEWEST else f"{self.component}@{self.version}"


PARTS = (
    *(Part(path.name, version) for version, source in _SOURCES.items() for path in sorted(source.glob("cmd/*"))),
    Part("prometheus-operator", PROMETHEUS_OPERATOR),
)


def binary(part: Part, caches: Path | None = None) -> Path:
    """Give a built part, building it when it is not in the cache. `caches`: a folder for Go's, to share.

    Raises: Unavailable without Go or with one that is too old, RuntimeError when Go fails.
    """
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    built = sorted(cache_folder().glob(f"{part.component}-{_inputs(part)}-*"))
    if go is None:
        if not built:
            raise Unavailable(f"{part} is not built and there is no Go to build it")
        return built[-1]
    target = cache_folder() / f"{part.component}-{_inputs(part)}-{_go_version(go)}"
    if not target.exists():
        _build(go, part, target, caches)
    return target


def _inputs(part: Part) -> str:
    digest = hashlib.sha256(f"{part.version} {platform.machine()}".encode())
    for path in ("go.mod", "go.sum", f"cmd/{part.component}/main.go"):
        if part.component not in _ELSEWHERE or path.startswith("go."):
            digest.update((part.source / path).read_bytes())
    return digest.hexdigest()[:16]


def _go_version(go: str) -> str:
    return subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout.strip()


def shared_caches() -> tempfile.TemporaryDirectory[str]:
    """Give a folder for Go's caches that is removed after the `with`."""
    return tempfile.TemporaryDirectory(prefix="fairlead-go-")


def _build(go: str, part: Part, target: Path, caches: Path | None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f"{part}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            return
        with contextlib.nullcontext(caches) if caches else shared_caches() as scratch:
            _compile(go, part, target, Path(scratch))


def _compile(go: str, part: Part, target: Path, scratch: Path) -> None:
    out = scratch / part.component
    env = os.environ | {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -modcacherw -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOMODCACHE": os.environ.get("FAIRLEAD_GOMODCACHE") or str(scratch / "mod"),
        "GOCACHE": os.environ.get("FAIRLEAD_GOCACHE") or str(scratch / "cache"),
        "GOTMPDIR": str(scratch),
    }
    command = ["nice", go, "build", "-trimpath", "-ldflags", _named(part.version), "-o", str(out)]
    done = subprocess.run([*command, part.package], cwd=part.source, env=env, capture_output=True, text=True)
    if "requires go >=" in done.stderr:
        raise Unavailable(f"{part} needs a newer Go: {done.stderr.strip()[-200:]}")
    if done.returncode:
        raise RuntimeError(f"{part} could not be built: {done.stderr[-800:]}")
    half = target.with_suffix(".part")
    shutil.copy(out, half)
    half.rename(target)


def _named(version: str) -> str:
    """What makes the linker write the version into the binary, and leave out what only debuggers read."""
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version", "k8s.io/kubernetes/pkg/version")
    major, minor, _ = version.split(".")
    said = (("gitVersion", f"v{version}"), ("gitMajor", major), ("gitMinor", minor))
    return " ".join(["-s -w", *(f"-X {package}.{key}={value}" for package in packages for key, value in said)])


def main() -> int:
    """Build the parts named, or all; give 1 when one could not be had, 2 for a name that is none."""
    known = {str(part): part for part in PARTS}
    if wrong := set(sys.argv[1:]) - known.keys():
        print(f"no such part: {', '.join(sorted(wrong))}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    with shared_caches() as caches:
        for name in sys.argv[1:] or known:
            try:
                print(binary(known[name], Path(caches)))
            except Unavailable as error:
                print(error, file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
