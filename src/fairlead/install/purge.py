"""What an uninstallation leaves in a cluster, and how all of it goes: work and projects first, while there is somebody to end them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from fairlead.install.units import LABELS
from fairlead.objects.fields import PROJECT
from fairlead.preflight.gather.api import Api, path_of
from fairlead.runtime.errors import FairleadError, NotFound, Unreachable

Tell = Callable[[str], None]

_OURS: Final = "fairlead.dev/v1alpha1"
_WORK: Final = ("workspaces", "trainings", "distributedtrainings")
_UNITS: Final = ("projects", "departments")
_DEFINITIONS: Final = "app.kubernetes.io/part-of=fairlead"
_CRDS: Final = ("apiextensions.k8s.io/v1", "customresourcedefinitions")
_PULLS: Final = "kubernetes.io/dockerconfigjson"
_POLL: Final = 1.0


async def remains(api: Api) -> list[str]:
    """What would go beside the product itself, a line each. Raises: FairleadError."""
    found = []
    for plural in (*_WORK, *_UNITS):
        for each in await _listed(api, plural):
            meta = each["metadata"]
            place = f" in {meta['namespace']}" if meta.get("namespace") else ""
            found.append(f"{each.get('kind') or plural} {meta['name']}{place}")
    found += [f"namespace {name}, with everything in it" for name in await _project_namespaces(api)]
    return [*found, *(f"definition {name}" for name in await _definitions(api))]


async def work(api: Api, tell: Tell) -> None:
    """Workloads and projects, while the controllers are there to end their pods."""
    for plural in (*_WORK, *_UNITS):
        listed = await _listed(api, plural)
        for each in listed:
            meta = each["metadata"]
            with contextlib.suppress(NotFound):
                await api.call("DELETE", path_of(_OURS, plural, meta["name"], meta.get("namespace", "")))
        if listed:
            tell(f"Removed {len(listed)} {plural}.")


async def rest(api: Api, namespace: str, seconds: float, tell: Tell) -> None:
    """Namespaces and definitions, once nobody makes them again. Raises: Unreachable where a namespace does not end."""
    mine = {f"{each['metadata']['name']}" for each in await api.list("v1", "namespaces", labels=_DEFINITIONS)}
    names = [*await _project_namespaces(api), *sorted(mine - {namespace}), namespace]
    for name in await _definitions(api):
        with contextlib.suppress(NotFound):
            await api.call("DELETE", path_of(*_CRDS, name))
    for name in names:
        with contextlib.suppress(NotFound):
            await api.call("DELETE", path_of("v1", "namespaces", name))
    end = api.clock.monotonic() + seconds
    while left := [each for each in await _present(api) if each in names]:
        if api.clock.monotonic() > end:
            raise Unreachable(
                f"Still ending after {seconds:g} s: namespace {', '.join(left)}.",
                hint=f"`kubectl get namespace {left[0]} -o yaml` says what it waits for.",
                code="not-gone",
            )
        await api.clock.sleep(_POLL)
    tell(f"Removed the definitions, and the namespaces {', '.join(names)}.")


async def copies(api: Api) -> None:
    """Pull secrets that were copied for the product's own pods. Without the right to look, they stay."""
    with contextlib.suppress(FairleadError):
        for each in await api.list("v1", "secrets", labels=_DEFINITIONS):
            if each.get("type") == _PULLS:
                await api.call(
                    "DELETE", path_of("v1", "secrets", each["metadata"]["name"], each["metadata"]["namespace"])
                )


async def pods(api: Api, seconds: float, tell: Tell) -> None:
    """Wait for the product's own to end, for Helm does not. Those that do not within that time are named."""
    end = api.clock.monotonic() + seconds
    while left := await _pods(api):
        if api.clock.monotonic() > end:
            tell(f"Still ending: {', '.join(left)}.")
            return
        await api.clock.sleep(_POLL)


async def _pods(api: Api) -> list[str]:
    with contextlib.suppress(FairleadError):
        return sorted(each["metadata"]["name"] for each in await api.list("v1", "pods", labels=LABELS))
    return []


async def _listed(api: Api, plural: str) -> list[Mapping[str, Any]]:
    with contextlib.suppress(NotFound):
        return list(await api.list(_OURS, plural))
    return []


async def _project_namespaces(api: Api) -> list[str]:
    return sorted(each["metadata"]["name"] for each in await api.list("v1", "namespaces", labels=PROJECT))


async def _definitions(api: Api) -> list[str]:
    return sorted(each["metadata"]["name"] for each in await api.list(*_CRDS, labels=_DEFINITIONS))


async def _present(api: Api) -> list[str]:
    return [each["metadata"]["name"] for each in await api.list("v1", "namespaces")]
