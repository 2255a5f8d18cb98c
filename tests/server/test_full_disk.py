"""The control plane on a disk without space: said with what to do, nothing half done, and it goes on when there is space."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.parts.disks import fill, small_disk

from fairlead.runtime.errors import Retryable
from fairlead.server.api.problems import status_of
from fairlead.server.db.database import Database


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Path]:
    with small_disk(tmp_path / "disk", 2048) as folder:
        yield folder


async def _fill_table(db: Database) -> int:
    """Rows written before the disk was full."""
    rows = 0
    while True:
        async with db.write() as c:
            await c.execute(text("insert into kept values (:rows, zeroblob(20000))"), {"rows": rows})
        rows += 1


async def _write_both(db: Database) -> None:
    """A transaction whose second half finds no space."""
    async with db.write() as c:
        await c.execute(text("insert into other values (1)"))
        await c.execute(text("insert into kept values (0, zeroblob(900000))"))


async def _count(db: Database) -> int:
    async with db.read() as c:
        return int((await c.execute(text("select count(*) from kept"))).scalar_one())


async def test_a_full_disk_refuses_writes_keeps_reads_and_goes_on(disk: Path) -> None:
    db = Database(f"sqlite+aiosqlite:///{disk}/control-plane.db")
    async with db.write() as c:
        await c.execute(text("create table kept (number int, content blob)"))
        await c.execute(text("create table other (number int)"))
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(500_000))
    with pytest.raises(Retryable, match="is full; nothing was changed") as caught:
        await _fill_table(db)
    assert (caught.value.code, status_of(caught.value)) == ("disk-full", 503)
    assert "Free some space" in caught.value.hint
    kept = await _count(db)
    assert kept > 0
    with pytest.raises(Retryable, match="is full"):
        await _write_both(db)
    ballast.unlink()
    async with db.write() as c:
        await c.execute(text("insert into kept values (0, '')"))
        assert (await c.execute(text("select count(*) from other"))).scalar_one() == 0
    assert await _count(db) == kept + 1
    await db.close()


@pytest.mark.parametrize("free", [0, 30_000, 100_000])
async def test_tables_that_find_no_space_are_said_so(disk: Path, free: int) -> None:
    (disk / "reserve").write_bytes(bytes(free))
    fill(disk)
    (disk / "reserve").unlink()
    db = Database(f"sqlite+aiosqlite:///{disk}/control-plane.db")
    with pytest.raises(Retryable) as caught:
        await db.migrate()
    assert caught.value.code in ("disk-full", "disk-error")
    assert "control-plane.db" in caught.value.message
    await db.close()
