"""Habits of existing clients, kept in one place.

One client posts its body JSON-encoded twice: a JSON string that holds the document. Here such a body is unwrapped before routing.
"""

from __future__ import annotations

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METHODS = frozenset({"POST", "PUT", "PATCH"})


class UnwrapDoubleJson:
    """ASGI middleware: a JSON body that is one string is replaced by what the string holds."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything else on untouched."""
        if scope["type"] != "http" or scope["method"] not in _METHODS:
            await self.app(scope, receive, send)
            return
        body = await _read(receive)
        if body.lstrip()[:1] == b'"':
            body = _unwrap(body)
            headers = [(k, v) for k, v in scope["headers"] if k != b"content-length"]
            scope = {**scope, "headers": [*headers, (b"content-length", str(len(body)).encode())]}
        await self.app(scope, _replay(body, receive), send)


def _unwrap(body: bytes) -> bytes:
    try:
        inner = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    return inner.encode() if isinstance(inner, str) else body


async def _read(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def once() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once
