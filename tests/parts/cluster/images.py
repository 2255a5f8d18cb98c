"""Container images made from a program of this machine, without a registry."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.parts.debian import program

BUSYBOX = "localhost/busybox:1"
"""A shell and some four hundred small programs."""
PAUSE = "localhost/pause:1"
"""Holds a pod's namespaces: busybox asleep."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def busybox_images(folder: Path) -> tuple[Path, ...]:
    """Give archives of PAUSE and BUSYBOX. Raises: Unavailable."""
    busybox = program("busybox", "busybox-static")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True, timeout=20).stdout.split()
    layer = _layer(busybox.resolve(), applets)
    asleep = {"Entrypoint": ["/bin/sleep", "2147483647"]}
    configs = {PAUSE: asleep, BUSYBOX: {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]}}
    return tuple(_archive(folder, image, config, layer) for image, config in configs.items())


def _layer(busybox: Path, applets: list[str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("bin", "etc", "tmp"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(folder)
        tar.add(busybox, "bin/busybox")
        for applet in applets:
            if applet != "busybox":
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
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
