"""The product's container image, built once per set of inputs."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import time
from pathlib import Path

from tests.parts.build import Unavailable, cache_folder
from tests.parts.debian import program

ROOT = Path(__file__).parents[2]
NAME = "localhost/fairlead:test"
_KEPT_SECONDS = 24 * 3600.0
UNREACHED = (
    "Failed to fetch",
    "Could not connect",
    "Could not resolve",
    "Temporary failure",
    "Read timed out",
    "Max retries exceeded",
    "a registry stalls",
)
"""What apt and pip say where their registry does not answer."""


def image() -> Path:
    """Give the archive of the image of this checkout, building it when it is not in the cache. Raises: Unavailable, RuntimeError."""
    target = cache_folder() / f"image-{_inputs()}.tar"
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            for old in target.parent.glob("image-*.tar"):
                if old.stat().st_mtime < time.time() - _KEPT_SECONDS:
                    old.unlink()
            build(target)
    return target


def build(target: Path) -> None:
    """Build it there, whole or not at all. Raises: Unavailable, RuntimeError."""
    program("mmdebstrap", "mmdebstrap")
    part = target.with_suffix(".part")
    command = [sys.executable, str(ROOT / "deploy" / "image" / "build.py"), str(part), "--name", NAME]
    done = subprocess.run(command, capture_output=True, text=True)
    if any(word in done.stderr for word in UNREACHED):
        raise Unavailable(f"what the image is made of could not be fetched: {done.stderr[-400:]}")
    if done.returncode:
        raise RuntimeError(f"the image could not be built: {done.stderr[-2000:]}")
    part.rename(target)


def _inputs() -> str:
    if not (ROOT / "src" / "fairlead" / "server" / "web" / "index.html").exists():
        raise Unavailable("the web pages are not built: make web")
    files = [ROOT / "pyproject.toml", ROOT / "constraints.txt", *(ROOT / "deploy" / "image").iterdir()]
    files += [f for f in (ROOT / "src").rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    head = subprocess.run(["git", "-C", str(ROOT), "log", "-1", "--format=%ct"], capture_output=True).stdout
    digest = hashlib.sha256(head)
    for file in sorted(files):
        digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return digest.hexdigest()[:16]
