"""The database: engine, transactions, migrations. SQLite with one writer by default, PostgreSQL for production."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from fairlead.runtime.disk import plain
from fairlead.runtime.errors import Invalid
from fairlead.server.db import stored

_LOCK_SECONDS = 15.0
"""How long a statement waits for another process that holds the SQLite file."""
_NEWEST = "head"
"""The migration to go to."""
_DATA_ERRORS = "22"
"""PostgreSQL's class of errors of values, such as a zero byte in a text."""


class Database:
    """Opens short transactions. A SQLite file has one writer, so writers queue here instead of failing there."""

    def __init__(self, url: str, **options: Any) -> None:
        """`options`: of SQLAlchemy's engine, instead of ours."""
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.file = Path(url.partition("///")[2]) if self.is_sqlite else None
        """The SQLite file."""
        self.engine = _engine(url, options, is_sqlite=self.is_sqlite)
        self._writer = asyncio.Lock()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose work is rolled back at the end."""
        try:
            async with self.engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise _plain(error, self.url) from error

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction, committed at the end, rolled back by any exception.

        Raises: Retryable where another process holds the file.
        """
        async with self._writer if self.is_sqlite else nullcontext():
            try:
                async with self.engine.begin() as connection:
                    yield connection
            except DBAPIError as error:
                raise _plain(error, self.url) from error

    async def answers(self) -> bool:
        """Whether it can be read now."""
        try:
            async with self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError):
            return False
        return True

    async def migrate(self) -> None:
        """Brings the tables to this version's form."""
        try:
            async with self.engine.connect() as connection:
                await connection.run_sync(_upgrade)
                await connection.commit()
        except DBAPIError as error:
            raise _plain(error, self.url) from error

    async def close(self) -> None:
        """Returns all connections."""
        await self.engine.dispose()


def _engine(url: str, options: dict[str, Any], *, is_sqlite: bool) -> AsyncEngine:
    json: dict[str, Any] = {"json_serializer": stored.write, "json_deserializer": stored.as_text}
    if not is_sqlite:
        return create_async_engine(url, **{"pool_size": 8, "max_overflow": 8, "pool_pre_ping": True, **json, **options})
    engine = create_async_engine(url, **{"connect_args": {"timeout": _LOCK_SECONDS}, **json, **options})

    @event.listens_for(engine.sync_engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        try:
            cursor = connection.cursor()
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()
        except BaseException:
            connection.close()  # the pool does not know it yet
            raise

    @event.listens_for(engine.sync_engine, "invalidate")
    def _let_go(connection: Any, _record: Any, _error: BaseException | None) -> None:
        """SQLite keeps the write lock of a closed connection while a cancelled statement of it is still referenced."""
        connection.rollback()

    return engine


def _plain(error: DBAPIError, url: str) -> Exception:
    """What a person can do about a failure; anything not known is passed on."""
    if str(getattr(error.orig, "sqlstate", "")).startswith(_DATA_ERRORS):
        return Invalid("The request holds text or a number that the database cannot store.", code="not-storable")
    return (plain(error.orig, url.partition("///")[2]) if error.orig else None) or error


def _upgrade(connection: Any) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, _NEWEST)
