"""Storage as the API tells of it. Pure (`preflight.keys.storage`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Document = Mapping[str, Any]
Facts = dict[str, Any]

_DEFAULTS: Final = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


def class_facts(classes: Sequence[Document], drivers: Sequence[Document], pods: Sequence[Document]) -> list[Facts]:
    """StorageClasses, and whether anybody answers for their provisioners."""
    known = {each["metadata"]["name"] for each in drivers}
    found = []
    for each in classes:
        annotations = each["metadata"].get("annotations") or {}
        provisioner = each.get("provisioner", "")
        found.append(
            {
                "name": each["metadata"]["name"],
                "provisioner": provisioner,
                "binding": each.get("volumeBindingMode") or "Immediate",
                "default": any(annotations.get(key) == "true" for key in _DEFAULTS),
                "annotations": {key: annotations[key] for key in _DEFAULTS if key in annotations},
                **({"created": made} if (made := each["metadata"].get("creationTimestamp")) else {}),
                **({"provisioner_alive": True} if provisioner in known or _is_run(provisioner, pods) else {}),
            }
        )
    return found


def csi_facts(csi_nodes: Sequence[Document]) -> dict[str, list[str]]:
    """Node -> the CSI drivers it lists."""
    return {
        each["metadata"]["name"]: sorted(d["name"] for d in (each.get("spec") or {}).get("drivers") or ())
        for each in csi_nodes
    }


def _is_run(provisioner: str, pods: Sequence[Document]) -> bool:
    """Whether a running pod was told that it is this provisioner."""
    for pod in pods:
        if (pod.get("status") or {}).get("phase") != "Running":
            continue
        for container in pod["spec"].get("containers") or ():
            told = [*(container.get("args") or ()), *(str(e.get("value", "")) for e in container.get("env") or ())]
            if provisioner and any(provisioner in each for each in told):
                return True
    return False
