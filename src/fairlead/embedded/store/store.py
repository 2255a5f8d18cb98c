"""The embedded store: a Kubernetes API inside this process.

It answers what `fairlead.kube.verbs` lists, in the real server's words, and refuses the rest with a 4xx that says so.
Every change of one turn of the event loop goes into one transaction, committed before any of their replies, and before
any watch, shows them.

Not here, and said so where it is asked for: other custom kinds than ours, admission webhooks, server-side apply, JSON
patch, foreground deletion, dry runs, deletion of collections, controllers of built-in kinds, and authorization (roles
and bindings are kept, but whoever holds the token may do everything).
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Final
from uuid import NAMESPACE_DNS, UUID, uuid5

import orjson

from fairlead.embedded.store import reads
from fairlead.embedded.store.defaults import SYSTEM_CLASSES
from fairlead.embedded.store.disk import Disk
from fairlead.embedded.store.memory import Entry, Memory, Place
from fairlead.embedded.store.pods import PodDoor, Pods
from fairlead.embedded.store.routes import Route, route_of
from fairlead.embedded.store.status import (
    Doc,
    StatusError,
    bad_media_type,
    no_such_method,
    no_such_resource,
    unsupported,
)
from fairlead.embedded.store.writes import Writes
from fairlead.kube.transport import JSON, Duplex, Refused, Request, Response
from fairlead.objects.crds import definitions
from fairlead.objects.kinds import CUSTOM_RESOURCE_DEFINITION, NAMESPACE, PRIORITY_CLASS
from fairlead.objects.times import text_of
from fairlead.runtime.clock import Clock
from fairlead.runtime.disk import is_full
from fairlead.runtime.logs import logger

VERSION: Final = "v1.34.0+fairlead"
"""What the embedded API calls itself."""

_NAMESPACES: Final = ("default", "kube-node-lease", "kube-public", "kube-system")

Handler = Callable[[Route, Request], Response]


class Store:
    """All objects, and the verbs on them. `path`: the file it is kept in, None to keep it in memory only.

    `accept_unmanaged` stores Jobs, Deployments and their like although nothing acts on them.
    """

    def __init__(self, clock: Clock, rng: Random, path: Path | None = None, *, accept_unmanaged: bool = False) -> None:
        self.clock: Final = clock
        self._disk = Disk(path) if path else None
        revision, entries = self._disk.load() if self._disk else (1, [])
        self.memory = Memory(revision, [*entries, *_fixed(text_of(clock.now()))])
        self._writes = Writes(self.memory, clock, rng, accept_unmanaged=accept_unmanaged)
        self._pods = Pods(self.memory, self._writes, clock)
        self._commit: asyncio.Future[None] | None = None
        self.commits = 0
        """Transactions so far."""
        self._log = logger("store")
        self._seed(text_of(clock.now()), rng)

    @property
    def door(self) -> PodDoor | None:
        """Where logs and shells of pods are had; None while no nodes run."""
        return self._pods.door

    @door.setter
    def door(self, door: PodDoor | None) -> None:
        self._pods.door = door

    async def request(self, request: Request) -> Response:
        """Give the answer, once everything it is based on is on disk."""
        try:
            response = self._dispatch(request)
        except StatusError as refusal:
            response = refusal.response()
        except _NeedsNode as log:
            response = await self._whole_log(log.route, request)
        await self.settled()
        return response

    async def stream(self, request: Request) -> AsyncIterator[bytes]:
        """Give the lines of a watch, or the output of a container. Raises: Refused."""
        try:
            route = _route(request)
            if route.subresource == "log":
                pieces = self._logs(route, request)
            elif request.parameter("watch") in ("true", "1", "True"):
                reads.check_watch(route, request)
                pieces = reads.watch(self.memory, route, request, self.settled)
            else:
                raise unsupported("streams of anything but watches and logs")
            async for piece in pieces:
                yield piece
        except StatusError as refusal:
            raise Refused(refusal.response()) from refusal

    def check_stream(self, request: Request) -> None:
        """Pass a watch or a log that `stream` would begin. Raises: Refused."""
        try:
            route = _route(request)
            if route.subresource == "log":
                self._pods.log_target(route, request)
            else:
                reads.check_watch(route, request)
        except StatusError as refusal:
            raise Refused(refusal.response()) from refusal

    async def upgrade(self, request: Request) -> Duplex:
        """Give the connection of an exec or port-forward. Raises: Refused."""
        try:
            return await self._pods.upgrade(_route(request), request)
        except StatusError as refusal:
            raise Refused(refusal.response()) from refusal

    async def settled(self) -> None:
        """Return when all changes so far are on disk. Raises: Refused when they cannot be written: then there are none."""
        if self.memory.pending and self._commit is None:
            loop = asyncio.get_running_loop()
            self._commit = loop.create_future()
            loop.call_soon(self._flush)
        if self._commit is not None:
            await asyncio.shield(self._commit)

    def close(self) -> None:
        """Write what is pending, which nobody was promised, and let go of the file."""
        with contextlib.suppress(sqlite3.Error):
            self._write()
        if self._disk:
            self._disk.close()

    def _dispatch(self, request: Request) -> Response:
        if request.path.rstrip("/") in ("/healthz", "/readyz", "/livez"):
            return Response(status=200, headers={"content-type": "text/plain"}, body=b"ok")
        if request.path.rstrip("/") == "/version":
            version = {"major": "1", "minor": "34", "gitVersion": VERSION, "platform": "embedded"}
            return Response(status=200, headers={"content-type": "application/json"}, body=orjson.dumps(version))
        route = route_of(request.path)
        handler = self._handler(route, request)
        _check_media(request)
        return handler(route, request)

    def _handler(self, route: Route, request: Request) -> Handler:
        method, name, subresource = request.method, bool(route.name), route.subresource
        if route.kind.resource == "pods" and (method, subresource) == ("GET", "log"):
            raise _NeedsNode(route)
        if (subresource == "status" and route.kind.has_status) or not subresource:
            found = self._plain(method, name, request)
        elif route.kind.resource == "pods":
            found = self._of_pods(method, subresource)
        else:
            raise no_such_resource()
        if found is None:
            raise no_such_method()
        return found

    def _of_pods(self, method: str, subresource: str) -> Handler | None:
        handlers: dict[tuple[str, str], Handler] = {
            ("POST", "binding"): self._pods.bind,
            ("POST", "eviction"): self._pods.evict,
            ("GET", "exec"): self._pods.no_upgrade,
            ("GET", "portforward"): self._pods.no_upgrade,
        }
        return handlers.get((method, subresource))

    def _plain(self, method: str, name: bool, request: Request) -> Handler | None:
        if request.parameter("watch") in ("true", "1", "True"):
            raise unsupported("a watch that is not read as a stream")
        on_object: dict[str, Handler] = {
            "GET": lambda route, _: reads.get(self.memory, route),
            "PATCH": self._writes.patch,
            "PUT": self._writes.put,
            "DELETE": self._writes.delete,
        }
        on_collection: dict[str, Handler] = {
            "GET": lambda route, request: reads.list_(self.memory, route, request),
            "POST": self._writes.create,
        }
        return (on_object if name else on_collection).get(method)

    async def _logs(self, route: Route, request: Request) -> AsyncIterator[bytes]:
        pod, options = self._pods.log_target(route, request)
        if pod["spec"].get("nodeName") or options.previous:
            if self._pods.door is None:
                raise unsupported("logs without nodes")
            async for piece in self._pods.door.logs(pod, options):
                yield piece

    async def _whole_log(self, route: Route, request: Request) -> Response:
        try:
            body = b"".join([piece async for piece in self._logs(route, request)])
        except StatusError as refusal:
            return refusal.response()
        return Response(status=200 if body else 204, headers={"content-type": "text/plain"}, body=body)

    def _flush(self) -> None:
        """Commit the turn's changes, then let their replies and events go."""
        commit, self._commit = self._commit, None
        try:
            self._write()
        except sqlite3.Error as error:
            self._take_back()
            refusal = self._not_written(error)
            self._log.error("store.not_written", message=refusal.message)
            if commit and not commit.done():
                commit.set_exception(Refused(refusal.response()))
            return
        except BaseException as bug:
            self._take_back()
            if commit and not commit.done():
                commit.set_exception(bug)
            raise
        if commit and not commit.done():
            commit.set_result(None)

    def _take_back(self) -> None:
        """Undo what could not be written: what is in memory is what is on disk, and the next write is a new try."""
        self.memory.take_back()
        self._writes.lifecycle.look_again()

    def _not_written(self, error: sqlite3.Error) -> StatusError:
        path = self._disk.path if self._disk else None
        if is_full(error):
            text = f"the disk that holds {path} is full, and nothing was changed: free some space and try again"
            return StatusError(503, "ServiceUnavailable", text, {"retryAfterSeconds": 1})
        return StatusError(500, "InternalError", f"{path} cannot be written, and nothing was changed: {error}")

    def _write(self) -> None:
        self._writes.lifecycle.collect()
        if not self.memory.pending:
            return
        if self._disk:
            self._disk.commit(self.memory.pending, self.memory.revision)
        self.commits += 1
        self.memory.publish()

    def _seed(self, now: str, rng: Random) -> None:
        """Create what every cluster has from its beginning."""
        for name in _NAMESPACES:
            labels = {"kubernetes.io/metadata.name": name}
            self._seed_one(
                Place(NAMESPACE.resource, "", name),
                {"metadata": {"labels": labels}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}},
                now,
                rng,
            )
        for name, value in SYSTEM_CLASSES.items():
            body = {"metadata": {}, "value": value, "preemptionPolicy": "PreemptLowerPriority"}
            self._seed_one(Place(PRIORITY_CLASS.resource, "", name), body, now, rng)
        self._write()

    def _seed_one(self, place: Place, body: Doc, now: str, rng: Random) -> None:
        if self.memory.get(place):
            return
        uid = str(UUID(int=rng.getrandbits(128), version=4))
        metadata = {"name": place.name, "uid": uid, "creationTimestamp": now, **body["metadata"]}
        head = {"apiVersion": place.kind.api_version, "kind": place.kind.kind}
        self.memory.put(place, {**head, **body, "metadata": metadata})


class _NeedsNode(Exception):
    """The answer lies with the node: it takes waiting."""

    def __init__(self, route: Route) -> None:
        super().__init__()
        self.route = route


class EmbeddedTransport:
    """A `Transport` (`fairlead.kube.transport`) straight into a store: no sockets, no copies."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def request(self, request: Request) -> Response:
        """Give the whole answer."""
        try:
            return await self._store.request(request)
        except Refused as refusal:
            return refusal.response

    def stream(self, request: Request) -> AsyncIterator[bytes]:
        """Give the body piece by piece. Raises: Refused."""
        return self._store.stream(request)

    async def upgrade(self, request: Request) -> Duplex:
        """Give the connection. Raises: Refused."""
        return await self._store.upgrade(request)


def _route(request: Request) -> Route:
    return route_of(request.path)


def _check_media(request: Request) -> None:
    """Pass a body of JSON, or one that does not say what it is; patches are checked with what they patch. Raises: StatusError 415."""
    if request.body and request.method != "PATCH" and request.media not in ("", JSON):
        raise bad_media_type([JSON])


def _fixed(now: str) -> list[tuple[Place, Entry]]:
    """Give the definitions of the custom kinds: here from the start, and not to be changed."""
    found = []
    for definition in definitions():
        doc: Doc = dict(definition)
        name = doc["metadata"]["name"]
        uid = str(uuid5(NAMESPACE_DNS, name))
        doc["metadata"] = {"name": name, "uid": uid, "creationTimestamp": now, "resourceVersion": "1"}
        doc["status"] = {"conditions": [{"type": "Established", "status": "True", "reason": "InitialNamesAccepted"}]}
        found.append((Place(CUSTOM_RESOURCE_DEFINITION.resource, "", name), Entry(doc, orjson.dumps(doc), 1)))
    return found
