"""The Dockerfile, built: what it makes for people with an engine is what `make image` packs without one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.image.test_image import Image
from tests.parts import image
from tests.parts.build import Unavailable
from tests.parts.dockerfile import Built, built

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

OURS = ("usr/lib/python3/dist-packages/", "usr/local/bin/")
NOTES = (".dist-info/RECORD", ".dist-info/REQUESTED")
"""Where pip writes down who asked for a package: fairlead there, nobody's name here."""
MAKER = "io.buildah.version"


@pytest.fixture(scope="module")
def dockerfile() -> Iterator[Built]:
    try:
        running = built()
        found = running.__enter__()
    except Unavailable as reason:
        pytest.skip(str(reason))
    try:
        yield found
    finally:
        running.__exit__(None, None, None)


@pytest.fixture(scope="module")
def packed() -> Image:
    try:
        return Image(image.image())
    except Unavailable as reason:
        pytest.skip(str(reason))


def test_it_has_the_same_files_beside_those_of_its_base(dockerfile: Built, packed: Image) -> None:
    theirs = {name: data for name, data in _unpacked(dockerfile.root) if not name.endswith(NOTES)}
    ours = {name: data for name, data in _in_layers(packed) if not name.endswith(NOTES)}
    assert len(ours) > 1000
    assert theirs.keys() ^ ours.keys() == set()
    assert [name for name, data in ours.items() if theirs[name] != data] == []


def test_it_runs_the_same_program_as_the_same_user(dockerfile: Built, packed: Image) -> None:
    config = dockerfile.config
    labels = {name: value for name, value in config["Labels"].items() if name != MAKER}
    assert {**config, "Labels": labels} == packed.config


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change its root folder")
def test_its_program_runs_as_nobody(dockerfile: Built) -> None:
    chroot = shutil.which("chroot") or "chroot"
    command = [chroot, "--userspec=65532:65532", str(dockerfile.root), "/usr/local/bin/fairlead", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "HOME": "/tmp"})
    assert (done.returncode, done.stdout.startswith("fairlead")) == (0, True), done.stderr


def _unpacked(root: Path) -> Iterator[tuple[str, bytes]]:
    for folder in OURS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file():
                yield str(path.relative_to(root)), path.read_bytes()


def _in_layers(packed: Image) -> Iterator[tuple[str, bytes]]:
    for layer in packed.layers():
        for info in layer:
            if info.isfile() and info.name.startswith(OURS):
                file = layer.extractfile(info)
                assert file is not None
                yield info.name, file.read()
