"""Quota as existing clients write it, as the cluster's objects hold it, and back.

REST: GPUs in devices, CPUs in millicores, memory in `units`. Objects: 1/1000 device, millicores, bytes; -1 = unlimited.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fairlead.objects.organisation import PoolResources, Share
from fairlead.runtime.errors import Invalid
from fairlead.server.db import stored
from fairlead.server.db.records import OrgUnit
from fairlead.wire.rest import organisation as rest

_UNITS = {"Mib": 1 << 20, "MB": 10**6, "GB": 10**9, "Gib": 1 << 30}
_PRIORITIES = {
    "VeryHigh": 140,
    "High": 120,
    "MediumHigh": 110,
    "Medium": 100,
    "MediumLow": 90,
    "Low": 80,
    "VeryLow": 60,
}
"""Words existing clients use for a queue's rank; a number is taken as it is."""
_LARGEST = 1 << 53
"""Largest stored amount: exact as a JSON number, and sums over many projects fit 64 bits."""
_HEAVIEST = 1_000_000


def to_object(resources: Iterable[rest.PoolResources | None], pools: dict[str, str]) -> tuple[PoolResources, ...]:
    """One entry a node pool. `pools` maps ids and names to names.

    Raises: Invalid naming the field and what was expected.
    """
    found: dict[str, PoolResources] = {}
    for index, item in enumerate(r for r in resources if r is not None):
        path = f"resources[{index}]"
        name = _pool_name(item.node_pool, pools, path)
        if name in found:
            raise Invalid(f"Node pool {name!r} is named twice.", fields={f"{path}.nodePool": "one entry a pool"})
        found[name] = PoolResources(
            node_pool=name,
            gpu=_share(item.gpu, 1000, 0, f"{path}.gpu"),
            cpu=_share(item.cpu, 1, -1, f"{path}.cpu"),
            memory=_share(item.memory, _UNITS[item.memory.units] if item.memory else 1, -1, f"{path}.memory"),
        )
    return tuple(found.values())


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """What the column `resources` of a department or project holds."""

    pools: tuple[PoolResources, ...]
    priority: int | None = None
    default_node_pools: tuple[str, ...] = ()


def quota_of(unit: OrgUnit) -> Quota | None:
    """The unit's quota; None, and a line in the log, where what is stored cannot be read."""
    return stored.read(unit.resources, Quota, "project" if unit.namespace else "department", unit.id)


def to_rest(pools: Iterable[PoolResources], pool_ids: dict[str, str]) -> list[rest.PoolResources]:
    """Quota as clients read it."""
    return [
        rest.PoolResources(
            node_pool=rest.PoolRef(id=pool_ids.get(item.node_pool, item.node_pool), name=item.node_pool),
            gpu=rest.ResourceQuota(**_amounts(item.gpu, 1000)),
            cpu=rest.ResourceQuota(**_amounts(item.cpu, 1)),
            memory=rest.MemoryQuota(units="Mib", **_amounts(item.memory, 1 << 20)),
        )
        for item in pools
    ]


def priority_of(resources: Iterable[rest.PoolResources | None]) -> int | None:
    """The first priority given, as a number.

    Raises: Invalid for a word nobody knows.
    """
    for item in resources:
        if item is not None and item.priority:
            if item.priority.lstrip("-").isdigit():
                return int(item.priority)
            if item.priority not in _PRIORITIES:
                raise Invalid(
                    f"{item.priority!r} is no priority.",
                    fields={"resources.priority": f"a number, or one of {', '.join(_PRIORITIES)}"},
                )
            return _PRIORITIES[item.priority]
    return None


def _pool_name(ref: rest.PoolRef | None, pools: dict[str, str], path: str) -> str:
    if ref is None:
        return "default"
    for key in (ref.id, ref.name):
        if key and key in pools:
            return pools[key]
    raise Invalid(
        f"There is no node pool {ref.name or ref.id!r}.",
        fields={f"{path}.nodePool": f"one of {', '.join(sorted(set(pools.values())))}"},
        code="node-pool-not-found",
    )


def _share(quota: rest.ResourceQuota | None, unit: int, missing: int, path: str) -> Share:
    if quota is None:
        return Share(deserved=missing)
    deserved = missing if quota.deserved is None else _amount(quota.deserved, unit, f"{path}.deserved")
    limit = -1 if quota.limit is None else _amount(quota.limit, unit, f"{path}.limit")
    if -1 < limit < deserved:
        raise Invalid(
            f"The limit ({quota.limit:g}) is below the guaranteed amount ({quota.deserved or 0:g}).",
            fields={f"{path}.limit": "at least `deserved`, or -1 for none"},
            code="limit-below-deserved",
        )
    weight = 2.0 if quota.over_quota_weight is None else quota.over_quota_weight
    if not weight <= _HEAVIEST:
        raise Invalid(f"{weight:g} is no weight.", fields={f"{path}.overQuotaWeight": f"0 to {_HEAVIEST}"})
    return Share(deserved=deserved, limit=limit, over_quota_weight=weight)


def _amount(value: float, unit: int, path: str) -> int:
    if value == -1:
        return -1
    if not 0 <= value * unit <= _LARGEST:
        raise Invalid(f"{value:g} is no amount.", fields={path: "0 or more and below 8Pi, or -1 for unlimited"})
    return round(value * unit)


def _amounts(share: Share, unit: int) -> dict[str, float]:
    def shown(amount: int) -> float:
        return -1 if amount < 0 else amount / unit

    return {
        "deserved": shown(share.deserved),
        "limit": shown(share.limit),
        "over_quota_weight": share.over_quota_weight,
    }
