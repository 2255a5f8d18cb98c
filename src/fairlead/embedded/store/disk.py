"""The file behind the store: SQLite, one transaction for all that changed in one turn of the event loop.

The write-ahead log with `synchronous=NORMAL` survives the process being killed at any moment; a loss of power may lose
the last transactions, but never tears the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import orjson

from fairlead.embedded.store.memory import Change, Entry, Place
from fairlead.runtime.disk import make_private, plain

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS object (
    resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (resource, namespace, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_PUT: Final = "INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?)"
_CUT: Final = "DELETE FROM object WHERE resource = ? AND namespace = ? AND name = ?"
_MARK: Final = "INSERT OR REPLACE INTO state VALUES ('revision', ?)"


class Disk:
    """An open store file.

    Raises: FairleadError where another program holds the file, or it is broken; sqlite3.Error for other failures.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        path.parent.mkdir(parents=True, exist_ok=True)
        make_private(path)
        self._db = sqlite3.connect(path, isolation_level=None)
        try:
            # before WAL: its index is then in memory, a full disk opens
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self._db.close()
            raise plain(error, path) or error from error

    def load(self) -> tuple[int, list[tuple[Place, Entry]]]:
        """Give the last revision and every object."""
        row = self._db.execute("SELECT value FROM state WHERE key = 'revision'").fetchone()
        rows = self._db.execute("SELECT resource, namespace, name, revision, data FROM object")
        entries = [
            (Place(resource, namespace, name), Entry(orjson.loads(data), data, revision))
            for resource, namespace, name, revision, data in rows
        ]
        return (row[0] if row else 1), entries

    def commit(self, changes: Iterable[Change], revision: int) -> None:
        """Write all changes, or none."""
        last = {change.place: change.after for change in changes}
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(_PUT, [(*p, entry.revision, entry.data) for p, entry in last.items() if entry])
            self._db.executemany(_CUT, [tuple(p) for p, entry in last.items() if entry is None])
            self._db.execute(_MARK, (revision,))
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
