"""WebSockets that end in good order, whoever ends them first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

_log = structlog.get_logger()


@asynccontextmanager
async def open_until_done(socket: WebSocket, what: str) -> AsyncIterator[None]:
    """Closes the socket at the end, where it is still open; that the other side went away before is an event and no failure."""
    try:
        yield
        await _close(socket)
    except* WebSocketDisconnect:
        _log.info("socket ended by the other side", what=what)


async def _close(socket: WebSocket) -> None:
    if socket.client_state is socket.application_state is WebSocketState.CONNECTED:
        await socket.close()
