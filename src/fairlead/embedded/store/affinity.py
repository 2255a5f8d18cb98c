"""What the API server refuses in the node affinity of a pod."""

from __future__ import annotations

from typing import Any, Final

from fairlead.embedded.store.names import KEY_HINT, VALUE_HINT, is_key, is_value
from fairlead.embedded.store.status import Doc, Fault, forbidden_field, required, wrong

_WHEN: Final = "DuringSchedulingIgnoredDuringExecution"
_UNKNOWN: Final = "not a valid selector operator"


def faults(affinity: Doc) -> list[Fault]:
    """Give what is wrong with the node affinity inside a pod's affinity."""
    nodes = affinity.get("nodeAffinity") or {}
    where = "spec.affinity.nodeAffinity"
    found: list[Fault] = []
    if (needed := nodes.get(f"required{_WHEN}")) is not None:
        found += _required(f"{where}.required{_WHEN}.nodeSelectorTerms", needed.get("nodeSelectorTerms") or ())
    for at, term in enumerate(nodes.get(f"preferred{_WHEN}") or ()):
        found += _preferred(f"{where}.preferred{_WHEN}[{at}]", term)
    return found


def _required(where: str, terms: Any) -> list[Fault]:
    if not terms:
        return [required(where, "must have at least one node selector term")]
    found = []
    for at, term in enumerate(terms):
        found += _term(f"{where}[{at}]", term)
        for place, item in enumerate(term.get("matchExpressions") or ()):
            field = f"{where}[{at}].matchExpressions[{place}].values"
            found += [
                wrong(f"{field}[{i}]", value, VALUE_HINT)
                for i, value in enumerate(item.get("values") or ())
                if not is_value(value)
            ]
    return found


def _preferred(where: str, term: Doc) -> list[Fault]:
    """As the real server does, without a look at the values themselves."""
    weight = term.get("weight", 0)
    found = [] if 1 <= weight <= 100 else [wrong(f"{where}.weight", weight, "must be in the range 1-100")]
    return [*found, *_term(f"{where}.preference", term.get("preference") or {})]


def _term(where: str, term: Doc) -> list[Fault]:
    found = []
    for at, item in enumerate(term.get("matchExpressions") or ()):
        found += _expression(f"{where}.matchExpressions[{at}]", item)
    for at, item in enumerate(term.get("matchFields") or ()):
        found += _node_field(f"{where}.matchFields[{at}]", item)
    return found


def _expression(where: str, item: Doc) -> list[Fault]:
    values, key = item.get("values") or (), item.get("key", "")
    found: list[Fault] = []
    match item.get("operator", ""):
        case "In" | "NotIn":
            if not values:
                found.append(required(f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        case "Exists" | "DoesNotExist":
            if values:
                hint = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                found.append(forbidden_field(f"{where}.values", hint))
        case "Gt" | "Lt":
            if len(values) != 1:
                hint = "must be specified single value when `operator` is 'Lt' or 'Gt'"
                found.append(required(f"{where}.values", hint))
        case operator:
            found.append(wrong(f"{where}.operator", operator, _UNKNOWN))
    if not key:
        found.append(wrong(f"{where}.key", key, "name part must be non-empty"))
    if not is_key(key):
        found.append(wrong(f"{where}.key", key, KEY_HINT))
    return found


def _node_field(where: str, item: Doc) -> list[Fault]:
    operator, key = item.get("operator", ""), item.get("key", "")
    found = []
    if operator not in ("In", "NotIn"):
        found.append(wrong(f"{where}.operator", operator, _UNKNOWN))
    elif len(item.get("values") or ()) != 1:
        hint = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        found.append(required(f"{where}.values", hint))
    if key != "metadata.name":
        found.append(wrong(f"{where}.key", key, "not a valid field selector key"))
    return found
