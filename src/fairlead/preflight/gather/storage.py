"""Storage as the API tells of it. Pure (`preflight.keys.storage`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fairlead.preflight.gather.nodes import pod_state

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


def plugin_facts(
    shared: str,
    classes: Sequence[Document],
    daemonsets: Sequence[Document],
    pods: Sequence[Document],
    nodes: Sequence[str],
) -> dict[str, str]:
    """Node -> the pod there of the driver of a class: running, none, or its state. Nothing where no DaemonSet is that driver.

    A driver's DaemonSet registers it with the kubelet by a socket in a folder of the driver's name.
    """
    driver = next((str(each.get("provisioner", "")) for each in classes if each["metadata"]["name"] == shared), "")
    owners = {_place(each) for each in daemonsets if driver and f"/plugins/{driver}/" in f"{_pod_of(each)}/"}
    if not owners:
        return {}
    found = dict.fromkeys(nodes, "none")
    for pod in pods:
        by = next((o for o in pod["metadata"].get("ownerReferences") or () if o.get("kind") == "DaemonSet"), None)
        node = (pod.get("spec") or {}).get("nodeName")
        if by and node in found and (pod["metadata"].get("namespace", ""), by["name"]) in owners:
            found[node] = pod_state(pod)
    return found


def _place(each: Document) -> tuple[str, str]:
    return each["metadata"].get("namespace", ""), each["metadata"]["name"]


def _pod_of(daemonset: Document) -> str:
    """Flags, variables and paths of its pods, as text."""
    spec = ((daemonset.get("spec") or {}).get("template") or {}).get("spec") or {}
    told = [*(c.get("args", ()) for c in spec.get("containers") or ())]
    told += [[e.get("value", "") for e in c.get("env") or ()] for c in spec.get("containers") or ()]
    told += [[f"{(v.get('hostPath') or {}).get('path', '').rstrip('/')}/"] for v in spec.get("volumes") or ()]
    return " ".join(str(word) for words in told for word in words)


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
