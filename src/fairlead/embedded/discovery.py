"""Discovery: which groups, versions and resources are served, as clients ask for it before anything else."""

from __future__ import annotations

from typing import Any, Final

from fairlead.embedded.store.writes import UNMANAGED
from fairlead.objects.kinds import CUSTOM_RESOURCE_DEFINITION, KINDS, MUTATING_WEBHOOK, VALIDATING_WEBHOOK, Kind

Doc = dict[str, Any]

_VERBS: Final = ["create", "delete", "get", "list", "patch", "update", "watch"]
_FIXED: Final = ["get", "list", "watch"]
_READ_ONLY: Final = UNMANAGED | {
    kind.resource for kind in (CUSTOM_RESOURCE_DEFINITION, MUTATING_WEBHOOK, VALIDATING_WEBHOOK)
}
_OF_PODS: Final = (("binding", "Binding", ["create"]), ("eviction", "Eviction", ["create"]), ("log", "Pod", ["get"]))


def document(path: str, address: str) -> Doc | None:
    """Give the discovery document at a path, None where there is none. `address`: host:port, as clients reach it."""
    path = path.rstrip("/")
    if path == "/api":
        servers = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": servers}
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in _groups()]}
    if path.startswith("/apis/") and path.count("/") == 2:
        name = path.removeprefix("/apis/")
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(name)} if name in _groups() else None
    served = [kind for kind in KINDS if kind.root == path]
    return _resources(served) if served else None


def _groups() -> list[str]:
    return sorted({kind.group for kind in KINDS if kind.group})


def _group(name: str) -> Doc:
    versions = sorted({kind.version for kind in KINDS if kind.group == name})
    rows = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": rows, "preferredVersion": rows[0]}


def _resources(kinds: list[Kind[Any]]) -> Doc:
    rows = [row for kind in kinds for row in _rows(kind)]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": kinds[0].api_version, "resources": rows}


def _rows(kind: Kind[Any]) -> list[Doc]:
    verbs = _FIXED if kind.resource in _READ_ONLY else _VERBS
    first = _row(kind, kind.plural, kind.kind, verbs) | {"singularName": kind.kind.lower()}
    if kind.short_names:
        first["shortNames"] = list(kind.short_names)
    rows = [first]
    if kind.has_status:
        rows.append(_row(kind, f"{kind.plural}/status", kind.kind, ["get", "patch", "update"]))
    if kind.resource == "pods":
        rows += [_row(kind, f"pods/{name}", of, verbs) for name, of, verbs in _OF_PODS]
        rows += [_row(kind, f"pods/{name}", "Pod", ["create", "get"]) for name in ("exec", "portforward")]
    return rows


def _row(kind: Kind[Any], name: str, of: str, verbs: list[str]) -> Doc:
    return {"name": name, "singularName": "", "namespaced": kind.namespaced, "kind": of, "verbs": verbs}
