"""The HTTP server of `fairlead up`: ends in good order when its task is cancelled, and speaks in events as everybody else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator

import uvicorn

from fairlead.runtime.errors import FairleadError
from fairlead.runtime.logs import logger


class Server(uvicorn.Server):
    """Leaves signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """See uvicorn: signals are not its own."""
        yield

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves until cancelled; then takes no more, lets answers under way end, and closes the application."""
        speak()
        serving = asyncio.create_task(super().serve(sockets), name="server.http")
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self.should_exit = True
            await serving
            raise


def speak() -> None:
    """Makes the server's warnings events of this process's log."""
    said = logging.getLogger("uvicorn.error")
    said.handlers = [_Events(logging.WARNING)]
    said.propagate = False


class _Events(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log, error = logger("server"), record.exc_info[1] if record.exc_info else None
        if isinstance(error, asyncio.CancelledError):
            log.info("answer.ended", message="the server stops")
        elif error is not None and isinstance(error.__cause__, FairleadError):
            log.info("answer.ended", message=str(error.__cause__))
        elif error is not None:
            log.error("answer.failed", exc_info=error)
        else:
            log.warning("server", message=record.getMessage().strip())
