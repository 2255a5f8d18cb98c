"""Which resource a path names."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from fairlead.embedded.store.status import no_such_resource
from fairlead.objects.kinds import CUSTOM_KINDS, KINDS, Kind

CUSTOM: Final = frozenset(kind.resource for kind in CUSTOM_KINDS)
"""Resources that follow the rules of custom resources: no strategic patch, status apart from the rest."""

_TABLE: Final = {(kind.root, kind.plural): kind for kind in KINDS}
_ROOTS: Final = {kind.root for kind in KINDS}


class Route(Struct, frozen=True, kw_only=True):
    """A path taken apart."""

    kind: Kind[Any]
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def is_custom(self) -> bool:
        """True for resources that a real cluster learns from a definition."""
        return self.kind.resource in CUSTOM


def route_of(path: str) -> Route:
    """Give what a path names. Raises: StatusError 404."""
    root, parts = _split(path)
    if root not in _ROOTS or not parts:
        raise no_such_resource()
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2 and parts[2] not in ("status", "finalize"):
        namespace, parts = parts[1], parts[2:]
    kind = _TABLE.get((root, parts[0]))
    if kind is None or len(parts) > 3 or (namespace and not kind.namespaced):
        raise no_such_resource()
    name, subresource = (*parts[1:], "", "")[:2]
    if kind.namespaced and name and not namespace:
        raise no_such_resource()
    return Route(kind=kind, namespace=namespace, name=name, subresource=subresource)


def _split(path: str) -> tuple[str, list[str]]:
    parts = [part for part in path.split("/") if part]
    depth = 2 if parts[:1] == ["api"] else 3
    return "/" + "/".join(parts[:depth]), parts[depth:]
