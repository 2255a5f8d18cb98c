"""A watch that goes on: connections end, the sequence of changes does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Generic, Literal, TypeVar, cast

import msgspec
from msgspec import Struct

from fairlead.kube.errors import error_of, error_of_status
from fairlead.kube.lines import closing, lines_of
from fairlead.kube.transport import Refused, Request
from fairlead.objects.codec import RawEvent, decode, decode_event
from fairlead.objects.kinds import Kind
from fairlead.objects.meta import ListMeta, Object, Status, Wire
from fairlead.runtime.errors import Permanent, Retryable, Unreachable
from fairlead.runtime.retry import FOREVER

if TYPE_CHECKING:
    from fairlead.kube.client import Client

T = TypeVar("T")

Change = Literal["ADDED", "MODIFIED", "DELETED"]


class Event(Struct, Generic[T], frozen=True, kw_only=True):
    """One change. `object` is None where its fields had shapes we do not expect; `broken` then says why."""

    change: Change
    name: str
    namespace: str
    revision: str
    object: T | None
    broken: str = ""


class WatchScope(Struct, frozen=True, kw_only=True):
    """Which objects: a namespace (empty for all), and selectors."""

    namespace: str = ""
    labels: str = ""
    fields: str = ""

    def query(self) -> tuple[tuple[str, str], ...]:
        """Give the query parameters of the selectors."""
        pairs = (("labelSelector", self.labels), ("fieldSelector", self.fields))
        return tuple((key, value) for key, value in pairs if value)


class _Meta(ListMeta, frozen=True, kw_only=True):
    name: str = ""
    namespace: str = ""


class _Head(Wire, frozen=True, kw_only=True):
    """The part of an event's object that is read whatever its kind."""

    metadata: _Meta


_HEAD = msgspec.json.Decoder(_Head)
_STATUS = msgspec.json.Decoder(Status)


async def watch(client: Client, kind: Kind[T], revision: str, scope: WatchScope) -> AsyncIterator[Event[T]]:
    """Give each change after `revision` once, in the server's order. See `Client.watch`."""
    failures = 0
    while True:
        try:
            async with closing(_connection(client, kind, revision, scope)) as events:
                async for event in events:
                    failures = 0
                    if _is_old(event.revision, revision):
                        continue
                    revision = event.revision
                    if event.name:
                        yield event
            failures = 0
        except Permanent:
            raise
        except Retryable as error:
            if error.code == "expired":
                raise
            failures += 1
            await client.clock.sleep(max(error.after or 0.0, FOREVER.wait(failures, client.rng)))


async def _connection(client: Client, kind: Kind[T], revision: str, scope: WatchScope) -> AsyncIterator[Event[T]]:
    """Give the events of one connection; bookmarks come as events without a name."""
    kind = await client.served(kind)
    seconds = client.limits.watch
    query = (
        ("watch", "true"),
        ("allowWatchBookmarks", "true"),
        ("resourceVersion", revision),
        ("timeoutSeconds", str(round(seconds))),
        *scope.query(),
    )
    request = Request(method="GET", path=kind.path(namespace=scope.namespace), query=query)
    try:
        async with closing(lines_of(client.transport.stream(request))) as lines:
            while True:
                async with asyncio.timeout(seconds + 30):
                    line = await anext(lines, None)
                if line is None:
                    return
                yield _event(kind, decode_event(line))
    except TimeoutError as error:
        raise Unreachable(f"the watch of {kind.plural} fell silent") from error
    except msgspec.DecodeError as error:
        raise Unreachable(f"the watch of {kind.plural} broke off inside an event") from error
    except Refused as refusal:
        raise error_of(refusal.response) from refusal


def _event(kind: Kind[T], raw: RawEvent) -> Event[T]:
    if raw.type == "ERROR":
        status = _STATUS.decode(raw.object)
        raise error_of_status(status, status.code or 500)
    obj, broken = None, ""
    if raw.type != "BOOKMARK":
        try:
            obj = decode(kind, raw.object)
        except msgspec.ValidationError as error:
            broken = str(error)
    # what was read whole is not read for its name once more
    meta = obj.metadata if isinstance(obj, Object) else _HEAD.decode(raw.object).metadata
    if raw.type == "BOOKMARK":
        return Event(change="MODIFIED", name="", namespace="", revision=meta.resource_version, object=None)
    return Event(
        change=cast(Change, raw.type),
        name=meta.name,
        namespace=meta.namespace,
        revision=meta.resource_version,
        object=obj,
        broken=broken,
    )


def _is_old(revision: str, seen: str) -> bool:
    """Say that a change was delivered before: revisions of one collection only grow."""
    return revision.isdigit() and seen.isdigit() and int(revision) <= int(seen)
