"""What a container that shares devices is told of them.

Which devices a pod gets is known only once it is bound, when its environment cannot be changed any more. So its container reads
annotations (Kubernetes' downward API) that are written together with the binding: no object beside the pod is needed, and a pod without
them sees no device. Source: ADR 6.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from fairlead.objects import fields
from fairlead.objects.json import JsonObject
from fairlead.objects.pod import Container, EnvVar, Pod
from fairlead.workloads.gpus import gpu_of

VISIBLE: Final = "NVIDIA_VISIBLE_DEVICES"
"""What NVIDIA's runtime shows a container. Most CUDA images set it to `all`, which is every device of the node."""


def from_annotation(name: str, key: str) -> EnvVar:
    """A variable that a container reads from an annotation of its pod."""
    at: JsonObject = {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{key}']"}
    return EnvVar(name=name, value_from={"fieldRef": at})


TOLD: Final = (
    from_annotation(VISIBLE, fields.VISIBLE_DEVICES),
    from_annotation("GPU_PORTION", fields.GPU_PORTION),
    from_annotation("RUNAI_NUM_OF_GPUS", fields.GPU_PORTION),
)
"""The variables, under the names that programs for KAI Scheduler and Run:ai read."""


def holder_of(pod: Pod) -> str:
    """Name of the container that gets the parts of devices; empty where the pod asks for none."""
    asked = gpu_of(pod)
    if asked.portion_milli in (0, 1000) and not asked.memory_mib:
        return ""
    first = pod.spec.containers[0].name if pod.spec.containers else ""
    return pod.metadata.annotations.get(fields.GPU_FRACTION_CONTAINER, first)


def is_told(pod: Pod) -> bool:
    """Whether the container that gets the parts will see exactly them."""
    holder = holder_of(pod)
    found = (c for c in (*pod.spec.init_containers, *pod.spec.containers) if c.name == holder)
    return any([e.value_from for e in c.env if e.name == VISIBLE][-1:] == [TOLD[0].value_from] for c in found)


def with_devices(pod: Pod) -> Pod:
    """The pod with that container told; the same pod where it shares none."""
    holder = holder_of(pod)
    if not holder:
        return pod
    containers = tuple(_told(c) if c.name == holder else c for c in pod.spec.containers)
    first = tuple(_told(c) if c.name == holder else c for c in pod.spec.init_containers)
    return replace(pod, spec=replace(pod.spec, containers=containers, init_containers=first))


def _told(container: Container) -> Container:
    names = {variable.name for variable in TOLD}
    return replace(container, env=(*(e for e in container.env if e.name not in names), *TOLD))
