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
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Unavailable(f"{name} is not installed (Debian: {' '.join(packages)}), and only root can install it")
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    for command in (["apt-get", "update", "-q"], install):
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
    if done.returncode or not (found := shutil.which(name)):
        raise Unavailable(f"{' '.join(packages)} could not be installed: {done.stderr[-400:]}")
    return Path(found)
