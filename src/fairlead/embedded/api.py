"""The embedded store on a loopback port, for kubectl and other people's clients.

The same store, the same answers; added are discovery, tables, and a bearer token that every call must carry. Fields are
checked here and not by kubectl, since there are no schemas; protobuf is read where kubectl sends nothing else; SPDY is not spoken.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import json
import ssl
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import WSMsgType, web

from fairlead.embedded import discovery, openapi, protobuf
from fairlead.embedded.certificates import server_context
from fairlead.embedded.store import Store
from fairlead.embedded.store.routes import route_of
from fairlead.embedded.store.status import JSON_HEADERS, StatusError, unsupported
from fairlead.embedded.tables import table
from fairlead.kube.transport import Duplex, Refused, Request, Response

_PROTOCOLS: Final = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_REFUSAL_SECONDS: Final = 0.2
"""A node may refuse a log only once it is asked: that long an answer is held back for its status to be known."""

_DISCOVERY: Final = ("/api", "/apis")


class Api:
    """Serves a store on 127.0.0.1 by HTTPS. `start`, then `url` and `kubeconfig`; `stop` ends it.

    `folder` keeps the server's certificate and key; without one they are made anew at each start.
    """

    def __init__(self, store: Store, token: str, folder: Path | None = None) -> None:
        self._store = store
        self._token = token
        self._folder = folder
        self._authority = b""
        self._runner: web.AppRunner | None = None
        self.url = ""
        """Where it is served, once started."""

    async def start(self, port: int = 0) -> str:
        """Listen on that port (0 for any free one) and give the URL. Raises: OSError when the port is taken."""
        application = web.Application(client_max_size=16 << 20)
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        context, self._authority = self._certificate()
        site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=context)
        await site.start()
        self.url = f"https://127.0.0.1:{self._runner.addresses[0][1]}"
        return self.url

    async def stop(self) -> None:
        """Stop listening and end what is under way."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def kubeconfig(self) -> str:
        """Give a kubeconfig of whoever holds the token."""
        authority = base64.b64encode(self._authority).decode()
        cluster = {"server": self.url, "certificate-authority-data": authority}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fairlead",
            "contexts": [{"name": "fairlead", "context": {"cluster": "fairlead", "user": "fairlead"}}],
            "clusters": [{"name": "fairlead", "cluster": cluster}],
            "users": [{"name": "fairlead", "user": {"token": self._token}}],
        }
        return json.dumps(document, indent=2) + "\n"

    def write_kubeconfig(self, path: Path) -> None:
        """Write the kubeconfig to a file that only its owner can read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_text(self.kubeconfig())

    def _certificate(self) -> tuple[ssl.SSLContext, bytes]:
        now = self._store.clock.now()
        if self._folder:
            return server_context(self._folder, now)
        with tempfile.TemporaryDirectory(prefix="fairlead-") as folder:
            return server_context(Path(folder), now)

    async def _answer(self, incoming: web.Request) -> web.StreamResponse:
        try:
            if not self._is_signed_in(incoming):
                raise StatusError(401, "Unauthorized", "Unauthorized")
            request = await _taken(incoming)
            return await self._serve(incoming, request)
        except StatusError as refusal:
            return _given(refusal.response())
        except Refused as refusal:
            return _given(refusal.response)

    def _is_signed_in(self, incoming: web.Request) -> bool:
        if incoming.path in ("/healthz", "/readyz", "/livez"):
            return True
        given = incoming.headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), self._token.encode())

    async def _serve(self, incoming: web.Request, request: Request) -> web.StreamResponse:
        if request.path.startswith(_DISCOVERY) and incoming.method == "GET":
            found = discovery.document(request.path, incoming.host)
            if found is not None:
                return _given(Response(status=200, headers=JSON_HEADERS, body=orjson.dumps(found)))
        if request.path.startswith("/openapi") and incoming.method == "GET":
            described = openapi.document(request.path)
            if described is None:
                raise StatusError(404, "NotFound", "the embedded API has no schemas; use --validate=false")
            return _given(Response(status=200, headers=JSON_HEADERS, body=orjson.dumps(described)))
        if "upgrade" in incoming.headers.get("connection", "").lower():
            return await self._upgraded(incoming, request)
        is_log = request.path.endswith("/log") and request.path.count("/") == 7
        if is_log or request.parameter("watch").lower() in ("true", "1"):
            return await self._streamed(incoming, request, "text/plain" if is_log else "application/json")
        response = await self._store.request(request)
        return _given(self._table(incoming, request, response))

    def _table(self, incoming: web.Request, request: Request, response: Response) -> Response:
        """Give the answer as a table where the client would rather have one."""
        if request.method != "GET" or response.status != 200 or "as=Table" not in incoming.headers.get("accept", ""):
            return response
        with contextlib.suppress(StatusError):
            kind = route_of(request.path).kind
            document: Any = orjson.loads(response.body)
            is_list = "items" in document and document.get("kind") == f"{kind.kind}List"
            items = document["items"] if is_list else [document]
            metadata = document["metadata"] if is_list else {"resourceVersion": document["metadata"]["resourceVersion"]}
            body = orjson.dumps(table(kind, items, metadata, self._store.clock.now()))
            return Response(status=200, headers=JSON_HEADERS, body=body)
        return response

    async def _streamed(self, incoming: web.Request, request: Request, media: str) -> web.StreamResponse:
        query = tuple((key, "true" if key == "watch" else value) for key, value in request.query)
        request = Request(method="GET", path=request.path, query=query)
        self._store.check_stream(request)
        pieces = self._store.stream(request)
        if media == "application/json" and "as=Table" in incoming.headers.get("accept", ""):
            pieces = self._tabled(request, pieces)
        first = asyncio.ensure_future(anext(pieces, b""))
        await asyncio.wait({first}, timeout=_REFUSAL_SECONDS)
        if first.done():
            first.result()
        answer = web.StreamResponse(headers={"content-type": media})
        try:
            await answer.prepare(incoming)
            await answer.write(await first)
            async for piece in pieces:
                await answer.write(piece)
        except ConnectionResetError:
            first.cancel()
        return answer

    async def _tabled(self, request: Request, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        kind = route_of(request.path).kind
        async for piece in pieces:
            for line in piece.splitlines():
                event: Any = orjson.loads(line)
                if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                    version = {"resourceVersion": event["object"]["metadata"]["resourceVersion"]}
                    event["object"] = table(kind, [event["object"]], version, self._store.clock.now())
                yield orjson.dumps(event) + b"\n"

    async def _upgraded(self, incoming: web.Request, request: Request) -> web.StreamResponse:
        if incoming.headers.get("upgrade", "").lower() != "websocket":
            raise unsupported("SPDY; use a client that speaks WebSockets")
        duplex = await self._store.upgrade(request)
        socket = web.WebSocketResponse(protocols=_PROTOCOLS, heartbeat=30.0, max_msg_size=0)
        await socket.prepare(incoming)
        out = asyncio.create_task(_copy_out(duplex, socket), name="exec.out")
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    await duplex.send(message.data)
        finally:
            await duplex.close()
            out.cancel()
        return socket


async def _copy_out(duplex: Duplex, socket: web.WebSocketResponse) -> None:
    while (message := await duplex.receive()) is not None:
        await socket.send_bytes(message)
    await socket.close()


async def _taken(incoming: web.Request) -> Request:
    headers = {key.lower(): value for key, value in incoming.headers.items()}
    body = await incoming.read()
    if body and incoming.content_type == protobuf.MEDIA_TYPE:
        headers["content-type"], body = JSON_HEADERS["content-type"], protobuf.to_json(body)
    return Request(
        method=incoming.method, path=incoming.path, query=tuple(incoming.query.items()), headers=headers, body=body
    )


def _given(response: Response) -> web.Response:
    return web.Response(status=response.status, headers=dict(response.headers), body=response.body)
