"""Answers of the REST API as the command line's own JSON: keys in snake_case, amounts with their unit in the key.

GPUs and CPUs are whole numbers of 1/1000; -1 is no limit. Kubernetes objects (`submit --dry-run`) are not ours and stay as they are.
"""

from __future__ import annotations

import re
from typing import Any

from fairlead.cli import output

_HUMP = re.compile(r"(?<=[a-z0-9])[A-Z]")
_MIB = {"Mib": 1.0, "Gib": 1024.0, "MB": 1e6 / (1 << 20), "GB": 1e9 / (1 << 20)}


def plain(value: Any) -> Any:
    """The value with all keys in snake_case, at every depth."""
    if isinstance(value, dict):
        return {_snake(key): plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


def workload(row: Any) -> dict[str, Any]:
    """A workload of the list, or one with its pods, specification and history."""
    asked = row["workloadRequestedResources"]
    found = {
        **_without(row, "workloadRequestedResources", "podsRequestedResources", "allocatedResources", "tenantId"),
        "waitingSeconds": round(output.seconds_since(row["phaseUpdatedAt"])) if row["phase"] == "Pending" else 0,
        "requestedPods": row["requestedPods"]["number"],
        "requestedCpuMilli": _milli(asked["cpu"]["request"]),
        "requestedMemoryBytes": int(asked["cpuMemory"]["request"]),
    }
    for key in ("requested", "allocated", "borrowed"):
        found[f"{key}GpuMilli"] = _milli(found.pop(f"{key}Gpus"))
    if "pods" in row:
        found["pods"] = [_pod(pod) for pod in row["pods"]]
    return dict(plain(found))


def unit(row: Any) -> dict[str, Any]:
    """A department or project: its quota and use in each node pool."""
    status = row["status"]
    use = {u["nodePoolName"]: u for u in status["nodePoolQuotaStatuses"]}
    pools = [_pool(r, use.get((r["nodePool"] or {}).get("name") or "default")) for r in row["resources"]]
    found = {**_without(row, "resources", "status"), **_without(status, "nodePoolQuotaStatuses"), "nodePools": pools}
    return dict(plain(found))


def _pod(row: Any) -> dict[str, Any]:
    asked, held = row["requestedResources"], row["allocatedResources"]
    return {
        **_without(row, "requestedResources", "allocatedResources", "tenantId"),
        "requestedGpuMilli": _milli(asked["gpu"]["request"]),
        "allocatedGpuMilli": _milli(held["gpu"]),
        "requestedCpuMilli": _milli(asked["cpu"]["request"]),
        "requestedMemoryBytes": int(asked["cpuMemory"]["request"]),
    }


def _pool(quota: Any, use: Any) -> dict[str, Any]:
    """One pool's quota (`deserved`, `limit`, over-quota weight) and use (0 where the cluster has not said any yet)."""
    found: dict[str, Any] = {"nodePool": (quota["nodePool"] or {}).get("name"), "priority": quota["priority"]}
    for resource, unit_of, scale in (("gpu", "Milli", 1000.0), ("cpu", "Milli", 1.0), ("memory", "Mib", 1.0)):
        share = quota[resource] or {}
        factor = _MIB[share.get("units", "Mib")] if resource == "memory" else scale
        for key in ("deserved", "limit"):
            found[f"{key}{resource.capitalize()}{unit_of}"] = _scaled(share.get(key), factor)
        found[f"{resource}OverQuotaWeight"] = share.get("overQuotaWeight")
    for key in ("allocated", "allocatedNonPreemptible", "requested", "fairShare"):
        amounts = (use or {}).get(key) or {"gpu": 0, "cpu": 0, "memory": 0}
        found[f"{key}GpuMilli"], found[f"{key}CpuMilli"] = _milli(amounts["gpu"]), _milli(amounts["cpu"])
        found[f"{key}MemoryBytes"] = int(amounts["memory"])
    return found


def _scaled(amount: float | None, factor: float) -> int | None:
    return None if amount is None else -1 if amount < 0 else round(amount * factor)


def _milli(amount: float) -> int:
    return round(amount * 1000)


def _snake(key: str) -> str:
    return _HUMP.sub(lambda found: f"_{found[0]}", key).lower()


def _without(row: Any, *keys: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in keys}
