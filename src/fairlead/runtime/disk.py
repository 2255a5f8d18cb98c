"""The disk that holds our data: made ready, and said plainly where it cannot be used."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Final

from fairlead.runtime.errors import Denied, FairleadError, Invalid, Retryable

FREE_MIB: Final = 32
"""Free space with which Fairlead starts at least. Units: MiB."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_SQLITE_FULL: Final = 13
_SQLITE_HELD: Final = (5, 6)
_SQLITE_BROKEN: Final = (11, 26)
_SQLITE_UNUSABLE: Final = (10, 14)


def make_usable(folder: Path) -> None:
    """Makes a data folder that only its owner can read, and looks whether there is space in it.

    Raises: Invalid where a file is in the way, Denied where it may not be written, Retryable where its disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        free = shutil.disk_usage(folder).free >> 20
    except OSError as error:
        raise _unusable(folder, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unusable(folder, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    if free < FREE_MIB:
        raise Retryable(
            _shortage(folder, free), hint="Free some space, or choose another folder with --data.", code="disk-full"
        )


def shortage(folder: Path) -> str:
    """Say in a sentence that the disk of that folder has less space than is needed; empty where it has enough."""
    try:
        free = shutil.disk_usage(folder).free >> 20
    except OSError:
        return ""
    return f"{_shortage(folder, free)} Free some space: what happens now cannot be written." if free < FREE_MIB else ""


def is_full(error: BaseException) -> bool:
    """Say whether that error is a disk without space, or a quota of disk space that is used up."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == _SQLITE_FULL


def full(place: object) -> Retryable:
    """Give the error of a disk without space. `place`: a file or folder on it."""
    text = f"The disk that holds {place} is full; nothing was changed."
    return Retryable(text, hint="Free some space and try again.", code="disk-full")


def make_private(file: Path) -> None:
    """Makes that file where there is none, and lets only its owner read it and what SQLite keeps beside it."""
    file.touch(mode=0o600)
    for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
        if (found := file.with_name(name)).exists():
            found.chmod(0o600)


def plain(error: BaseException, file: object) -> FairleadError | None:
    """Give what a person can do about a failure of SQLite with that file; None for one that nobody can do anything about."""
    if is_full(error):
        return full(file)
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if kind in _SQLITE_HELD:
        return Retryable(
            f"The database {file} is held by another program.",
            hint=f"Stop the program that has it open (`fuser {file}` names it), then try again.",
            code="database-locked",
        )
    if kind in _SQLITE_BROKEN:
        return FairleadError(
            f"{file} is not a database that can be read: {error}.",
            hint="Put a copy of it back, or choose another folder with --data; moved away, it is begun anew, empty.",
            code="database-broken",
        )
    if kind in _SQLITE_UNUSABLE:
        return Retryable(
            f"The database {file} cannot be read or written: {error}.",
            hint="Its disk is full or broken, or the file is not ours to write.",
            code="disk-error",
        )
    return None


def check_database(file: Path, seconds: float) -> None:
    """Passes a SQLite file that can be written now. Units: seconds to wait for whoever holds it. Raises: what `plain` gives."""
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=seconds, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("SELECT count(*) FROM sqlite_master")
            database.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise plain(error, file) or error from error


def _shortage(folder: Path, free: int) -> str:
    return f"The disk that holds {folder} is full: {free} MiB are free, and at least {FREE_MIB} MiB are needed."


def _unusable(folder: Path, error: OSError) -> FairleadError:
    if is_full(error):
        return full(folder)
    if isinstance(error, FileExistsError | NotADirectoryError):
        return Invalid(
            f"{folder} cannot be a folder for data: there is a file in its place.",
            hint="--data or FAIRLEAD_DATA must name a folder, or a new one.",
        )
    return Denied(
        f"The folder {folder} cannot be used for data: {error.strerror or error}.",
        hint="Choose one that you may write with --data or FAIRLEAD_DATA.",
    )
