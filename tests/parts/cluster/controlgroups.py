"""The control groups of a cluster's nodes: made before, and removed after, in whichever way this machine has them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path("/sys/fs/cgroup")
_INHERITED = ("cpuset.mems", "cpuset.cpus")
"""In version 1 a new group has none of these, and no process may enter before it does."""


def exist() -> bool:
    """Whether this machine has any."""
    return next(_hierarchies(), None) is not None


def make(name: str) -> None:
    """Make a group, whose parent may be missing too, in every hierarchy."""
    for hierarchy in _hierarchies():
        group = hierarchy
        for part in Path(name).parts:
            group /= part
            group.mkdir(exist_ok=True)
            for setting in _INHERITED:
                if (group.parent / setting).exists() and not (group / setting).read_text().strip():
                    (group / setting).write_text((group.parent / setting).read_text())


def remove(name: str) -> None:
    """Remove a group and those in it. A group can go once its last process has, which may take a moment."""
    for hierarchy in _hierarchies():
        for folder, _, _ in os.walk(hierarchy / name, topdown=False):
            end = time.monotonic() + 2
            while os.path.isdir(folder) and time.monotonic() < end:
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
                    break
                time.sleep(0.02)


def _hierarchies() -> Iterator[Path]:
    """Version 2 has one, version 1 has one for each resource, and both can be there."""
    for folder in (FOLDER, *(FOLDER.glob("*") if FOLDER.is_dir() else ())):
        if (folder / "cgroup.procs").exists():
            yield folder
            if folder == FOLDER:
                return
