"""The image that deploy/image/Dockerfile makes: built by podman, on base images that mmdebstrap makes in place of a registry's."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from tests.parts import podman
from tests.parts.build import Unavailable
from tests.parts.debian import program
from tests.parts.image import ROOT, UNREACHED

NAME = "localhost/fairlead:dockerfile"
_BASE = "docker.io/library/debian:bookworm"
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_TRUSTED = "/usr/local/share/authorities.pem"
_SITE = f"""FROM {_BASE}-slim
COPY authorities.pem {_TRUSTED}
ENV PIP_CERT={_TRUSTED} NODE_EXTRA_CA_CERTS={_TRUSTED}
"""
"""What is built with trusts what this machine does, as in a company whose proxy opens TLS; the image itself is made without."""


@dataclass(frozen=True)
class Built:
    """An image. `root`: what is in it, unpacked."""

    root: Path
    config: dict[str, Any]


@contextlib.contextmanager
def built() -> Iterator[Built]:
    """Give the image of this checkout; nothing is left of it. Raises: Unavailable, RuntimeError."""
    if os.geteuid() != 0:
        raise Unavailable("the Dockerfile is built as root")
    for name, *packages in (podman.PROGRAMS[0], ("mmdebstrap", "mmdebstrap")):
        program(name, *packages)
    with tempfile.TemporaryDirectory(prefix="fairlead-dockerfile-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o711)
        env = podman.alone(folder)
        _bases(folder, env)
        _build(env, NAME, ROOT / "deploy" / "image" / "Dockerfile", ROOT)
        root = Path(_run(env, "podman", "image", "mount", NAME).strip())
        config = msgspec.json.decode(_run(env, "podman", "image", "inspect", "--format={{json .Config}}", NAME))
        yield Built(root, config)


def _bases(folder: Path, env: Mapping[str, str]) -> None:
    """Those that the Dockerfile starts from, by their names."""
    archive, context = folder / "base.tar", folder / "context"
    _run(env, "mmdebstrap", "--quiet", "--variant=apt", "bookworm", str(archive))
    _run(env, "podman", "import", "--quiet", str(archive), f"{_BASE}-slim")
    archive.unlink()
    context.mkdir()
    (context / "Dockerfile").write_text(_SITE)
    shutil.copy(_AUTHORITIES, context / "authorities.pem")
    _build(env, _BASE, context / "Dockerfile", context)


def _build(env: Mapping[str, str], name: str, file: Path, context: Path) -> None:
    """Without a runtime for containers, which not every machine lets run."""
    how = ("--isolation=chroot", "--network=host", "--pull=never", "--layers=false")
    _run(env, "podman", "build", *how, f"--file={file}", f"--tag={name}", str(context))


def _run(env: Mapping[str, str], *words: str) -> str:
    done = subprocess.run(words, env=dict(env), capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode and any(word in said for word in UNREACHED):
        raise Unavailable(f"what the image is made of could not be fetched: {said[-400:]}")
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[:3])} failed: {said[-2000:]}")
    return done.stdout
