"""Commands as they work when they are copied from what was printed."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from fairlead.cli.rest import named_data, usual_data


def command(words: str, data: Path | None = None) -> str:
    """`fairlead` and the words, with the folder of the data (`data`, else the one that was named) where it is not the usual one."""
    return f"fairlead{_folder(data)} {words}"


def line(words: str, data: Path | None = None) -> str:
    """The same as a line by itself: called by name where it is on PATH, else by its place."""
    return f"{_program()}{_folder(data)} {words}"


def _folder(data: Path | None) -> str:
    folder = data or named_data()
    return f" --data {shlex.quote(str(folder))}" if folder and folder != _absolute(usual_data()) else ""


def _absolute(folder: Path) -> Path:
    return folder.expanduser().absolute()


def _program() -> str:
    if shutil.which("fairlead"):
        return "fairlead"
    place = Path(sys.executable).parent / "fairlead"
    here = Path.cwd()
    return str(place.relative_to(here)) if place.is_relative_to(here) else str(place)
