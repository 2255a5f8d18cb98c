"""A control plane on a free loopback port, over SQLite and over a PostgreSQL that the tests start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn
from tests.parts.hashing import quick_hashes
from tests.parts.postgres import Postgres, postgres_or_skip

from fairlead.server.api.application import create_app, create_context
from fairlead.server.auth.permissions import administrator
from fairlead.server.config import ServerConfig
from fairlead.server.services import accounts, clusters
from fairlead.server.services.accounts import ADMINISTRATOR
from fairlead.server.services.context import Context

PASSWORD = "correct horse battery staple"
CLUSTER_SECRET = "cluster-secret"


@dataclass(frozen=True)
class Plane:
    """A running control plane and who may sign in."""

    url: str
    context: Context
    cluster_id: str
    session: aiohttp.ClientSession

    async def call(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        """Status and decoded body of one signed-in call."""
        async with self.session.request(method, self.url + path, json=body, params=query) as answer:
            text = await answer.text()
            return answer.status, (await answer.json() if text else None)

    async def ok(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The body of a call that must succeed."""
        status, found = await self.call(method, path, body, **query)
        assert status < 300, (status, found)
        return found


@pytest.fixture(scope="session", autouse=True)
def quick() -> Iterator[None]:
    """Passwords are hashed in no time."""
    with quick_hashes():
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with postgres_or_skip() as found:
        yield found


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/fairlead.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
async def plane(database_url: str) -> AsyncIterator[Plane]:
    config = ServerConfig(database_url=database_url, signing_key=b"k" * 32)
    context = create_context(config, time.time)
    server = uvicorn.Server(uvicorn.Config(create_app(context), port=0, log_config=None, ws="websockets-sansio"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn has no event to wait for
        await asyncio.sleep(0.01)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    await accounts.ensure_administrator(context, PASSWORD)
    root = administrator("test")
    cluster, _ = await clusters.create_cluster(context, root, "here", secret=CLUSTER_SECRET)
    async with aiohttp.ClientSession() as session:
        body = {"grantType": "password", "username": ADMINISTRATOR, "password": PASSWORD}
        async with session.post(f"{url}/api/v1/token", json=body) as answer:
            token = (await answer.json())["accessToken"]
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        yield Plane(url, context, cluster.id, session)
    server.should_exit = True
    await task
