"""Pod groups: made, and kept as they should be."""

from __future__ import annotations

from msgspec import to_builtins

from fairlead.kube.cache import Cache
from fairlead.kube.client import Client
from fairlead.kube.errors import AlreadyExists
from fairlead.objects import kinds
from fairlead.objects.json import JsonObject
from fairlead.objects.kai import PodGroup


async def ensure_group(client: Client, known: Cache[PodGroup], wanted: PodGroup) -> None:
    """The group exists with that spec. What others wrote beside it stays."""
    meta = wanted.metadata
    present = known.get(meta.name, meta.namespace)
    if present is None:
        try:
            await client.create(kinds.POD_GROUP, wanted, meta.namespace)
        except AlreadyExists:
            return  # the cache will show it, and the next look compares
    elif present.spec != wanted.spec:
        cleared: JsonObject = {"topologyConstraint": None, "subGroups": None, "preemptibility": None}
        patch: JsonObject = {"spec": {**cleared, **to_builtins(wanted.spec)}}
        await client.patch(kinds.POD_GROUP, meta.name, patch, meta.namespace)
