"""Structural schemas (OpenAPI v3, as custom resource definitions want them) out of our own types.

A field that may be None becomes nullable; a quantity becomes int-or-string; JSON we do not name keeps its fields.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec.inspect as inspect

from fairlead.objects.json import Json, JsonObject
from fairlead.objects.kinds import Kind

_TOP: Final = ("api_version", "kind", "metadata")


def schema_of(kind: Kind[Any]) -> JsonObject:
    """Give the schema of a whole object of that kind."""
    info = inspect.type_info(kind.type)
    assert isinstance(info, inspect.StructType)
    fields = [field for field in info.fields if field.name not in _TOP]
    properties: JsonObject = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
    }
    return _object(fields, properties)


def _object(fields: list[inspect.Field], properties: JsonObject) -> JsonObject:
    for field in fields:
        properties[field.encode_name] = _schema(field.type)
    required: list[Json] = [field.encode_name for field in fields if field.required]
    schema: JsonObject = {"type": "object", "properties": properties}
    return {**schema, "required": required} if required else schema


def _schema(info: inspect.Type) -> JsonObject:
    if isinstance(info, inspect.UnionType):
        return _union(info)
    if isinstance(info, inspect.StructType):
        return _object(list(info.fields), {})
    if isinstance(info, inspect.DictType):
        return {"type": "object", "additionalProperties": _schema(info.value_type)}
    if isinstance(info, inspect.VarTupleType | inspect.ListType):
        return {"type": "array", "items": _schema(info.item_type)}
    return _scalar(info)


def _union(info: inspect.UnionType) -> JsonObject:
    kinds = [inner for inner in info.types if not isinstance(inner, inspect.NoneType)]
    if len(kinds) == 1:
        return {**_schema(kinds[0]), "nullable": True}
    return {"x-kubernetes-int-or-string": True}


def _scalar(info: inspect.Type) -> JsonObject:
    if isinstance(info, inspect.BoolType):
        return {"type": "boolean"}
    if isinstance(info, inspect.IntType):
        return {"type": "integer", "format": "int64"} | _bounds(info)
    if isinstance(info, inspect.FloatType):
        return {"type": "number"} | _bounds(info)
    if isinstance(info, inspect.StrType):
        return {"type": "string"} | ({"minLength": info.min_length} if info.min_length else {})
    if isinstance(info, inspect.LiteralType):
        return {"type": "string", "enum": list(info.values)}
    if isinstance(info, inspect.AnyType):
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    raise TypeError(f"no schema for {info!r}")


def _bounds(info: inspect.IntType | inspect.FloatType) -> JsonObject:
    return {name: value for name, value in (("minimum", info.ge), ("maximum", info.le)) if value is not None}
