"""`fairlead up` where its data cannot be: each a sentence with what to do, and an exit code that is not a bug's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Cli
from tests.parts.disks import fill, small_disk

from fairlead.cli.exits import Exit, exit_of
from fairlead.embedded import up
from fairlead.embedded.up import UpOptions, serve
from fairlead.runtime.errors import Retryable


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Cli]:
    """Data on a disk that is just large enough to start."""
    with small_disk(tmp_path / "disk", 40 << 10) as folder:
        cli = Cli(folder / "data")
        yield cli
        cli.run("down")


@pytest.mark.parametrize("mode", [(), ("--foreground",)])
def test_a_file_as_data_folder_is_wrong_use(fresh: Cli, mode: tuple[str, ...]) -> None:
    file = fresh.data / "file"
    file.write_text("content")
    done = fresh.run("up", "--data", str(file), *mode, "--port", "0")
    assert (done.returncode, f"{file} cannot be a folder for data" in done.stderr) == (2, True)
    assert "--data or FAIRLEAD_DATA must name a folder" in done.stderr
    assert file.read_text() == "content"


@pytest.mark.parametrize("mode", [(), ("--foreground",)])
def test_a_full_disk_is_said_at_once(tmp_path: Path, mode: tuple[str, ...]) -> None:
    with small_disk(tmp_path / "disk", 500) as folder:
        done = Cli(folder).run("up", *mode, "--port", "0", timeout=100)
    assert (done.returncode, "is full: 0 MiB are free, and at least 32 MiB" in done.stderr) == (5, True)
    assert "Free some space, or choose another folder with --data." in done.stderr


@pytest.mark.parametrize("kib", [16, 64, 200, 320, 400, 440, 480])
async def test_a_disk_that_becomes_full_while_it_starts_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kib: int
) -> None:
    monkeypatch.setattr(up, "make_usable", lambda folder: folder.mkdir(exist_ok=True))
    with small_disk(tmp_path / "disk", kib) as folder, pytest.raises(Retryable) as caught:
        await serve(UpOptions(data=folder, port=0))
    assert caught.value.code in ("disk-full", "disk-error")
    assert str(folder) in caught.value.message


def test_a_running_fairlead_outlives_a_full_disk(roomy: Cli) -> None:
    roomy.ok("up", "--port", "0")
    ballast = fill(roomy.data)
    (roomy.data / "cli-token.json").unlink(missing_ok=True)
    refused = roomy.run("project", "create", "team", "--gpus", "2")
    assert (refused.returncode, "is full; nothing was changed" in refused.stderr) == (5, True), refused.stderr
    assert roomy.json("project", "list") == []
    ballast.unlink()
    roomy.ok("project", "create", "team", "--gpus", "2")
    roomy.ok("submit", "one", "-p", "team", "-i", "x", "-g", "1", "--follow", "--", "true")


def test_work_that_ends_while_the_disk_is_full_is_not_run_again(roomy: Cli) -> None:
    roomy.ok("up", "--port", "0")
    roomy.ok("project", "create", "team", "--gpus", "2")
    go = roomy.data.parent.parent / "go"
    script = f"echo begun; while [ ! -e {go} ]; do sleep 0.1; done; exit 0"
    roomy.ok("submit", "one", "-p", "team", "-i", "x", "-g", "1", "--", "sh", "-c", script)
    roomy.until("logs", "one", "-p", "team", told="begun")
    ballast = fill(roomy.data)
    go.touch()
    for command in (("status",), ("list",), ("logs", "one", "-p", "team")):
        told = roomy.run(*command)
        assert (told.returncode, "is full: 0 MiB are free" in told.stderr) == (0, True), (command, told)
    ballast.unlink()
    roomy.until("list", "-p", "team", told="Completed")
    assert "is full" not in roomy.run("status").stderr
    (pod,) = (p for p in roomy.json("describe", "one", "-p", "team")["pods"])
    assert pod["name"] == "one-0"


def test_a_full_disk_met_by_a_command_is_no_bug(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert exit_of(OSError(28, "No space left on device", "/data/snapshot.yaml")) == Exit.UNREACHABLE
    assert "The disk that holds /data/snapshot.yaml is full" in capsys.readouterr().err


def test_a_bug_whose_details_find_no_space_is_still_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert exit_of(KeyError("x")) == Exit.BUG
    assert "bug of ours: KeyError. Its details could not be written" in capsys.readouterr().err
