"""The database underneath: what a cancelled caller leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

import pytest
from sqlalchemy import text

from fairlead.server.db import accounts, database
from fairlead.server.db.database import Database


async def test_a_writer_cancelled_anywhere_leaves_no_lock(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_LOCK_SECONDS", 0.5)
    db = Database(database_url)
    async with db.write() as c:
        await c.execute(text("create table kept (a int)"))

    async def write() -> None:
        async with db.write() as c:
            for _ in range(5):
                await c.execute(text("insert into kept values (1)"))
                held = await c.execute(text("select count(*) from kept"))
            held.scalar_one()

    rng = Random(1)
    try:
        for _ in range(100):
            writer = asyncio.create_task(write())
            await asyncio.sleep(rng.random() * 0.008)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
            await write()
        async with db.read() as c:
            kept = (await c.execute(text("select count(*) from kept"))).scalar_one()
        assert kept >= 500
        assert kept % 5 == 0
    finally:
        await db.close()


async def test_accounts_of_the_first_version_keep_their_role_everywhere(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = Database(database_url)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(database, "_NEWEST", "0001")
            await db.migrate()
        async with db.write() as c:
            await c.execute(text("insert into user_account values ('u1', 'mira', 'hash', 'administrator', 1.5)"))
        await db.migrate()
        async with db.read() as c:
            user = await accounts.user_by_name(c, "mira")
            rules = await accounts.access_rules(c, "u1")
        assert user is not None
        assert (user.id, user.password_hash, user.created) == ("u1", "hash", 1.5)
        assert [(r.role, r.scope_type, r.scope_id) for r in rules] == [("administrator", "system", "")]
    finally:
        await db.close()
