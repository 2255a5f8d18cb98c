"""The container image: what is in it, that it is made again to the same bytes, and that it runs as nobody on a root it cannot write."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import re
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
DEBIAN = "var/lib/dpkg/status.d/"


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


def test_it_says_which_packages_it_is_made_of_and_their_licences(archive: Path) -> None:
    packages = _packages(archive)
    assert {"python3.11", "libssl3", "ca-certificates"} <= packages.keys()
    assert packages["python3.11"].startswith("3.11.")
    assert "usr/share/doc/libssl3/copyright" in _files(archive)


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


def test_what_was_installed_names_nothing_that_is_not_there(archive: Path) -> None:
    """A command that was left out would stand there by a digest of the path of the Python that built it."""
    files = _files(archive)
    records = {name: content.decode() for name, (_, content) in files.items() if name.endswith(".dist-info/RECORD")}
    assert len(records) > 10
    for name, text in records.items():
        listed = {f"{Path(name).parents[1]}/{line[0]}" for line in csv.reader(text.splitlines())}
        assert listed - files.keys() == set(), name


def test_the_same_inputs_give_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    try:
        image.build(tmp_path / "again.tar")
    except Unavailable as reason:
        pytest.skip(str(reason))
    again = tmp_path / "again.tar"
    if _packages(again) != _packages(archive):  # Debian mended one since the first was built
        archive = again.rename(tmp_path / "first.tar")
        image.build(again)
    if _digest(again) != _digest(archive):
        first, second = _files(archive), _files(again)
        differ = sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
        pytest.fail(f"the two archives differ in {len(differ)} files, or in none but their order: {differ[:40]}")


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _packages(archive: Path) -> dict[str, str]:
    """Debian's packages in it and the version of each, as a scanner finds them."""
    told = {name: content.decode() for name, (_, content) in _files(archive).items() if name.startswith(DEBIAN)}
    return {Path(name).name: re.findall("^Version: (.+)$", text, re.MULTILINE)[0] for name, text in told.items()}


def _files(archive: Path) -> dict[str, tuple[dict[str, Any], bytes]]:
    """What its layers hold, by path: what is said of each file, and what is in it."""
    found: dict[str, tuple[dict[str, Any], bytes]] = {}
    for layer in Image(archive).layers():
        for info in layer:
            content = layer.extractfile(info) if info.isfile() else None
            found[info.name] = (info.get_info(), content.read() if content is not None else b"")
    return found


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
