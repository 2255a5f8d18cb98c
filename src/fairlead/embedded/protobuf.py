"""Bodies in protobuf, which `kubectl create namespace|configmap|secret` sends and nothing else: read, and turned into JSON.

The envelope is `k8s\\0` and a `runtime.Unknown`. Only kinds in the table are known; of these the fields that a person can set.
Source: generated.proto of k8s.io/apimachinery and k8s.io/api/core/v1.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import orjson

from fairlead.embedded.store.status import StatusError
from fairlead.kube.protobuf import Part, parts, whole

MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"

Reader: TypeAlias = Callable[[Part], Any]
Schema: TypeAlias = Mapping[int, tuple[str, Reader]]
"""Number of a field -> its name in JSON, and what reads it. A reader that gives a mapping may be met several times."""

_MAGIC: Final = b"k8s\0"


def to_json(body: bytes) -> bytes:
    """The object as JSON. Raises: StatusError 415 for kinds that are not known, 400 for what is no protobuf."""
    try:
        envelope = _message(_UNKNOWN, body.removeprefix(_MAGIC))
        about = envelope.get("typeMeta", {})
        schema = _KINDS.get((about.get("apiVersion"), about.get("kind")))
        if schema is not None:
            return orjson.dumps({**about, **_message(schema, envelope.get("raw", b""))})
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        raise StatusError(400, "BadRequest", "the body of the request is not readable as protobuf") from error
    known = ", ".join(kind for _, kind in _KINDS)
    text = (
        f"the embedded API reads protobuf of {known} only, and JSON of everything; "
        "write the object as YAML and give it to `kubectl create -f` or `kubectl apply -f`"
    )
    raise StatusError(415, "UnsupportedMediaType", text)


def _message(schema: Schema, data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, part in parts(data):
        if number in schema:
            name, read = schema[number]
            value = read(part)
            found[name] = {**found.get(name, {}), **value} if isinstance(value, dict) else value
    return found


def _text(part: Part) -> str:
    return whole(part).decode()


def _base64(part: Part) -> str:
    return base64.b64encode(whole(part)).decode()


def _of(schema: Schema) -> Reader:
    return lambda part: _message(schema, whole(part))


def _map(read: Reader) -> Reader:
    def entry(part: Part) -> dict[str, Any]:
        pair = _message({1: ("key", _text), 2: ("value", read)}, whole(part))
        return {pair.get("key", ""): pair.get("value", "")}

    return entry


_TYPE_META: Final[Schema] = {1: ("apiVersion", _text), 2: ("kind", _text)}
_UNKNOWN: Final[Schema] = {1: ("typeMeta", _of(_TYPE_META)), 2: ("raw", whole)}
_METADATA: Final[tuple[str, Reader]] = (
    "metadata",
    _of(
        {
            1: ("name", _text),
            2: ("generateName", _text),
            3: ("namespace", _text),
            11: ("labels", _map(_text)),
            12: ("annotations", _map(_text)),
        }
    ),
)
_KINDS: Final[Mapping[tuple[str, str], Schema]] = {
    ("v1", "Namespace"): {1: _METADATA},
    ("v1", "ConfigMap"): {
        1: _METADATA,
        2: ("data", _map(_text)),
        3: ("binaryData", _map(_base64)),
        4: ("immutable", bool),
    },
    ("v1", "Secret"): {
        1: _METADATA,
        2: ("data", _map(_base64)),
        3: ("type", _text),
        4: ("stringData", _map(_text)),
        5: ("immutable", bool),
    },
}
