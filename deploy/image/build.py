"""`python deploy/image/build.py OUT.tar`: the image of all roles, made without a container engine.

Debian packages by mmdebstrap, Python packages as wheels, our own wheel, nothing else. OUT.tar is an OCI archive that
`ctr images import`, `skopeo copy oci-archive:` and `docker load` read. The same inputs give the same bytes: files are sorted, owned by
root and dated by the commit. Needs: mmdebstrap, and Python packages from the registry that pip is set up for.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
PYTHON = "3.11"
"""That of the Debian release."""
SUITE = "bookworm"
PACKAGES = ("base-files", "ca-certificates", "dash", "libstdc++6", "netbase", "python3")
USER = 65532
"""Nobody's number: the image runs as it."""
SITE = "usr/lib/python3/dist-packages"
MACHINES = {"x86_64": ("amd64", "x86_64"), "aarch64": ("arm64", "aarch64")}
LEFT_OUT = (
    *(
        "usr/share/doc/",
        "usr/share/man/",
        "usr/share/locale/",
        "usr/share/info/",
        "usr/share/lintian/",
        "usr/share/perl5/",
    ),
    *(
        "usr/share/bash-completion/",
        "var/cache/",
        "var/log/",
        "var/lib/apt/",
        "var/lib/dpkg/",
        "etc/apt/",
        "etc/cron.daily/",
    ),
    *("etc/logrotate.d/", "etc/resolv.conf", "etc/hostname", "etc/machine-id", "dev/", "boot/"),
)
"""Paths that nothing in the image reads, or that say where it was built."""
DEBIAN = "var/lib/dpkg/status.d/"
"""A file for each Debian package, its name and version in it: what scanners for vulnerabilities read where there is no dpkg."""
KEPT = re.compile(rf"{DEBIAN}.|usr/share/doc/[^/]+/copyright$")
"""Paths among those left out that stay: what each package is, and its licence."""
_PATIENCE = 400.0
"""What takes 60 s on two cores. Units: seconds."""
SOURCES = (".c", ".cpp", ".pyx", ".pxd", ".pxi", ".pyi", ".h", ".a")
"""What compiled packages were made from."""


def main() -> int:
    """Builds it; says what it does and how large the result is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--name", default="", help="name of the image in the archive; fairlead:VERSION unless said")
    options = parser.parse_args()
    if shutil.which("mmdebstrap") is None:
        print("mmdebstrap is needed: apt-get install --no-install-recommends mmdebstrap", file=sys.stderr)
        return 2
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    build(options.out, options.name or f"fairlead:{version}")
    return 0


def build(out: Path, name: str) -> None:
    """Writes the archive of an image of that name."""
    date = _date()
    with tempfile.TemporaryDirectory(prefix="fairlead-image-") as scratch:
        folder = Path(scratch)
        step("Building the wheel", lambda: _wheel(folder))
        step("Fetching the Python packages", lambda: _dependencies(folder))
        step("Fetching the Debian packages", lambda: _root(folder, date))
        layers = step("Packing", lambda: _layers(folder / "root.tar", date))
    out.parent.mkdir(parents=True, exist_ok=True)
    size = _archive(out, name, layers, date)
    print(f"{name} in {out}: {size >> 20} MiB unpacked, {out.stat().st_size >> 20} MiB as a file", file=sys.stderr)


def step(what: str, work: Callable[[], T]) -> T:
    """What the work gives; says what is done and how long it took."""
    print(f"{what} ...", file=sys.stderr, flush=True)
    began = time.monotonic()
    found = work()
    print(f"{what}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return found


def _date() -> int:
    """When the commit was made: the date of everything in the image. Units: seconds since 1970."""
    if said := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(said)
    done = subprocess.run(["git", "-C", str(ROOT), "log", "-1", "--format=%ct"], capture_output=True, text=True)
    return int(done.stdout or 0)


def _wheel(folder: Path) -> None:
    """Our own wheel, installed by its name: nothing in it says where it was built."""
    made = folder / "wheel"
    _run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(made), str(ROOT))
    _install(folder / "ours", "--no-deps", "--no-index", "--find-links", str(made), "fairlead")


def _dependencies(folder: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    _install(folder / "site", "-c", str(ROOT / "constraints.txt"), *project["dependencies"])


def _install(into: Path, *what: str) -> None:
    """Wheels for the image's Python, whatever runs this; of several, the one that pip takes there: for the newest system."""
    _, machine = MACHINES[platform.machine()]
    platforms = [
        f"--platform={p}_{machine}" for p in ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
    ]
    _run(
        *(
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "--no-compile",
            "--target",
            str(into),
        ),
        *("--python-version", PYTHON, "--implementation", "cp", "--only-binary=:all:", *platforms, *what),
    )


def _root(folder: Path, date: int) -> None:
    """Everything as one tar, with our parts copied in and compiled by the Python that will run them."""
    for part in ("site", "ours"):
        _slim(folder / part)
    what = "-q --invalidation-mode unchecked-hash /usr/lib/python3 /usr/lib/python3.11"
    compile_all = f"PYTHONHASHSEED=0 /usr/bin/python3 -m compileall {what}"
    say_packages = (
        f"mkdir -p $1/{DEBIAN} && for deb in $1/var/cache/apt/archives/*.deb; do"
        f" dpkg-deb --field $deb > $1/{DEBIAN}$(dpkg-deb --field $deb Package) || exit 1; done"
    )
    _run(
        *("mmdebstrap", "--quiet", "--variant=extract", f"--include={','.join(PACKAGES)}"),
        f"--extract-hook={say_packages}",
        f"--extract-hook=mkdir -p $1/{SITE} && cp -r {folder}/site/. {folder}/ours/. $1/{SITE}/",
        f"--extract-hook=chroot $1 /bin/dash -c '{compile_all}'",
        *(SUITE, str(folder / "root.tar")),
        env={**os.environ, "SOURCE_DATE_EPOCH": str(date)},
    )


def _slim(site: Path) -> None:
    """Without tests of others, sources of compiled parts, and commands, which name the Python that fetched them. RECORD lists what is
    left."""
    shutil.rmtree(site / "bin", ignore_errors=True)
    for path in sorted(site.rglob("*"), reverse=True):
        if path.is_dir() and path.name == "tests" and path.parent != site:
            shutil.rmtree(path)
        elif path.is_file() and path.suffix in SOURCES:
            path.unlink()
    for record in site.glob("*.dist-info/RECORD"):
        lines = csv.reader(record.read_text().splitlines())
        there = [line for line in lines if (site / line[0]).exists()]
        with record.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(there)


def _layers(root: Path, date: int) -> list[bytes]:
    """Three layers as tars, rarely changing first: Debian, Python packages, Fairlead."""
    parts: list[dict[str, tuple[tarfile.TarInfo, bytes]]] = [_added(), {}, {}]
    with tarfile.open(root) as tar:
        for info in tar:
            info.name = info.name.removeprefix("./").rstrip("/")
            left_out = f"{info.name}/".startswith(LEFT_OUT) and not KEPT.match(info.name)
            if info.name in ("", ".") or info.isdev() or left_out:
                continue
            if info.islnk():
                info.linkname = info.linkname.removeprefix("./")
            content = tar.extractfile(info).read() if info.isfile() else b""  # type: ignore[union-attr]  # of a file there is one
            parts[_layer_of(info.name)].setdefault(info.name, (info, content))
    authorities = [
        c for name, (_, c) in sorted(parts[0].items()) if name.startswith("usr/share/ca-certificates/mozilla/")
    ]
    _put(parts[0], "etc/ssl/certs/ca-certificates.crt", b"".join(authorities))
    return [_tar(part.values(), date) for part in parts]


def _layer_of(name: str) -> int:
    inside = name.removeprefix(f"{SITE}/") if name.startswith(f"{SITE}/") else ""
    return 0 if not inside else 2 if inside.startswith("fairlead") else 1


def _added() -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    """The command, and the user it runs as."""
    found: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
    _put(found, "usr/local/bin/fairlead", (ROOT / "deploy" / "image" / "fairlead").read_bytes(), 0o755)
    _put(
        found,
        "etc/passwd",
        f"root:x:0:0:root:/root:/bin/dash\nfairlead:x:{USER}:{USER}:fairlead:/tmp:/bin/dash\n".encode(),
    )
    _put(found, "etc/group", f"root:x:0:\nfairlead:x:{USER}:\n".encode())
    link = tarfile.TarInfo("bin/sh")
    link.type, link.linkname, link.mode = tarfile.SYMTYPE, "dash", 0o777
    found[link.name] = (link, b"")
    return found


def _put(part: dict[str, tuple[tarfile.TarInfo, bytes]], name: str, content: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    part[name] = (info, content)


def _tar(entries: Iterable[tuple[tarfile.TarInfo, bytes]], date: int) -> bytes:
    """A layer: sorted, owned by root, dated."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for info, content in sorted(entries, key=lambda entry: entry[0].name):
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mtime, info.pax_headers = date, {}
            info.mode &= 0o1777  # nothing in it runs as another user
            tar.addfile(info, io.BytesIO(content) if info.isfile() else None)
    return out.getvalue()


def _archive(out: Path, name: str, layers: list[bytes], date: int) -> int:
    """Writes the OCI archive; gives the unpacked size in bytes."""
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, media: str) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(content)}

    packed = [blob(gzip.compress(layer, 6, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip") for layer in layers]
    config = blob(_json(_config(layers, date)), "application/vnd.oci.image.config.v1+json")
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": packed}
    names = {"org.opencontainers.image.ref.name": name.rpartition(":")[2], "io.containerd.image.name": name}
    index = {"schemaVersion": 2, "manifests": [blob(_json(manifest), _MANIFEST) | {"annotations": names}]}
    path = {item["digest"]: f"blobs/{item['digest'].replace(':', '/')}" for item in (config, *packed)}
    older = [
        {"Config": path[config["digest"]], "RepoTags": [name], "Layers": [path[item["digest"]] for item in packed]}
    ]
    files = {
        **blobs,
        "index.json": _json(index),
        "manifest.json": _json(older),
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
    }
    entries: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
    for file, content in files.items():
        _put(entries, file, content)
    out.write_bytes(_tar(entries.values(), date))
    return sum(map(len, layers))


_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def _config(layers: list[bytes], date: int) -> dict[str, Any]:
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(date))
    architecture, _ = MACHINES[platform.machine()]
    return {
        "created": created,
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": f"{USER}:{USER}",
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1", "LANG=C.UTF-8", "HOME=/tmp"],
            "Entrypoint": ["/usr/local/bin/fairlead"],
            "Cmd": ["--help"],
            "Labels": {"org.opencontainers.image.title": "Fairlead", "org.opencontainers.image.licenses": "Apache-2.0"},
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]},
        "history": [{"created": created, "created_by": by} for by in ("debian", "python packages", "fairlead")],
    }


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _run(*words: str, env: dict[str, str] | None = None) -> None:
    """Raises: SystemExit with what the program said, or that it waits for a registry that does not answer."""
    try:
        done = subprocess.run(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode(errors="replace")[-3000:]
        raise SystemExit(
            f"{words[0]} did not end within {_PATIENCE:g} s: a registry stalls. Run it again.\n{said}"
        ) from late
    if done.returncode:
        raise SystemExit(f"{words[0]} failed:\n{done.stdout[-3000:]}")


if __name__ == "__main__":
    raise SystemExit(main())
