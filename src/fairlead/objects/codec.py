"""Objects to and from JSON. Encoding fills in `apiVersion` and `kind`, which typed values leave out."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import msgspec

from fairlead.objects.json import JsonObject
from fairlead.objects.kinds import Kind, kind_of
from fairlead.objects.meta import ListMeta, Object, Wire

T = TypeVar("T")

_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {}
"""A decoder is costly to build and never changes: one a type, kept."""


class RawList(Wire, frozen=True, kw_only=True):
    """A list whose items are still bytes, so that one bad item does not spoil the others."""

    metadata: ListMeta = ListMeta()
    items: list[msgspec.Raw] | None = None


class RawEvent(Wire, frozen=True, kw_only=True):
    """One line of a watch whose object is still bytes."""

    type: str
    object: msgspec.Raw


def encode(obj: Object | JsonObject) -> bytes:
    """Give the JSON of an object, ready to be sent."""
    if isinstance(obj, dict):
        return msgspec.json.encode(obj)
    kind = kind_of(obj)
    return msgspec.json.encode({"apiVersion": kind.api_version, "kind": kind.kind, **msgspec.to_builtins(obj)})


def to_json(obj: Object | JsonObject) -> JsonObject:
    """Give the object as plain JSON with `apiVersion` and `kind`."""
    return obj if isinstance(obj, dict) else cast(JsonObject, msgspec.json.decode(encode(obj)))


def decode(kind: Kind[T], data: bytes | msgspec.Raw) -> T:
    """Give the typed object. Raises: msgspec.ValidationError when a field has another shape than we expect."""
    return cast(T, _decoder(kind.type).decode(data))


def from_json(kind: Kind[T], obj: JsonObject) -> T:
    """Give the typed object of plain JSON. Raises: msgspec.ValidationError."""
    return msgspec.convert(obj, kind.type)


def decode_list(data: bytes) -> RawList:
    """Give the pages's metadata and its items as bytes."""
    return cast(RawList, _decoder(RawList).decode(data))


def decode_event(line: bytes) -> RawEvent:
    """Give the type of a watch event and its object as bytes."""
    return cast(RawEvent, _decoder(RawEvent).decode(line))


def _decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    if type_ not in _DECODERS:
        _DECODERS[type_] = msgspec.json.Decoder(type_)
    return _DECODERS[type_]
