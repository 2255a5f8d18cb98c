"""What admission says of volume claims in a project's namespace: the class of one that names none, and which classes may be used. Pure."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from fairlead.objects.json import JsonObject
from fairlead.objects.meta import Wire

_PATH: Final = "/spec/storageClassName"


class Classes(Struct, frozen=True, kw_only=True):
    """What is set for volumes of researchers."""

    default: str = ""
    """Of claims that name none; empty: what the cluster does with them."""
    allowed: tuple[str, ...] = ()
    """All that may be used; empty for every one."""


class _Spec(Wire, frozen=True, kw_only=True):
    storage_class_name: str | None = None


class _Claim(Wire, frozen=True, kw_only=True):
    spec: _Spec = _Spec()


def completions(claim: JsonObject, classes: Classes) -> tuple[JsonObject, ...]:
    """The default class for a claim that says nothing of one; an empty name says that it wants none."""
    if not classes.default or _class_of(claim) is not None:
        return ()
    return ({"op": "add", "path": _PATH, "value": classes.default},)


def refusals(claim: JsonObject, classes: Classes) -> tuple[str, ...]:
    """Why the claim may not be. One without a class takes a volume that somebody made, and may."""
    name = _class_of(claim)
    if not name or not classes.allowed or name in classes.allowed:
        return ()
    return (f"spec.storageClassName is {name!r}: in a project it is one of {', '.join(classes.allowed)}.",)


def _class_of(claim: JsonObject) -> str | None:
    return msgspec.convert(claim, _Claim).spec.storage_class_name
