"""`fairlead up` on files and options that cannot be: a sentence with what to do, an exit code, and no process left."""

from __future__ import annotations

import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
from tests.cli.conftest import Cli
from tests.parts import certificates
from tests.parts.certificates import Leaf

from fairlead.cli.local import process
from fairlead.runtime.errors import Unreachable

SHOWN = ("lock", "api.crt")
"""Files that hold nothing to be kept from anybody."""
FILES = ("control-plane.db", "kubernetes.db")


@contextmanager
def held(file: Path) -> Iterator[None]:
    """The database is held by another program: this one."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("is_new", [True, False])
def test_a_held_database_is_named(fresh: Cli, name: str, is_new: bool) -> None:
    if not is_new:
        fresh.ok("up", "--port", "0")
        fresh.ok("down")
    with held(fresh.data / name):
        done = fresh.run("up", "--port", "0", timeout=100)
    assert done.returncode == 5, done.stderr
    assert f"The database {fresh.data / name} is held by another program." in done.stderr
    assert "Stop the program that has it open" in done.stderr
    assert _left(fresh.data) == []
    fresh.ok("up", "--port", "0")


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_database_is_named(fresh: Cli, name: str) -> None:
    (fresh.data / name).write_text("garbage " * 1000)
    done = fresh.run("up", "--port", "0")
    assert (done.returncode, f"{fresh.data / name} is not a database" in done.stderr) == (1, True), done.stderr
    assert ("bug of ours" in done.stderr, "Put a copy of it back" in done.stderr) == (False, True)
    assert (fresh.data / name).read_text().startswith("garbage")
    assert _left(fresh.data) == []


@pytest.mark.parametrize("content", ["{", "[]", '{"signing_key": 7}'])
def test_secrets_that_cannot_be_read_are_named(fresh: Cli, content: str) -> None:
    (fresh.data / "secrets.json").write_text(content)
    done = fresh.run("up", "--port", "0")
    told = f"{fresh.data / 'secrets.json'} does not hold the keys of an installation"
    assert (done.returncode, told in done.stderr, "bug of ours" in done.stderr) == (2, True, False), done.stderr
    assert (fresh.data / "secrets.json").read_text() == content


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--tls-cert", "/nope"), "--tls-cert /nope: there is no such file."),
        (("--tls-cert", __file__), f"{__file__} cannot be used for TLS"),
        (("--tls-cert", __file__, "--tls-key", "/nope"), "--tls-key /nope: there is no such file."),
        (("--tls-key", __file__), "--tls-key is given without --tls-cert."),
        (("--simulate", "0x8"), "--simulate '0x8' is not understood."),
    ],
)
@pytest.mark.parametrize("mode", [(), ("--foreground",)])
def test_options_that_cannot_be_are_wrong_use(
    fresh: Cli, words: tuple[str, ...], told: str, mode: tuple[str, ...]
) -> None:
    done = fresh.run("up", "--port", "0", *mode, *words)
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr


def test_a_host_that_is_not_this_machine_is_not_called_taken(fresh: Cli) -> None:
    certificates.write(fresh.data, {"here": Leaf("here")})
    pair = ("--tls-cert", str(fresh.data / "here.crt"), "--tls-key", str(fresh.data / "here.key"))
    done = fresh.run("up", "--host", "192.0.2.1", "--port", "0", *pair)
    assert (done.returncode, "an address of this machine" in done.stderr) == (1, True), done.stderr
    assert _left(fresh.data) == []


def test_a_second_up_looks_at_its_options(fresh: Cli) -> None:
    fresh.ok("up", "--port", "0", "--simulate", "2x8")
    wrong = fresh.run("up", "--simulate", "4x-8")
    assert (wrong.returncode, "--simulate '4x-8' is not understood." in wrong.stderr) == (2, True), wrong.stderr
    for words, told in (
        (("--port", "1"), "It was started without --port 1: `fairlead down` first"),
        (("--simulate", "4x8"), "It was started without --simulate 4x8: `fairlead down` first"),
    ):
        done = fresh.run("up", *words)
        assert (done.returncode, told in done.stderr) == (0, True), done.stderr
    for words in ((), ("--simulate", "2x8"), ("--port", fresh.state()["url"].rpartition(":")[2])):
        done = fresh.run("up", *words)
        assert (done.returncode, "It was started without" in done.stderr) == (0, False), done.stderr


def test_an_open_folder_shows_nobody_what_is_in_its_files(fresh: Cli) -> None:
    fresh.data.chmod(0o755)
    for name in (*FILES, "fairlead.log"):
        (fresh.data / name).touch(mode=0o644)
    fresh.ok("up", "--port", "0")
    open_to_others = {
        file.name: oct(stat.S_IMODE(file.stat().st_mode))
        for file in fresh.data.iterdir()
        if file.is_file() and file.name not in SHOWN and stat.S_IMODE(file.stat().st_mode) & 0o077
    }
    assert open_to_others == {}


def test_a_start_that_takes_too_long_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = tmp_path / "deaf"
    deaf.write_text(
        f"#!{sys.executable}\nimport signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)\n"
    )
    deaf.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(deaf))
    monkeypatch.setattr(process, "START_SECONDS", 1.0)
    monkeypatch.setattr(process, "STOP_SECONDS", 0.2)
    with pytest.raises(Unreachable, match="was not ready within 1 s"):
        process.start(tmp_path / "data", [])
    assert _left(tmp_path / "data") == []


def _left(data: Path) -> list[int]:
    """The processes that were started on that data and still run."""
    found = []
    for one in psutil.process_iter(["cmdline"]):
        words = one.info["cmdline"] or []
        if "--foreground" in words and str(data) in words:
            found.append(one.pid)
    return found
