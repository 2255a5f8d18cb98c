"""Custom objects against their schemas: unknown fields are dropped, wrong ones named."""

from __future__ import annotations

from functools import cache
from typing import Any

from fairlead.embedded.store.status import Doc, Fault, required, wrong
from fairlead.objects.kinds import Kind
from fairlead.objects.schema import schema_of

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}


@cache
def schema_for(kind: Kind[Any]) -> Doc:
    """Give the schema of a custom kind."""
    return schema_of(kind)


def prune(schema: Doc, value: Any) -> Any:
    """Give the value without the fields its schema does not know."""
    if isinstance(value, list) and "items" in schema:
        return [prune(schema["items"], item) for item in value]
    if not isinstance(value, dict) or schema.get("x-kubernetes-preserve-unknown-fields"):
        return value
    if inner := schema.get("additionalProperties"):
        return {key: prune(inner, item) for key, item in value.items()}
    properties = schema.get("properties")
    if properties is None:
        return value
    return {key: prune(properties[key], item) for key, item in value.items() if key in properties}


def faults(schema: Doc, value: Any, path: str) -> list[Fault]:
    """Give what is wrong with the value, field by field."""
    if value is None and schema.get("nullable"):
        return []
    if schema.get("x-kubernetes-int-or-string"):
        right = isinstance(value, int | str) and not isinstance(value, bool)
        return [] if right else [wrong(path, value, f"{path} in body must be of type integer or string")]
    type_ = schema.get("type", "object")
    if not _is(value, type_):
        return [_wrong_type(path, value, type_)]
    if type_ == "object":
        return _in_object(schema, value, path)
    if type_ == "array":
        return [
            fault for index, item in enumerate(value) for fault in faults(schema["items"], item, f"{path}[{index}]")
        ]
    return _in_scalar(schema, value, path)


def _is(value: Any, type_: str) -> bool:
    if isinstance(value, bool):
        return type_ == "boolean"
    if type_ == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[type_])


def _in_object(schema: Doc, value: Doc, path: str) -> list[Fault]:
    prefix = f"{path}." if path else ""
    found = [required(prefix + name) for name in schema.get("required", ()) if value.get(name) is None]
    properties = schema.get("properties", {})
    inner = schema.get("additionalProperties")
    for key, item in value.items():
        known = properties.get(key) or inner
        if known and not (item is None and key in schema.get("required", ())):
            found += faults(known, item, prefix + key)
    return found


def _in_scalar(schema: Doc, value: Any, path: str) -> list[Fault]:
    if "enum" in schema and value not in schema["enum"]:
        listed = ", ".join(f'"{item}"' for item in schema["enum"])
        return [Fault(path, "FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {listed}')]
    if "minLength" in schema and len(value) < schema["minLength"]:
        return [wrong(path, value, f"{path} in body should be at least {schema['minLength']} chars long")]
    if "minimum" in schema and value < schema["minimum"]:
        return [wrong(path, value, f"{path} in body should be greater than or equal to {schema['minimum']}")]
    if "maximum" in schema and value > schema["maximum"]:
        return [wrong(path, value, f"{path} in body should be less than or equal to {schema['maximum']}")]
    return []


def _wrong_type(path: str, value: Any, type_: str) -> Fault:
    seen = _seen(value)
    return Fault(
        path, "FieldValueTypeInvalid", f'Invalid value: "{seen}": {path} in body must be of type {type_}: "{seen}"'
    )


def _seen(value: Any) -> str:
    if value is None:
        return "null"
    names = (("boolean", bool), ("string", str), ("integer", int), ("number", float), ("array", list))
    return next((name for name, type_ in names if isinstance(value, type_)), "object")
