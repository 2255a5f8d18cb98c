"""Releases of Helm, kept in secrets, and which of their kinds the cluster does not serve any more (`preflight.keys.cluster`)."""

from __future__ import annotations

import asyncio
import base64
import gzip
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fairlead.preflight.gather.api import Api, known, known_or_none, path_of, unknown

Document = Mapping[str, Any]
Facts = dict[str, Any]
Kind = tuple[str, str]
"""(GROUP/VERSION, kind)."""


async def release_facts(api: Api, namespace: str) -> list[Facts]:
    """Those of a namespace, the newest revision of each. Raises: FairleadError where secrets may not be listed."""
    newest = newest_releases(await api.list("v1", "secrets", namespace, metadata_only=True, labels="owner=helm"))
    return list(await asyncio.gather(*(_facts_of(api, secret) for secret in newest)))


def newest_releases(secrets: Sequence[Document]) -> list[Document]:
    """Of each release the secret with its newest revision, by the labels that Helm gives them; by name."""
    found: dict[str, Document] = {}
    for each in secrets:
        name = _label(each, "name")
        if name and (name not in found or _revision(each) >= _revision(found[name])):
            found[name] = each
    return [found[name] for name in sorted(found)]


async def _facts_of(api: Api, secret: Document) -> Facts:
    meta = secret["metadata"]
    found = {"namespace": meta["namespace"], "name": _label(secret, "name"), "status": _label(secret, "status")}
    return found | {"removed_apis": await _removed(api, meta["namespace"], meta["name"])}


async def _removed(api: Api, namespace: str, name: str) -> Any:
    """Kinds of the release's manifest that are not served, as GROUP/VERSION KIND; unknown with the reason."""
    secret = await known(api.get(path_of("v1", "secrets", name, namespace)))
    if "unknown" in secret:
        return secret
    try:
        kinds = kinds_of(str((secret.get("data") or {}).get("release", "")))
    except ValueError as error:
        return unknown(f"the secret {namespace}/{name} holds no release of Helm that can be read: {error}")
    versions = sorted({version for version, _ in kinds})
    served = dict(zip(versions, await asyncio.gather(*(_served(api, each) for each in versions)), strict=True))
    if why := next((each for each in served.values() if isinstance(each, dict)), None):
        return why
    return sorted(f"{version} {kind}" for version, kind in kinds if kind not in served[version])


async def _served(api: Api, group_version: str) -> Any:
    """The kinds under it; unknown with the reason."""
    found = await known_or_none(api.get(path_of(group_version, "").rstrip("/")))
    if found is None or "unknown" in found:
        return found or frozenset()
    return frozenset(str(each.get("kind")) for each in found.get("resources") or ())


def kinds_of(release: str) -> set[Kind]:
    """Kinds of the objects of a release. `release`: as its secret has it, twice in base64 and packed. Raises: ValueError."""
    try:
        packed = base64.b64decode(base64.b64decode(release))
        manifest = msgspec.json.decode(gzip.decompress(packed), type=_Release).manifest
        objects = YAML(typ="safe", pure=False).load_all(manifest)
        return {(str(each["apiVersion"]), str(each["kind"])) for each in objects if each}
    except _UNREADABLE as error:
        raise ValueError(str(error) or type(error).__name__) from error


_UNREADABLE: Final = (ValueError, OSError, EOFError, zlib.error, msgspec.DecodeError, YAMLError, KeyError, TypeError)
"""Errors of unpacking and reading."""


class _Release(msgspec.Struct):
    manifest: str


def _label(secret: Document, name: str) -> str:
    return str((secret["metadata"].get("labels") or {}).get(name, ""))


def _revision(secret: Document) -> int:
    said = _label(secret, "version")
    return int(said) if said.isdigit() else 0
