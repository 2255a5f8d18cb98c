"""Merge patches (RFC 7386) and the part of strategic merge patches that the built-in kinds need.

Both build new documents and share what did not change; nothing stored is ever modified.
"""

from __future__ import annotations

from typing import Any, Final

from fairlead.embedded.store.status import Doc, StatusError, bad_request, unsupported

_MERGE_KEYS: Final = {
    "conditions": ("type",),
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "ownerReferences": ("uid",),
    "imagePullSecrets": ("name",),
    "addresses": ("type",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey",),
    "secrets": ("name",),
    "schedulingGates": ("name",),
    "resourceClaims": ("name",),
}
"""Lists whose items are matched by a key; other lists are replaced whole."""

_PORT_KEYS: Final = ("containerPort", "port")
_SETS: Final = frozenset({"finalizers"})
_ORDERS: Final = ("$setElementOrder/", "$retainKeys")
"""Hints about order and unions that a plain merge may leave aside."""


def merge(target: Any, patch: Any) -> Any:
    """Give the target after a merge patch: objects merged, null removes, all else replaced."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merge(result.get(key), value)
        else:
            result[key] = value
    return result


def strategic(target: Any, patch: Doc) -> Doc:
    """Give the target after a strategic merge patch. Raises: StatusError for directives we do not do."""
    result = dict(target) if isinstance(target, dict) else {}
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    for key, value in patch.items():
        if key.startswith(_ORDERS):
            continue
        if key.startswith("$deleteFromPrimitiveList/"):
            if not isinstance(value, list):
                raise bad_request(f"{key} must be an array")
            field = key.split("/", 1)[1]
            result[field] = [item for item in result.get(field, ()) if item not in value]
        elif key.startswith("$"):
            raise unsupported(f"the directive {key} in a strategic merge patch")
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = _strategic_value(key, result.get(key), value)
    return result


def _strategic_value(key: str, present: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return strategic(present, value)
    if not isinstance(value, list):
        return value
    if key in _SETS:
        kept = list(present or ())
        return kept + [item for item in value if item not in kept]
    merge_key = _merge_key(key, value)
    return _strategic_list(list(present or ()), value, merge_key) if merge_key else value


def _merge_key(key: str, items: list[Any]) -> str:
    if not all(isinstance(item, dict) for item in items):
        return ""
    if key == "ports":
        return next((name for name in _PORT_KEYS if all(name in item for item in items)), "")
    return _MERGE_KEYS.get(key, ("",))[0]


def _strategic_list(present: list[Any], patch: list[Doc], key: str) -> list[Any]:
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if "$patch" not in item]
    known = [item.get(key) for item in present]
    for item in patch:
        if item.get(key) is None:
            raise StatusError(422, "Invalid", f"map: {item} does not contain declared merge key: {key}")
        where = next((index for index, old in enumerate(present) if old.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            present = [old for old in present if old.get(key) != item[key]]
        elif where is None:
            present = [*present, strategic({}, item)]
        else:
            present = [*present[:where], strategic(present[where], item), *present[where + 1 :]]
    return _in_order(present, [item[key] for item in patch], known, key)


def _in_order(items: list[Any], patched: list[Any], known: list[Any], key: str) -> list[Any]:
    """Give the items as the real server orders them: patched ones as the patch has them, others where they stood."""
    right = sorted((item for item in items if item.get(key) in patched), key=lambda item: patched.index(item[key]))
    left = [item for item in items if item.get(key) not in patched]
    result = []
    while left and right:
        first, second = left[0].get(key), right[0][key]
        before = second in known and known.index(first) < known.index(second)
        result.append((left if before else right).pop(0))
    return [*result, *left, *right]
