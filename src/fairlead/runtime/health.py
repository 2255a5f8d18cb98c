"""What a process says of itself over HTTP: whether it lives, whether it is ready, and its metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, disable_created_metrics, generate_latest  # noqa: TID251  # here they are served

from fairlead.runtime.listening import listening

READY = ""
"""What `waits_for` gives once nothing is waited for."""


class Health:
    """Serves `/healthz`, `/readyz` and `/metrics`. `waits_for`: what the process still waits for, as words; `READY` for nothing."""

    def __init__(self, host: str, port: int, waits_for: Callable[[], str]) -> None:
        self._host, self.port = host, port
        self._waits_for = waits_for

    async def run(self) -> None:
        """Serve until cancelled. Raises: Invalid where the port is taken."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the series of counters, and say nothing that `up` does not
        routes = [web.get("/healthz", _alive), web.get("/readyz", self._ready), web.get("/metrics", _metrics)]
        async with listening(routes, self._host, self.port, "role.healthPort") as self.port:
            await asyncio.Event().wait()

    async def _ready(self, _request: web.Request) -> web.Response:
        waits_for = self._waits_for()
        return web.Response(status=503, text=f"waits for {waits_for}\n") if waits_for else web.Response(text="ok\n")


async def _alive(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _metrics(_request: web.Request) -> web.Response:
    body = await asyncio.to_thread(generate_latest)  # of a large cluster it takes a while: nothing else waits for it
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
