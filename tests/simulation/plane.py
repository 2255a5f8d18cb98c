"""A control plane in simulated time: the real services and the real application, on SQLite without its thread.

The agent's links are handed to the application as an ASGI server would, and are cut on purpose.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import aiosqlite
from sqlalchemy.pool import StaticPool

from fairlead.cluster.agent.links import AgentOptions, Data, Link
from fairlead.runtime.clock import VirtualClock
from fairlead.runtime.errors import Unreachable
from fairlead.server.api.application import create_app, create_context
from fairlead.server.config import ServerConfig
from fairlead.server.db.database import Database
from fairlead.server.services.context import Context
from fairlead.wire.agent import CHANNEL_PATH, CONTROL_PATH

MEMORY = "sqlite+aiosqlite://"


class InlineSqlite(aiosqlite.Connection):
    """A connection that does its work where it is asked: a thread would take real time, of which there is none here."""

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    def __await__(self) -> Generator[Any, None, InlineSqlite]:
        return self._connect().__await__()

    async def _connect(self) -> InlineSqlite:
        if self._connection is None:
            self._connection = self._connector()
        return self

    def stop(self) -> None:
        """There is no thread to stop."""


def inline_database() -> Database:
    """An empty database in memory, alive as long as its object."""
    creator = {"async_creator_fn": lambda *_, **__: InlineSqlite(_open, iter_chunk_size=64)}
    return Database(MEMORY, poolclass=StaticPool, connect_args=creator)


def _open() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", check_same_thread=False)


@dataclass
class Plane:
    """The control plane's process: started again on the same data whenever it has ended."""

    clock: VirtualClock
    database: Database = field(default_factory=inline_database)
    context: Context = field(init=False)
    app: Any = field(init=False)
    is_up: bool = True
    links: set[MemoryLink] = field(default_factory=set)
    bugs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """A new process on the same data."""
        config = ServerConfig(database_url=MEMORY, signing_key=b"k" * 32)
        made = create_context(config, self.clock.now)
        self.context = replace(made, database=self.database)
        self.app = create_app(self.context)
        self.is_up = True

    async def kill(self) -> None:
        """Every connection ends where it stands; nobody is told."""
        self.is_up = False
        for link in list(self.links):
            await link.kill()


@dataclass(eq=False)
class MemoryLink:
    """One WebSocket as both ends see it."""

    plane: Plane
    rng: Random
    cuts: float
    up: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    down: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    close_code: int | None = None
    close_reason: str = ""
    is_cut: bool = False
    task: asyncio.Task[None] | None = None

    async def send(self, data: Data) -> None:
        """The agent's end sends."""
        self._maybe_cut()
        if self.is_cut:
            raise ConnectionResetError("cut")
        self.up.put_nowait({"type": "websocket.receive", "text" if isinstance(data, str) else "bytes": data})

    async def __aiter__(self) -> AsyncIterator[Data]:
        while True:
            message = await self.down.get()
            self._maybe_cut()
            if self.is_cut:
                return
            if message["type"] == "websocket.close":
                self.close_code, self.close_reason = message.get("code", 1000), message.get("reason") or ""
                return
            yield message.get("text") or message["bytes"]

    def cut(self) -> None:
        """Both ends find out when they next look."""
        if not self.is_cut:
            self.is_cut = True
            self.up.put_nowait({"type": "websocket.disconnect", "code": 1006})
            self.down.put_nowait({"type": "websocket.close", "code": 1006})

    async def kill(self) -> None:
        """The control plane's end dies in the middle of whatever it does."""
        self.cut()
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self.task

    def ended(self, task: asyncio.Task[None]) -> None:
        """The application is through with this link: a server closes it. That the other end is gone is no bug, anything else is."""
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, OSError):
            self.plane.bugs.append(f"the control plane failed: {error!r}")
        self.down.put_nowait({"type": "websocket.close", "code": 1011 if error else 1000})

    def _maybe_cut(self) -> None:
        if self.cuts and self.rng.random() < self.cuts:
            self.cut()

    async def take(self) -> dict[str, Any]:
        """What the application receives."""
        return await self.up.get()

    async def give(self, message: dict[str, Any]) -> None:
        """What the application sends."""
        if self.is_cut:
            raise OSError("the other end is gone")
        if message["type"] != "websocket.accept":
            self.down.put_nowait(message)


@dataclass
class MemoryDialler:
    """Dials the control plane of the simulation. `cuts`: chance of the end of a link at each message."""

    plane: Plane
    options: AgentOptions
    rng: Random
    cuts: float = 0.0
    dialled: int = 0

    def control(self) -> Any:
        """See `Dialler`."""
        headers = {"authorization": f"Bearer {self.options.secret}", "x-fairlead-cluster": self.options.cluster}
        return self._dial(CONTROL_PATH, headers)

    def channel(self, channel: str, grant: str) -> Any:
        """See `Dialler`."""
        return self._dial(f"{CHANNEL_PATH}/{channel}", {"authorization": f"Bearer {grant}"})

    @asynccontextmanager
    async def _dial(self, path: str, headers: dict[str, str]) -> AsyncIterator[Link]:
        if not self.plane.is_up:
            raise Unreachable("The control plane is down.")
        self.dialled += 1
        link = MemoryLink(self.plane, self.rng, self.cuts)
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "subprotocols": [],
            "state": {},
        }
        link.up.put_nowait({"type": "websocket.connect"})
        link.task = asyncio.create_task(self.plane.app(scope, link.take, link.give), name="plane.link")
        link.task.add_done_callback(link.ended)
        self.plane.links.add(link)
        try:
            yield link
        except ConnectionError as error:
            raise Unreachable(str(error)) from error
        finally:
            link.cut()
            self.plane.links.discard(link)
