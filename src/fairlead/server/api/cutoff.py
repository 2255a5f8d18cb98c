"""Answers that break off: what follows cannot be had, and the caller must not take what came for the whole."""

from __future__ import annotations

from collections.abc import AsyncIterator

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from fairlead.runtime.errors import FairleadError

_log = structlog.get_logger()


class _CutOff(BaseException):
    """Passes the handlers of errors: headers are gone, so there is no answering with one."""


async def or_cut_off(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Those parts; where they fail, the connection is cut, which callers see as an answer that is not whole."""
    try:
        async for part in parts:
            yield part
    except FairleadError as error:
        _log.info("answer cut off", code=error.code, message=str(error))
        raise _CutOff from error


class CutOffs:
    """ASGI middleware: leaves an answer that was cut off as it is; the server then closes the connection."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Changes nothing else."""
        try:
            await self.app(scope, receive, send)
        except _CutOff:
            return
