"""What a pod asks of a node and which devices it got there, as its object says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from fairlead.model import GpuRequest
from fairlead.model.charges import mig_charge
from fairlead.objects import fields
from fairlead.objects.pod import Container, Pod
from fairlead.objects.quantity import Quantity, amount

SMALLEST: Final = 0.001
"""Smallest part of a device that is counted."""


def asked_of(pod: Pod) -> dict[str, int]:
    """Resource -> the larger of the containers' sum and each init container, plus the pod's overhead. CPU in 1/1000."""
    total: dict[str, int] = {}
    for container in pod.spec.containers:
        for name, value in amounts(_asked(container)).items():
            total[name] = total.get(name, 0) + value
    for container in pod.spec.init_containers:
        for name, value in amounts(_asked(container)).items():
            total[name] = max(total.get(name, 0), value)
    for name, value in amounts(pod.spec.overhead).items():
        total[name] = total.get(name, 0) + value
    return total


def amounts(quantities: Mapping[str, Quantity]) -> dict[str, int]:
    """Resource -> amount, of what a scheduler counts: no disk, no huge pages."""
    return {n: amount(quantities, n) for n in quantities if not n.startswith(("ephemeral-storage", "hugepages-"))}


def gpu_of(pod: Pod) -> GpuRequest:
    """GPUs of a pod: whole by resource, parts by annotation. A malformed annotation asks for nothing; admission refuses it before.

    A pod that shares devices has what it was given, whatever its annotations say since.
    """
    asked, given = _asked_gpu(pod), pod.metadata.annotations.get(fields.GPU_PORTION)
    if not given or asked.memory_mib or f"{asked.portion_milli / 1000:.2f}" == given:
        return asked
    groups, portion = groups_of(pod), round(_decimal(given) * 1000)
    return GpuRequest(devices=len(groups), portion_milli=min(portion, 999)) if groups and portion > 0 else asked


def _asked_gpu(pod: Pod) -> GpuRequest:
    notes = pod.metadata.annotations
    devices = count_of(notes.get(fields.GPU_FRACTION_DEVICES), 1)
    portion, memory = _decimal(notes.get(fields.GPU_FRACTION)), count_of(notes.get(fields.GPU_MEMORY), 0)
    if 0 < portion < 1:
        return GpuRequest(devices=devices, portion_milli=min(max(round(portion * 1000), 1), 999))
    if memory:
        return GpuRequest(devices=devices, memory_mib=memory)
    asked = asked_of(pod)
    whole_devices, mig = asked.get(fields.GPU_RESOURCE, 0), tuple(sorted((n, v) for n, v in asked.items() if is_mig(n)))
    return GpuRequest(devices=whole_devices, portion_milli=1000 if whole_devices else 0, mig=mig)


def is_gpu(resource: str) -> bool:
    """Whether a resource is devices, or parts of them that the hardware keeps apart (MIG)."""
    return resource == fields.GPU_RESOURCE or is_mig(resource)


def is_mig(resource: str) -> bool:
    """Whether a resource is instances of a MIG profile."""
    return resource.startswith(fields.MIG_PREFIX)


def malformed_shares(pod: Pod) -> Iterator[str]:
    """Annotations about parts of a device where they are not what they must be, each as the object of "It asks for ..."."""
    notes = pod.metadata.annotations
    portion, memory = notes.get(fields.GPU_FRACTION), notes.get(fields.GPU_MEMORY)
    if portion is not None and not _is_part(portion):
        yield f"{fields.GPU_FRACTION}={portion!r} (a number from {SMALLEST} to below 1 was expected)"
    for key in (fields.GPU_MEMORY, fields.GPU_FRACTION_DEVICES):
        text = notes.get(key)
        if text is not None and not (text.isdecimal() and 0 < len(text) < 8 and int(text)):
            yield f"{key}={text!r} (a whole number above 0 was expected)"
    if portion is not None and memory is not None:
        yield f"both {fields.GPU_FRACTION} and {fields.GPU_MEMORY}"
    if notes.get(fields.MPS) == "true" and not (portion or memory):
        yield f"MPS ({fields.MPS}) and no part of a GPU ({fields.GPU_FRACTION} or {fields.GPU_MEMORY} was expected)"
    if (portion or memory) and asked_of(pod).get(fields.GPU_RESOURCE):
        yield f"a part of a GPU and whole ones ({fields.GPU_RESOURCE})"


def _is_part(text: str) -> bool:
    try:
        return SMALLEST <= float(text) < 1
    except ValueError:
        return False


def gpu_milli(pod: Pod) -> int:
    """GPUs a pod asks for in 1/1000, MIG instances by the number in their profile; gpu-memory counts 0: its share depends on the device."""
    asked = gpu_of(pod)
    return asked.devices * asked.portion_milli + mig_charge(asked.mig)


def devices_of(pod: Pod) -> tuple[int, ...]:
    """Indices of the devices a pod got on its node, as the node wrote them."""
    return tuple(int(i) for i in pod.metadata.annotations.get(fields.DEVICES, "").split(",") if i.isdecimal())


def groups_of(pod: Pod) -> tuple[str, ...]:
    """GPU groups a pod shares, one a device: one annotation, joined by commas, or labels as KAI Scheduler writes them."""
    text = pod.metadata.annotations.get(fields.GPU_GROUP) or pod.metadata.labels.get(fields.GPU_GROUP, "")
    several = [
        k.removeprefix(fields.GPU_GROUP_PREFIX) for k in pod.metadata.labels if k.startswith(fields.GPU_GROUP_PREFIX)
    ]
    return tuple(filter(None, text.split(","))) or tuple(sorted(several))


def count_of(text: str | None, default: int) -> int:
    """The number in an annotation or label; `default` where it holds none that a device or its memory in MiB can have."""
    return int(text) if text and text.isdecimal() and len(text) < 8 else default


def _asked(container: Container) -> Mapping[str, Quantity]:
    return {**container.resources.limits, **container.resources.requests}


def _decimal(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
