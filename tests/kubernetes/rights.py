"""What accounts of the chart may do by RBAC, and what the API server's audit log shows that they did."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection
from pathlib import Path

Right = tuple[str, str, str]
"""(API group, resource or resource/subresource, verb)."""


def used(audit_log: Path, user: str) -> tuple[set[Right], dict[Right, str]]:
    """What the user used, and what it was refused, with the name of an object that it was refused for."""
    found: set[Right] = set()
    refused: dict[Right, str] = {}
    for line in audit_log.read_text().splitlines():
        entry = json.loads(line)
        if entry["user"].get("username") != user or "objectRef" not in entry:
            continue
        ref = entry["objectRef"]
        resource = "/".join(filter(None, (ref.get("resource", ""), ref.get("subresource", ""))))
        right = (ref.get("apiGroup", ""), resource, entry["verb"])
        found.add(right)
        if entry["responseStatus"]["code"] == 403:
            refused[right] = ref.get("name", "")
    return found, refused


def granted(kubeconfig: Path, roles: Collection[str]) -> dict[str, set[Right]]:
    """What the accounts of the chart may do, by role, as the API server has it."""
    command = ["kubectl", "--kubeconfig", str(kubeconfig), "get", "clusterroles,roles", "-A", "-o", "json"]
    items = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["items"]
    found: dict[str, set[Right]] = {role: set() for role in roles}
    for item in items:
        role = item["metadata"]["name"].removeprefix("fairlead-")
        for rule in item["rules"] or () if role in found and item["metadata"]["name"] != role else ():
            found[role] |= {(g, r, v) for g in rule["apiGroups"] for r in rule["resources"] for v in rule["verbs"]}
    return found
