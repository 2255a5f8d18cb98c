"""Log files: rotated, read from the end, followed, and kept when their pod goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from fairlead.kube.client import LogOptions

ROTATE_BYTES = 16 << 20
"""A log larger than this is moved aside; one older part is kept."""
_PIECE = 64 << 10
_POLL_SECONDS = 0.1


def rotate(log: Path) -> None:
    """Moves what is written aside once it is large. The writer appends, so it goes on in the emptied file."""
    try:
        if log.stat().st_size < ROTATE_BYTES:
            return
        log.with_suffix(".log.1").write_bytes(log.read_bytes())
        with log.open("r+b") as file:
            file.truncate(0)
    except FileNotFoundError:
        return


class EarlierLogs:
    """Logs of pods that are gone: the last of each name and owner, so that work that was suspended or evicted can be read of later.

    The newest `most` logs stay, whatever becomes of their owners.
    """

    def __init__(self, folder: Path, most: int = 100) -> None:
        self._folder = folder
        self._most = most

    def keep(self, log: Path, pod: str) -> None:
        """Moves the log of a pod here under the name `name_of` gave. An empty one replaces nothing."""
        content = [part for part in (log.with_suffix(".log.1"), log) if part.exists() and part.stat().st_size]
        if not content:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = self._folder / f"{pod}.log"
        kept.with_suffix(".log.1").unlink(missing_ok=True)
        for part in content:
            part.replace(kept.with_suffix("".join(part.suffixes)))
        for old in sorted(self._folder.glob("*.log"), key=lambda f: f.stat().st_mtime)[: -self._most]:
            old.unlink()
            old.with_suffix(".log.1").unlink(missing_ok=True)

    def find(self, namespace: str, name: str, owner: str) -> Path | None:
        """The log of the last pod of that name and owner (UID; any where it is empty) that is gone."""
        found = self._folder.glob(f"{name_of(namespace, name, owner or '*')}.log")
        return max(found, key=lambda f: f.stat().st_mtime, default=None)


def name_of(namespace: str, name: str, owner: str) -> str:
    """What `EarlierLogs` calls the log of a pod: no name in Kubernetes holds an underscore."""
    return f"{namespace}_{name}_{owner}"


async def read(log: Path, options: LogOptions, is_over: Callable[[], bool]) -> AsyncIterator[bytes]:
    """The log's content, then, with follow, what is added until `is_over`."""
    older, present = _content(log.with_suffix(".log.1")), _content(log)
    position = len(present)
    yield _tail(older + present, options.tail_lines)
    while options.follow:
        over = is_over()
        added, position = _added(log, position)
        if added:
            yield added
        elif over:
            return
        else:
            await asyncio.sleep(_POLL_SECONDS)


def _content(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _tail(content: bytes, lines: int | None) -> bytes:
    if lines is None:
        return content
    return b"".join(content.splitlines(keepends=True)[-lines:]) if lines else b""


def _added(log: Path, position: int) -> tuple[bytes, int]:
    try:
        size = log.stat().st_size
    except FileNotFoundError:
        return b"", position
    if size < position:
        position = 0
    if size == position:
        return b"", position
    with log.open("rb") as file:
        file.seek(position)
        piece = file.read(_PIECE)
    return piece, position + len(piece)
