"""Which version of a kind is spoken with a server: what its discovery says decides, never its version.

`Kind.older` lists versions that are read the same way; a server that does not serve the kind's own is spoken to in those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from fairlead.objects.kinds import DISRUPTION_BUDGET, Kind
from fairlead.objects.meta import Wire

T = TypeVar("T")

EVICTION: Final = "pods/eviction"


class Resource(Wire, frozen=True, kw_only=True):
    """One resource of a discovery document; group and version only where they differ from those of the document."""

    name: str
    group: str = ""
    version: str = ""


class Resources(Wire, frozen=True, kw_only=True):
    """The discovery document of one group and version; empty for one that is not served."""

    resources: tuple[Resource, ...] = ()


_RESOURCES = msgspec.json.Decoder(Resources)


def read(body: bytes) -> Resources:
    """Give a discovery document."""
    return _RESOURCES.decode(body)


def choose(kind: Kind[T], served: Mapping[str, Resources]) -> Kind[T]:
    """Give the kind in the first of its versions that the server serves.

    `served`: documents by `group/version`. A kind that is served in none stays as it is: the call itself is then refused.
    """
    for version in (kind.version, *kind.older):
        found = served.get(f"{kind.group}/{version}", Resources())
        if any(each.name == kind.plural for each in found.resources):
            return msgspec.structs.replace(kind, version=version, older=())
    return kind


def eviction_version(core: Resources) -> str:
    """Give the `group/version` in which the server reads evictions, by its document of `v1`."""
    found = next((each for each in core.resources if each.name == EVICTION), None)
    return f"{found.group}/{found.version}" if found and found.version else DISRUPTION_BUDGET.api_version
