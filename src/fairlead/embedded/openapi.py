"""As much of an OpenAPI v3 document as `kubectl apply` and `create -f` ask for: that the server checks fields itself.

They look for a `patch` with the parameter `fieldValidation`, and then leave the check to the server, which names unknown fields of our
own kinds. There are no schemas in it, so `kubectl explain` finds nothing.
"""

from __future__ import annotations

from typing import Any, Final

from fairlead.objects.kinds import KINDS, Kind

Doc = dict[str, Any]

PATH: Final = "/openapi/v3"
_CHECKED: Final = [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}]


def document(path: str) -> Doc | None:
    """Give the document at a path: the table of contents, or that of one group and version; None where there is none."""
    path = path.rstrip("/")
    if path == PATH:
        roots = sorted({kind.root.removeprefix("/") for kind in KINDS})
        return {"paths": {root: {"serverRelativeURL": f"{PATH}/{root}"} for root in roots}}
    kinds = [kind for kind in KINDS if f"{PATH}{kind.root}" == path]
    if not kinds:
        return None
    return {
        "openapi": "3.0.0",
        "info": {"title": "Fairlead", "version": kinds[0].api_version},
        "components": {"schemas": {}},
        "paths": {f"{kind.root}/{_place(kind)}{kind.plural}/{{name}}": {"patch": _patch(kind)} for kind in kinds},
    }


def _place(kind: Kind[Any]) -> str:
    return "namespaces/{namespace}/" if kind.namespaced else ""


def _patch(kind: Kind[Any]) -> Doc:
    return {
        "parameters": _CHECKED,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
    }
