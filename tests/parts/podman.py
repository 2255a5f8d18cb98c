"""A real container engine for tests: Debian's podman with its storage in a folder, and one tiny image made without a registry."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.parts.build import Unavailable
from tests.parts.debian import program

PROGRAMS = (("podman", "podman", "runc"), ("busybox", "busybox-static"))
IMAGE = "localhost/tiny:1"
"""Busybox; by itself it prints the words of its entrypoint and command."""
_APPLETS = ("sh", "sleep", "echo", "env", "pwd", "cat", "kill")
_RUNTIMES = (("runc", "enabled"), ("crun", "enabled"), ("crun", "disabled"))
"""(runtime, control groups) in the order they are tried: what works depends on the machine."""


def engine(folder: Path) -> Mapping[str, str]:
    """Give the environment in which `podman` uses only `folder` and knows IMAGE. Raises: Unavailable where no container runs here."""
    busybox = [program(*words) for words in PROGRAMS][-1]
    if os.geteuid() != 0:
        raise Unavailable("the tests of containers need root")
    env = alone(folder)
    _import(folder, busybox, env)
    reasons = []
    for runtime, groups in _RUNTIMES:
        _settings(folder, runtime, groups)
        done = podman(env, "run", "--rm", "--network=host", IMAGE)
        if done.returncode == 0:
            return env
        reasons.append(f"{runtime}, control groups {groups}: {done.stderr.strip()[-200:]}")
    raise Unavailable(f"podman cannot run a container here: {'; '.join(reasons)}")


def alone(folder: Path) -> Mapping[str, str]:
    """Give the environment in which `podman` uses only `folder`; nothing is tried."""
    store = f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/storage"\nrunroot = "{folder}/run"\n'
    (folder / "storage.conf").write_text(store)
    _settings(folder, *_RUNTIMES[0])
    files = {"CONTAINERS_CONF": "containers.conf", "CONTAINERS_STORAGE_CONF": "storage.conf"}
    return {**os.environ, **{variable: f"{folder}/{name}" for variable, name in files.items()}}


def holds_limits(env: Mapping[str, str]) -> bool:
    """Whether containers have control groups here."""
    return 'cgroups = "enabled"' in Path(env["CONTAINERS_CONF"]).read_text()


def podman(env: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Give what podman answers."""
    return subprocess.run(["podman", *words], env=dict(env), capture_output=True, text=True, timeout=240)


def _settings(folder: Path, runtime: str, groups: str) -> None:
    """Limits are kept low: a machine's own may be above what it lets a container have."""
    (folder / "containers.conf").write_text(
        f'[containers]\ncgroups = "{groups}"\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]\n'
        f'[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "{runtime}"\n'
    )


def _import(folder: Path, busybox: Path, env: Mapping[str, str]) -> None:
    content = folder / "image.tar"
    with tarfile.open(content, "w") as tar:
        tar.add(busybox.resolve(), "bin/busybox")
        for applet in _APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    says = ('ENTRYPOINT ["echo", "entry"]', 'CMD ["command"]')
    done = podman(env, "import", *(f"--change={word}" for word in says), str(content), IMAGE)
    if done.returncode != 0:
        raise Unavailable(f"podman cannot make an image here: {done.stderr.strip()[-400:]}")
