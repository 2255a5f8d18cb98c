"""The container image: what is in it, that it is made again to the same bytes, and that it runs as nobody on a root it cannot write."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts import image
from tests.parts.build import Unavailable
from tests.parts.image import NAME

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

MOST_BYTES = 250_000_000


@pytest.fixture(scope="module")
def archive() -> Path:
    try:
        return image.image()
    except Unavailable as reason:
        pytest.skip(str(reason))


class Image:
    """An archive that is read."""

    def __init__(self, archive: Path) -> None:
        with tarfile.open(archive) as tar:
            self._files = {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]  # all are files
        (self.manifest,) = self.read("manifest.json")
        self.config = self.read(self.manifest["Config"])["config"]

    def read(self, name: str) -> Any:
        """A JSON file."""
        return json.loads(self._files[name])

    def layers(self) -> Iterator[tarfile.TarFile]:
        """Its layers, lowest first."""
        for name in self.manifest["Layers"]:
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(self._files[name]))) as layer:
                yield layer


def test_it_is_small_enough_and_runs_as_nobody(archive: Path) -> None:
    found = Image(archive)
    assert found.manifest["RepoTags"] == [NAME]
    assert (found.config["User"], found.config["Entrypoint"]) == ("65532:65532", ["/usr/local/bin/fairlead"])
    assert sum(info.size for layer in found.layers() for info in layer) <= MOST_BYTES


def test_nothing_in_it_raises_rights_or_says_where_it_was_built(archive: Path) -> None:
    root = str(image.ROOT).encode()
    for layer in Image(archive).layers():
        for info in layer:
            assert not info.mode & 0o6000, info.name
            assert (info.uid, info.gid) == (0, 0)
            if info.isfile() and info.name.endswith(("RECORD", ".json", ".txt", ".py")):
                file = layer.extractfile(info)
                assert file is not None
                assert root not in file.read(), info.name


def test_the_same_inputs_give_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    try:
        image.build(tmp_path / "again.tar")
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert (tmp_path / "again.tar").read_bytes() == archive.read_bytes()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change its root folder")
@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--version",), 0, "fairlead "),
        (("run", "agent"), 2, "agent.url and agent.cluster"),
        (("run", "server"), 2, "not told its database"),
        (("simulate", "--help"), 0, "openb"),
    ],
)
def test_its_program_runs_as_nobody(root: Path, words: tuple[str, ...], code: int, told: str) -> None:
    command = [
        shutil.which("chroot") or "chroot",
        "--userspec=65532:65532",
        str(root),
        "/usr/local/bin/fairlead",
        *words,
    ]
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp"}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert (done.returncode, told in done.stdout + done.stderr) == (code, True), done.stderr


@pytest.fixture(scope="module")
def root(archive: Path) -> Iterator[Path]:
    """The image unpacked, where anybody may look."""
    with tempfile.TemporaryDirectory(prefix="fairlead-image-") as folder:
        Path(folder).chmod(0o755)
        for layer in Image(archive).layers():
            layer.extractall(folder, filter="fully_trusted")
        yield Path(folder)
