"""Whether a folder can hold data, and how it is said where it cannot."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest
from tests.parts.disks import small_disk

from fairlead.runtime.disk import is_full, make_usable
from fairlead.runtime.errors import Denied, Invalid, Retryable


def test_a_new_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    make_usable(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("inside", ["", "below"])
def test_a_file_in_the_way_is_wrong_use(tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Invalid, match="there is a file in its place"):
        make_usable(tmp_path / "file" / inside)


def test_a_folder_that_may_not_be_made_is_denied() -> None:
    with pytest.raises(Denied, match="cannot be used for data") as caught:
        make_usable(Path("/proc/fairlead"))
    assert "--data" in caught.value.hint


def test_a_disk_with_little_space_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 20 << 10) as folder, pytest.raises(Retryable, match="20 MiB are free") as caught:
        make_usable(folder)
    assert caught.value.code == "disk-full"


def test_a_full_disk_is_told_from_other_failures(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64) as folder:
        with pytest.raises(sqlite3.OperationalError) as caught:
            sqlite3.connect(folder / "db").execute("create table t as select zeroblob(1000000)")
        assert is_full(caught.value)
    assert [is_full(OSError(n, "")) for n in (errno.ENOSPC, errno.EDQUOT, errno.EIO)] == [True, True, False]
    assert not is_full(sqlite3.OperationalError("full of words"))
