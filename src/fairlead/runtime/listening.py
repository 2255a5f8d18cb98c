"""A small HTTP server inside a process."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiohttp import web

from fairlead.runtime.errors import Invalid

_MOST_BYTES = 8 << 20
"""Of one request."""


@asynccontextmanager
async def listening(
    routes: Iterable[web.RouteDef], host: str | None, port: int, setting: str, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve these routes meanwhile; gives the port. `host`: None for every address; `port`: 0 for a free one; `setting` chooses it.

    Raises: Invalid where the port is taken.
    """
    application = web.Application(client_max_size=_MOST_BYTES)
    application.add_routes(routes)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, ssl_context=tls).start()
        except OSError as error:
            raise Invalid(
                f"Port {port} cannot be listened on: {error.strerror or error}.", hint=f"Set {setting} to a free one."
            ) from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
