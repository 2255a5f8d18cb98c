"""Container images made from a program of this machine, without a registry."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import re
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.parts.debian import program

BUSYBOX = "localhost/busybox:1"
"""A shell and some four hundred small programs."""
PROMETHEUS = "localhost/prometheus:debian"
"""Debian's Prometheus, with the libraries it needs and nothing else."""
PAUSE = "localhost/pause:1"
"""Holds a pod's namespaces: busybox asleep."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def busybox_images(folder: Path) -> tuple[Path, ...]:
    """Give archives of PAUSE and BUSYBOX. Raises: Unavailable."""
    busybox = program("busybox", "busybox-static")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True, timeout=20).stdout.split()
    layer = _layer({"bin/busybox": busybox.resolve()}, {f"bin/{applet}": "busybox" for applet in applets})
    asleep = {"Entrypoint": ["/bin/sleep", "2147483647"]}
    configs = {PAUSE: asleep, BUSYBOX: {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]}}
    return tuple(_archive(folder, image, config, layer) for image, config in configs.items())


def prometheus_image(folder: Path) -> Path:
    """Give an archive of PROMETHEUS. Raises: Unavailable."""
    found = program("prometheus", "prometheus").resolve()
    said = subprocess.run(["ldd", found], capture_output=True, text=True, check=True, timeout=20).stdout
    libraries = {path.lstrip("/"): Path(path).resolve() for path in re.findall(r"(/\S+) \(0x", said)}
    layer = _layer({"bin/prometheus": found, **libraries}, {})
    return _archive(folder, PROMETHEUS, {"Entrypoint": ["/bin/prometheus"]}, layer)


def _layer(files: Mapping[str, Path], links: Mapping[str, str]) -> bytes:
    """A root with these files and links, and a folder that anybody may write to."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in sorted({"bin", "etc", "tmp", *(str(Path(file).parent) for file in files)}):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(folder)
        for name, source in files.items():
            tar.add(source, name)
        for name, target in links.items():
            if name not in files:
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, target
                tar.addfile(link)
    return out.getvalue()


def _archive(folder: Path, image: str, config: Mapping[str, object], layer: bytes) -> Path:
    """Write what `docker save` would."""
    described = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [image], "Layers": ["layer.tar"]}]
    target = folder / f"{image.rpartition('/')[2].replace(':', '-')}.tar"
    members = {
        "config.json": json.dumps(described).encode(),
        "layer.tar": layer,
        "manifest.json": json.dumps(manifest).encode(),
    }
    with tarfile.open(target, "w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return target
