"""What everyone who asks anything should know, beside every answer: that this machine's disk is full."""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-fairlead-notice"


class Notices:
    """ASGI middleware: adds a header with the sentence that `notice` gives, while it gives one."""

    def __init__(self, app: ASGIApp, notice: Callable[[], str]) -> None:
        self.app = app
        self._notice = notice

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Changes nothing else."""

        async def noticed(message: Message) -> None:
            if message["type"] == "http.response.start" and (text := self._notice()):
                MutableHeaders(scope=message)[HEADER] = text.encode("ascii", "replace").decode()
            await send(message)

        await self.app(scope, receive, noticed if scope["type"] == "http" else send)
