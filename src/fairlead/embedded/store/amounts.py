"""What the API server refuses in amounts of containers and nodes; devices are whole."""

from __future__ import annotations

from typing import Any

from fairlead.embedded.store.status import Doc, Fault, bad_request, required, wrong
from fairlead.objects.quantity import milli, text_of_milli

FORM = "is not a quantity such as 500m, 2 or 1.5Gi"


def container_faults(where: str, resources: Doc) -> list[Fault]:
    """Give what is wrong with the resources of the container at that path; a request that is left out is its limit.

    Raises: StatusError 400 where one is not an amount.
    """
    limits = resources.get("limits") or {}
    found = []
    for name, amount in limits.items():
        found += _faults(f"{where}.resources.limits[{name}]", name, amount)
    for name, amount in (limits | (resources.get("requests") or {})).items():
        found += _faults(f"{where}.resources.requests[{name}]", name, amount)
        found += _against_limit(f"{where}.resources", name, amount, limits)
    return found


def node_faults(status: Doc) -> list[Fault]:
    """Give what is wrong with the amounts of a node."""
    return [
        fault
        for kind in ("capacity", "allocatable")
        for name, amount in (status.get(kind) or {}).items()
        for fault in _faults(f"status.{kind}.{name}", name, amount)
    ]


def misfits(status: Doc) -> list[str]:
    """Give what in the status of a node is not an amount, in words."""
    return [
        f"status.{kind}.{name}: {amount!r} {FORM}"
        for kind in ("capacity", "allocatable")
        for name, amount in (status.get(kind) or {}).items()
        if _milli(amount) is None
    ]


def _faults(field: str, name: str, amount: Any) -> list[Fault]:
    value = _milli(amount)
    if value is None:
        raise bad_request(f'Pod in version "v1" cannot be handled as a Pod: {field}: {amount!r} {FORM}')
    found = [wrong(field, _text(amount), "must be greater than or equal to 0")] if value < 0 else []
    if _is_extended(name) and value % 1000:
        found.append(wrong(field, _text(amount), "must be an integer"))
    return found


def _against_limit(where: str, name: str, amount: Any, limits: Doc) -> list[Fault]:
    if name not in limits:
        hint = "Limit must be set for non overcommitable resources"
        return [required(f"{where}.limits", hint)] if _is_extended(name) else []
    limit, value = _milli(limits[name]) or 0, _milli(amount) or 0
    if _is_extended(name) and value != limit:
        return [wrong(f"{where}.requests", _text(amount), f"must be equal to {name} limit of {_text(limits[name])}")]
    if value > limit:
        hint = f"must be less than or equal to {name} limit of {_text(limits[name])}"
        return [wrong(f"{where}.requests", _text(amount), hint)]
    return []


def _is_extended(name: str) -> bool:
    """Say whether a resource is none of Kubernetes' own: it is counted in whole pieces."""
    return "/" in name and "kubernetes.io/" not in name


def _text(amount: Any) -> str:
    """Give an amount as the API server writes it: 1.5 is 1500m."""
    value = _milli(amount)
    return str(amount) if value is None or value % 1000 == 0 else text_of_milli(value)


def _milli(amount: Any) -> int | None:
    try:
        return milli(amount)
    except ValueError:
        return None
