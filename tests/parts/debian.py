"""Programs that Debian packages: found, or installed where the tests run as root."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.parts.build import Unavailable


def program(name: str, *packages: str) -> Path:
    """Give the path of a program, installing its packages when it is missing and we may. Raises: Unavailable."""
    if found := shutil.which(name):
        return Path(found)
    install(name, *packages)
    if not (found := shutil.which(name)):
        raise Unavailable(f"{' '.join(packages)} has no {name}")
    return Path(found)


def install(name: str, *packages: str) -> None:
    """Install packages, for the sake of `name`. Raises: Unavailable where that cannot be done."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Unavailable(f"{name} is not installed (Debian: {' '.join(packages)}), and only root can install it")
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    for words in (["apt-get", "update", "-q"], command):
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise Unavailable(f"{' '.join(packages)} could not be installed: {done.stderr[-400:]}")
