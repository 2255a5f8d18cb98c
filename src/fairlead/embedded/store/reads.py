"""Get, list and watch: the verbs that look."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec
import orjson

from fairlead.embedded.store.fields import Filter, filter_of
from fairlead.embedded.store.memory import Change, Memory, Place, event_line
from fairlead.embedded.store.routes import Route
from fairlead.embedded.store.status import (
    JSON_HEADERS,
    Doc,
    StatusError,
    bad_request,
    expired,
    not_found,
    unsupported,
)
from fairlead.kube.transport import Request, Response

BOOKMARK_SECONDS: Final = 60.0
"""A quiet watch hears the present revision this often, where it asked for bookmarks."""

_LIST: Final = frozenset(
    {
        "labelSelector",
        "fieldSelector",
        "limit",
        "continue",
        "resourceVersion",
        "resourceVersionMatch",
        "pretty",
        "timeoutSeconds",
        "timeout",
        "allowWatchBookmarks",
    }
)
_WATCH: Final = _LIST | {"watch", "sendInitialEvents"}


def get(memory: Memory, route: Route) -> Response:
    """Answer a GET of an object."""
    entry = memory.get(Place(route.kind.resource, route.namespace, route.name))
    if entry is None:
        raise not_found(route.kind, route.name)
    return Response(status=200, headers=JSON_HEADERS, body=entry.data)


def list_(memory: Memory, route: Route, request: Request) -> Response:
    """Answer a GET of a collection: one page of it, as it was when the first page was read."""
    _only(request, _LIST)
    chosen = filter_of(route.kind, request.parameter("labelSelector"), request.parameter("fieldSelector"))
    limit = _number(request, "limit")
    revision, after = _start(memory, request)
    entries = memory.at(route.kind.resource, route.namespace, revision)
    found = [
        (place, entry)
        for place, entry in entries
        if (after is None or place[1:] > after) and (chosen is None or chosen(entry.doc))
    ]
    page = found[:limit] if limit else found
    metadata: Doc = {"resourceVersion": str(revision)}
    if len(page) < len(found):
        metadata["continue"] = _token(revision, page[-1][0])
        if chosen is None:
            metadata["remainingItemCount"] = len(found) - len(page)
    return _page(route, metadata, [entry.data for _, entry in page])


async def watch(memory: Memory, route: Route, request: Request, settled: Callable[[], Any]) -> AsyncIterator[bytes]:
    """Give the lines of a watch until its time is over. `settled` waits until what was read is on disk."""
    check_watch(route, request)
    chosen = filter_of(route.kind, request.parameter("labelSelector"), request.parameter("fieldSelector"))
    if route.name:
        chosen = filter_of(route.kind, "", f"metadata.name={route.name}")
    await settled()
    version = request.parameter("resourceVersion", "0")
    position = memory.published if version == "0" else int(version)
    if version == "0":
        initial = memory.at(route.kind.resource, route.namespace, position)
        if lines := [event_line("ADDED", entry.data) for _, entry in initial if chosen is None or chosen(entry.doc)]:
            yield b"".join(lines)
    async for piece in _changes(memory, route, request, chosen, position):
        yield piece


def check_watch(route: Route, request: Request) -> None:
    """Pass a watch that we do. Raises: StatusError."""
    _only(request, _WATCH)
    if request.parameter("sendInitialEvents"):
        fault = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
        cause = {"reason": "FieldValueForbidden", "message": f"Forbidden: {fault}", "field": "sendInitialEvents"}
        raise StatusError(
            422,
            "Invalid",
            f'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: {fault}',
            {"group": "meta.k8s.io", "kind": "ListOptions", "causes": [cause]},
        )
    filter_of(route.kind, request.parameter("labelSelector"), request.parameter("fieldSelector"))
    _number(request, "resourceVersion")
    _number(request, "timeoutSeconds")


async def _changes(
    memory: Memory, route: Route, request: Request, chosen: Filter | None, position: int
) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    end = loop.time() + (_number(request, "timeoutSeconds") or 1800)
    bookmarks = request.parameter("allowWatchBookmarks") in ("true", "1", "True")
    ring = memory.ring(route.kind.resource)
    while True:
        try:
            if position > memory.published:
                raise expired(f"too large resource version: {position} ({memory.published})")
            changes = ring.after(position)
        except StatusError as refusal:
            yield event_line("ERROR", orjson.dumps(refusal.document()))
            return
        if lines := [line for change in changes if (line := _line(change, route.namespace, chosen))]:
            yield b"".join(lines)
        if changes:
            position = changes[-1].revision
            continue
        left = end - loop.time()
        try:
            async with asyncio.timeout(max(0.0, min(left, BOOKMARK_SECONDS))):
                await ring.wait()
        except TimeoutError:
            if ring.newest > position:
                continue  # published in the very turn in which the time was up: no bookmark may pass over it
            if bookmarks:
                position = max(position, memory.published)
                yield _bookmark(route, position)
            if left <= BOOKMARK_SECONDS:
                return


def _line(change: Change, namespace: str, chosen: Filter | None) -> bytes:
    """Give the event as a watch with these selectors sees it; empty when it does not concern it."""
    if namespace and change.place.namespace != namespace:
        return b""
    if chosen is None:
        return change.line
    was = change.before is not None and chosen(change.before.doc)
    is_ = change.after is not None and chosen(change.after.doc)
    if is_:
        return event_line("MODIFIED" if was else "ADDED", change.last.data)
    if not was or change.before is None:
        return b""
    if change.after is None:
        return event_line("DELETED", change.last.data)
    metadata = {**change.before.doc["metadata"], "resourceVersion": str(change.revision)}
    return event_line("DELETED", orjson.dumps({**change.before.doc, "metadata": metadata}))


def _bookmark(route: Route, revision: int) -> bytes:
    metadata = {"resourceVersion": str(revision), "creationTimestamp": None}
    body = {"kind": route.kind.kind, "apiVersion": route.kind.api_version, "metadata": metadata}
    return event_line("BOOKMARK", orjson.dumps(body))


def _page(route: Route, metadata: Doc, items: list[bytes]) -> Response:
    head = {"kind": f"{route.kind.kind}List", "apiVersion": route.kind.api_version, "metadata": metadata}
    body = orjson.dumps(head)[:-1] + b',"items":[' + b",".join(items) + b"]}"
    return Response(status=200, headers=JSON_HEADERS, body=body)


def _start(memory: Memory, request: Request) -> tuple[int, tuple[str, str] | None]:
    """Give the revision to read at and the key after which to go on."""
    if token := request.parameter("continue"):
        return _untoken(token)
    wanted = _number(request, "resourceVersion")
    match = request.parameter("resourceVersionMatch")
    if match == "Exact":
        return wanted, None
    if match not in ("", "NotOlderThan"):
        raise bad_request(f"unknown resourceVersionMatch {match!r}")
    if wanted > memory.revision:
        message = f"Timeout: Too large resource version: {wanted}, current: {memory.revision}"
        cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        raise StatusError(504, "Timeout", message, {"causes": [cause], "retryAfterSeconds": 1})
    return memory.revision, None


def _token(revision: int, last: Place) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([revision, last.namespace, last.name])).decode().rstrip("=")


def _untoken(token: str) -> tuple[int, tuple[str, str]]:
    try:
        content = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        revision, namespace, name = msgspec.json.decode(content, type=tuple[int, str, str])
    except (ValueError, binascii.Error) as error:
        raise bad_request("continue key is not valid") from error
    return revision, (namespace, name)


def _number(request: Request, name: str) -> int:
    text = request.parameter(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise bad_request(f'{name}: Invalid value: "{text}": must be a number')
    return int(text)


def _only(request: Request, known: frozenset[str]) -> None:
    for key, value in request.query:
        if key not in known and value:
            raise unsupported(f"the parameter {key}")
