"""Whether a document has the form of its kind: the right type at every place we know. What it says is checked elsewhere."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec
import msgspec.inspect as shape
from msgspec import Struct

from fairlead.embedded.store import amounts
from fairlead.embedded.store.routes import Route
from fairlead.embedded.store.status import Doc, StatusError, bad_request
from fairlead.objects.meta import Object, ObjectMeta, ObjectReference, Wire

_NAMES: Final[dict[type[shape.Type], tuple[str, tuple[type, ...]]]] = {
    shape.StrType: ("a string", (str,)),
    shape.IntType: ("an integer", (int,)),
    shape.FloatType: ("a number", (int, float)),
    shape.BoolType: ("a boolean", (bool,)),
    shape.StructType: ("an object", (dict,)),
    shape.DictType: ("an object", (dict,)),
    shape.VarTupleType: ("an array", (list,)),
    shape.NoneType: ("null", ()),
}
_EMPTY: Final[dict[type[shape.Type], Any]] = {shape.StrType: "", shape.StructType: {}, shape.UnionType: "0"}
"""What null stands for inside a list or a map; of unions only amounts are there."""
_SEEN: Final = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "a boolean",
    dict: "an object",
    list: "an array",
}


class Head(Wire, frozen=True, kw_only=True):
    """What every object has, whatever its kind."""

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = ObjectMeta()


class Preconditions(Wire, frozen=True, kw_only=True):
    """The object that is meant."""

    uid: str | None = None
    resource_version: str | None = None


class DeleteOptions(Wire, frozen=True, kw_only=True):
    """How something is to be deleted."""

    grace_period_seconds: int | None = None
    propagation_policy: str | None = None
    orphan_dependents: bool | None = None
    preconditions: Preconditions | None = None
    dry_run: tuple[str, ...] = ()


class Binding(Head, frozen=True, kw_only=True):
    """Where a pod shall run."""

    target: ObjectReference = ObjectReference()


class Eviction(Head, frozen=True, kw_only=True):
    """A wish to delete a pod where its budgets allow it."""

    delete_options: DeleteOptions | None = None


class Misfit(Exception):
    """A value of the wrong type: where, what was expected, and what was there."""


def of_kind(route: Route, doc: Doc) -> Doc:
    """Give the object without fields that are null and need not be. Raises: StatusError 400 naming a place of the wrong type."""
    kind = route.kind
    known = kind.type if issubclass(kind.type, Object) and not route.is_custom else Head
    try:
        found = fitted(known, doc)
        if kind.resource == "nodes" and (misfits := amounts.misfits(found.get("status") or {})):
            raise Misfit(misfits[0])
        return found
    except Misfit as misfit:
        head = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}'
        raise bad_request(f"{head}: {misfit}") from misfit


def of_patched(route: Route, doc: Doc) -> Doc:
    """Give the same of an object that was patched. Raises: StatusError 422: the patch is what is wrong."""
    try:
        if (doc.get("apiVersion"), doc.get("kind")) != (route.kind.api_version, route.kind.kind):
            raise bad_request(f"apiVersion and kind must stay {route.kind.api_version} and {route.kind.kind}")
        return of_kind(route, doc)
    except StatusError as refusal:
        cause = {"reason": "FieldValueInvalid", "message": f"Invalid value: {refusal.message}", "field": "patch"}
        text = f' "" is invalid: patch: Invalid value: {refusal.message}'
        raise StatusError(422, "Invalid", text, {"causes": [cause]}) from refusal


def of_type(type_: type[Struct], doc: Doc) -> Doc:
    """Give the body of a subresource or an option, as `of_kind` does. Raises: StatusError 400."""
    try:
        return fitted(type_, doc)
    except Misfit as misfit:
        raise bad_request(f"{type_.__name__} cannot be handled: {misfit}") from misfit


def fitted(type_: type[Struct], doc: Doc) -> Doc:
    """Give the document without nulls that stand for nothing. Raises: Misfit."""
    try:
        msgspec.convert(doc, type_)
    except msgspec.ValidationError:
        found: Doc = _fit(_shape_of(type_), doc, "")
        return found
    return doc


@cache
def _shape_of(type_: type[Struct]) -> shape.Type:
    return shape.type_info(type_)


def _item(wanted: shape.Type, value: Any, path: str) -> Any:
    """Give a value inside a list or map."""
    if value is None:
        value = _EMPTY.get(type(wanted))
    return _fit(wanted, value, path)


def _fit(wanted: shape.Type, value: Any, path: str) -> Any:
    if isinstance(wanted, shape.UnionType):
        return _fit_any(wanted, value, path)
    if type(wanted) not in _NAMES:
        return value
    if not _is(value, wanted):
        raise Misfit(
            f"{path or 'the object'}: expected {_NAMES[type(wanted)][0]}, got {_SEEN.get(type(value), 'null')}"
        )
    if isinstance(wanted, shape.StructType):
        return _fit_fields(wanted, value, path)
    if isinstance(wanted, shape.DictType):
        return {key: _item(wanted.value_type, item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(wanted, shape.VarTupleType):
        return [_item(wanted.item_type, item, f"{path}[{at}]") for at, item in enumerate(value)]
    return value


def _is(value: Any, wanted: shape.Type) -> bool:
    types = _NAMES[type(wanted)][1]
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


def _fit_any(wanted: shape.UnionType, value: Any, path: str) -> Any:
    """Give the value as the first of several types that it has."""
    if value is None and any(isinstance(type_, shape.NoneType) for type_ in wanted.types):
        return None
    choices = [type_ for type_ in wanted.types if not isinstance(type_, shape.NoneType)]
    if len(choices) == 1:
        return _fit(choices[0], value, path)
    if not any(_is(value, type_) for type_ in choices):
        names = " or ".join(_NAMES[type(type_)][0] for type_ in choices)
        raise Misfit(f"{path}: expected {names}, got {_SEEN.get(type(value), 'null')}")
    return value


def _fit_fields(wanted: shape.StructType, value: Doc, path: str) -> Doc:
    prefix = f"{path}." if path else ""
    result = dict(value)
    for field in wanted.fields:
        name = field.encode_name
        if name not in value:
            continue
        nullable = isinstance(field.type, shape.UnionType) and field.type.includes_none
        if value[name] is None and not nullable:
            del result[name]
        else:
            result[name] = _fit(field.type, value[name], prefix + name)
    return result
