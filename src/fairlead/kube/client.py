"""The typed client: every call our roles make to a Kubernetes API.

Answers come back as the kind's type, refusals as our error tree. Calls are tried again after 429 and 5xx (honouring
Retry-After), and, where a second time does no harm, when no answer came. Every wait has an end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import Final, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct

from fairlead.kube import negotiate, verbs
from fairlead.kube.errors import Expired, Uncertain, error_of
from fairlead.kube.lines import closing
from fairlead.kube.sessions import ExecSession, PortSession
from fairlead.kube.transport import Duplex, Refused, Request, Response, Transport
from fairlead.kube.watch import Event, WatchScope, watch
from fairlead.objects.codec import decode, decode_list, encode
from fairlead.objects.json import JsonObject, as_object
from fairlead.objects.kinds import POD, Kind
from fairlead.objects.meta import Condition, Object
from fairlead.runtime.clock import Clock
from fairlead.runtime.errors import Denied, NotFound, Retryable, Unreachable
from fairlead.runtime.retry import CALLS, Backoff, retry

T = TypeVar("T")

Propagation = Literal["Background", "Foreground", "Orphan"]

_EXEC_PROTOCOL: Final = "v5.channel.k8s.io, v4.channel.k8s.io"
_PORT_PROTOCOL: Final = "v4.channel.k8s.io"


class Listing(Struct, Generic[T], frozen=True, kw_only=True):
    """What a list gave: its items, and the revision from which a watch goes on without a gap.

    `broken` names (namespace/name where readable) the items whose fields had shapes we do not expect, and why.
    """

    items: tuple[T, ...]
    revision: str
    broken: tuple[str, ...] = ()


class Limits(Struct, frozen=True, kw_only=True):
    """How patient a client is. Units: seconds; objects."""

    call: float = 30.0
    watch: float = 240.0
    """The server ends a watch after about this long; silence for this and 30 s more counts as a lost connection."""
    page: int = 500
    backoff: Backoff = CALLS


class LogOptions(Struct, frozen=True, kw_only=True):
    """Which part of a pod's output is wanted."""

    container: str = ""
    follow: bool = False
    tail_lines: int | None = None
    since_seconds: int | None = None
    previous: bool = False
    timestamps: bool = False

    def query(self) -> tuple[tuple[str, str], ...]:
        """Give the query parameters that say so."""
        pairs = {
            "container": self.container,
            "follow": "true" if self.follow else "",
            "tailLines": "" if self.tail_lines is None else str(self.tail_lines),
            "sinceSeconds": "" if self.since_seconds is None else str(self.since_seconds),
            "previous": "true" if self.previous else "",
            "timestamps": "true" if self.timestamps else "",
        }
        return tuple((key, value) for key, value in pairs.items() if value)


class Client:
    """Calls to one API server. Safe to share between tasks."""

    def __init__(self, transport: Transport, clock: Clock, rng: Random, limits: Limits | None = None) -> None:
        self.transport: Final = transport
        self.clock: Final = clock
        self.rng: Final = rng
        self.limits: Final = limits or Limits()
        self._documents: dict[str, negotiate.Resources] = {}

    async def version(self) -> str:
        """Give the version of the API server, such as v1.34.0."""
        found = msgspec.json.decode((await self._call(verbs.GET, "/version")).body)
        return str(as_object(found).get("gitVersion", ""))

    async def served(self, kind: Kind[T]) -> Kind[T]:
        """Give the kind in the version that the server serves; asked once, and only of kinds that have several."""
        if not kind.older:
            return kind
        versions = [f"{kind.group}/{version}" for version in (kind.version, *kind.older)]
        return negotiate.choose(kind, {each: await self._discovered(f"/apis/{each}") for each in versions})

    async def get(self, kind: Kind[T], name: str, namespace: str = "") -> T:
        """Give the object. Raises: NotFound."""
        kind = await self.served(kind)
        return decode(kind, (await self._call(verbs.GET, kind.path(name, namespace))).body)

    async def find(self, kind: Kind[T], name: str, namespace: str = "") -> T | None:
        """Give the object, None where there is none."""
        try:
            return await self.get(kind, name, namespace)
        except NotFound:
            return None

    async def list(self, kind: Kind[T], namespace: str = "", *, labels: str = "", fields: str = "") -> Listing[T]:
        """Give all objects the selectors choose, fetched page by page; begun again when a page has expired."""
        for _ in range(3):
            try:
                return await self._pages(kind, WatchScope(namespace=namespace, labels=labels, fields=fields))
            except Expired:
                continue
        raise Retryable(f"the list of {kind.plural} expired three times while it was read", code="expired")

    def watch(
        self, kind: Kind[T], revision: str, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Event[T]]:
        """Give every change after `revision`, for ever: cut connections are resumed without a gap or a double.

        Raises: Expired when the server no longer knows the changes since then (list again), Denied, NotFound.
        """
        return watch(self, kind, revision, WatchScope(namespace=namespace, labels=labels, fields=fields))

    async def create(self, kind: Kind[T], obj: T, namespace: str = "") -> T:
        """Give the object as stored. Raises: AlreadyExists, Invalid, NotFound (no such namespace), Denied."""
        response = await self._call(verbs.CREATE, kind.path(namespace=namespace), body=_body(obj))
        return decode(kind, response.body)

    async def delete(
        self,
        kind: Kind[T],
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        grace_seconds: int | None = None,
        propagation: Propagation | None = None,
    ) -> None:
        """Ask for the end of the object; with `uid` only of exactly that one. Raises: NotFound, Conflict (other UID)."""
        options = _delete_options(uid, grace_seconds, propagation)
        await self._call(verbs.DELETE, kind.path(name, namespace), body=msgspec.json.encode(options))

    async def patch(
        self, kind: Kind[T], name: str, patch: JsonObject, namespace: str = "", *, version: str = "", uid: str = ""
    ) -> T:
        """Give the object after a merge patch (null removes).

        With `version` only over that resourceVersion, with `uid` only of that object. Raises: Conflict, NotFound.
        """
        body = msgspec.json.encode(_guarded(patch, version, uid))
        return decode(kind, (await self._call(verbs.PATCH, kind.path(name, namespace), body=body)).body)

    async def patch_status(
        self, kind: Kind[T], name: str, status: JsonObject, namespace: str = "", *, version: str = "", uid: str = ""
    ) -> T:
        """Give the object after a merge patch of its status alone. Raises: Conflict, NotFound."""
        body = msgspec.json.encode(_guarded({"status": status}, version, uid))
        path = kind.path(name, namespace, "status")
        return decode(kind, (await self._call(verbs.PATCH_STATUS, path, body=body)).body)

    async def patch_conditions(
        self, kind: Kind[T], name: str, conditions: Sequence[Condition], namespace: str = "", *, uid: str = ""
    ) -> T:
        """Give the object after its conditions of those types were set, others kept. Built-in kinds only.

        Custom kinds have no such patch: their one writer sends the whole list by `patch_status`.
        """
        patch = _guarded({"status": {"conditions": msgspec.to_builtins(conditions)}}, "", uid)
        path = kind.path(name, namespace, "status")
        return decode(kind, (await self._call(verbs.PATCH_CONDITIONS, path, body=msgspec.json.encode(patch))).body)

    async def bind(
        self, name: str, namespace: str, node: str, *, uid: str = "", annotations: JsonObject | None = None
    ) -> None:
        """Give the pod to the node. Raises: Conflict when it is bound already or has another UID, NotFound."""
        metadata: JsonObject = {"name": name, "namespace": namespace}
        if uid:
            metadata["uid"] = uid
        if annotations:
            metadata["annotations"] = annotations
        target: JsonObject = {"apiVersion": "v1", "kind": "Node", "name": node}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}
        await self._call(verbs.BIND, POD.path(name, namespace, "binding"), body=msgspec.json.encode(binding))

    async def evict(self, name: str, namespace: str, *, uid: str = "", grace_seconds: int | None = None) -> None:
        """Ask for the eviction of a pod.

        Raises: Throttled with code `disruption-budget` when a budget forbids it, NotFound, Conflict (other UID).
        """
        metadata: JsonObject = {"name": name, "namespace": namespace}
        version = negotiate.eviction_version(await self._discovered("/api/v1"))
        body: JsonObject = {"apiVersion": version, "kind": "Eviction", "metadata": metadata}
        if options := _delete_options(uid, grace_seconds, None):
            body["deleteOptions"] = options
        await self._call(verbs.EVICT, POD.path(name, namespace, "eviction"), body=msgspec.json.encode(body))

    async def logs(self, name: str, namespace: str, options: LogOptions | None = None) -> AsyncIterator[bytes]:
        """Give a pod's output in pieces; when followed, until its container ends. Raises: NotFound, Invalid."""
        request = Request(
            method="GET",
            path=POD.path(name, namespace, verbs.LOG.subresource),
            query=(options or LogOptions()).query(),
        )
        async for piece in self._pieces(request):
            yield piece

    async def exec(
        self,
        name: str,
        namespace: str,
        command: Sequence[str],
        *,
        container: str = "",
        stdin: bool = True,
        tty: bool = False,
    ) -> ExecSession:
        """Give a session of a command run inside a container. Raises: NotFound, Invalid."""
        switches = {"stdin": stdin, "stdout": True, "stderr": not tty, "tty": tty}
        query = [("command", part) for part in command]
        query += [(key, "true") for key, wanted in switches.items() if wanted]
        query += [("container", container)] if container else []
        return ExecSession(await self._upgrade(verbs.EXEC, name, namespace, query, _EXEC_PROTOCOL))

    async def port_forward(self, name: str, namespace: str, port: int) -> PortSession:
        """Give one connection to a port of a pod. Raises: NotFound, Invalid."""
        query = [("ports", str(port))]
        return PortSession(await self._upgrade(verbs.PORT_FORWARD, name, namespace, query, _PORT_PROTOCOL))

    async def _upgrade(
        self, verb: verbs.Verb, name: str, namespace: str, query: Sequence[tuple[str, str]], protocol: str
    ) -> Duplex:
        request = Request(
            method=verb.method,
            path=POD.path(name, namespace, verb.subresource),
            query=tuple(query),
            # the kubelet answers 406 to one who wants JSON
            headers={"sec-websocket-protocol": protocol, "accept": "*/*"},
        )
        try:
            async with asyncio.timeout(self.limits.call):
                return await self.transport.upgrade(request)
        except Refused as refusal:
            raise error_of(refusal.response) from refusal
        except TimeoutError as error:
            raise Unreachable(f"no answer to {verb.name} within {self.limits.call:g} s") from error

    async def _pieces(self, request: Request) -> AsyncIterator[bytes]:
        try:
            async with closing(self.transport.stream(request)) as pieces:
                async for piece in pieces:
                    yield piece
        except Refused as refusal:
            raise error_of(refusal.response) from refusal

    async def _pages(self, kind: Kind[T], scope: WatchScope) -> Listing[T]:
        items: list[T] = []
        broken: list[str] = []
        next_page, revision = "", ""
        kind = await self.served(kind)
        while True:
            query = (
                ("limit", str(self.limits.page)),
                *scope.query(),
                *((("continue", next_page),) if next_page else ()),
            )
            raw = decode_list((await self._call(verbs.LIST, kind.path(namespace=scope.namespace), query=query)).body)
            for item in raw.items or ():
                try:
                    items.append(decode(kind, item))
                except msgspec.ValidationError as error:
                    broken.append(f"{_name_of(item)}: {error}")
            revision = revision or raw.metadata.resource_version
            next_page = raw.metadata.continue_
            if not next_page:
                return Listing(items=tuple(items), revision=revision, broken=tuple(broken))

    async def _discovered(self, path: str) -> negotiate.Resources:
        """The document at a path; empty where the server has none, or does not show it."""
        if path not in self._documents:
            try:
                self._documents[path] = negotiate.read((await self._call(verbs.DISCOVER, path)).body)
            except (NotFound, Denied):
                self._documents[path] = negotiate.Resources()
        return self._documents[path]

    async def _call(
        self, verb: verbs.Verb, path: str, *, query: tuple[tuple[str, str], ...] = (), body: bytes = b""
    ) -> Response:
        headers = {"accept": "application/json"} | ({"content-type": verb.content_type} if body else {})
        request = Request(method=verb.method, path=path, query=query, headers=headers, body=body)
        return await retry(
            lambda: self._once(verb, request), self.clock, self.rng, self.limits.backoff, is_final=_is_final
        )

    async def _once(self, verb: verbs.Verb, request: Request) -> Response:
        try:
            async with asyncio.timeout(self.limits.call):
                response = await self.transport.request(request)
        except TimeoutError as error:
            kind = Unreachable if verb.is_repeatable else Uncertain
            raise kind(f"no answer to {verb.name} {request.path} within {self.limits.call:g} s") from error
        except Unreachable as error:
            if verb.is_repeatable:
                raise
            raise Uncertain(str(error)) from error
        if response.status >= 400:
            raise error_of(response)
        return response


def _is_final(error: Retryable) -> bool:
    """Say that trying the same call again is for the caller to decide."""
    return isinstance(error, Expired | Uncertain) or error.code == "disruption-budget"


def _body(obj: object) -> bytes:
    assert isinstance(obj, Object | dict)
    return encode(obj)


def _guarded(patch: JsonObject, version: str, uid: str) -> JsonObject:
    """Give the patch with the preconditions a merge patch can carry: what it says of the metadata must hold."""
    guards: JsonObject = {key: value for key, value in (("resourceVersion", version), ("uid", uid)) if value}
    return {**patch, "metadata": {**as_object(patch.get("metadata")), **guards}} if guards else patch


def _delete_options(uid: str, grace_seconds: int | None, propagation: Propagation | None) -> JsonObject:
    options: JsonObject = {}
    if uid:
        options["preconditions"] = {"uid": uid}
    if grace_seconds is not None:
        options["gracePeriodSeconds"] = grace_seconds
    if propagation:
        options["propagationPolicy"] = propagation
    return options


def _name_of(item: msgspec.Raw) -> str:
    document = msgspec.json.decode(item)
    metadata = document.get("metadata", {}) if isinstance(document, dict) else {}
    return "/".join(filter(None, (metadata.get("namespace"), metadata.get("name"))))
