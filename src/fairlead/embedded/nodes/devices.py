"""Which devices of a node a pod gets. Whole devices are taken from the free ones, lowest index first; pods of one GPU group share one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fairlead.embedded.nodes.machine import Device
from fairlead.objects import fields
from fairlead.objects.pod import Pod
from fairlead.objects.quantity import amount
from fairlead.workloads.gpus import devices_of, groups_of


class NoDevice(Exception):
    """The node has not enough free devices: whoever bound the pod here counted wrong."""


def choose(pod: Pod, count: int, others: Iterable[Pod]) -> tuple[int, ...]:
    """Indices for the pod on a node of `count` devices, where `others` already hold some.

    Raises: NoDevice.
    """
    groups, taken = _held(others)
    wanted = groups_of(pod)
    if wanted:
        return _shared(wanted, count, groups, taken)
    asked = sum(amount(c.resources.limits, fields.GPU_RESOURCE) for c in pod.spec.containers)
    free = [i for i in range(count) if i not in taken]
    if len(free) < asked:
        raise NoDevice(f"{asked} GPUs asked, {len(free)} of {count} free")
    return tuple(free[:asked])


def told_of(pod: Pod, devices: Iterable[Device]) -> tuple[int, ...]:
    """Indices of the shared devices that the binder gave the pod; empty where the node shares its devices out itself."""
    told = pod.metadata.annotations.get(fields.VISIBLE_DEVICES, "").split(",")
    index = {device.uuid: device.index for device in devices}
    return tuple(index[uuid] for uuid in told if uuid in index)


def visible_devices(indices: Sequence[int], uuids: Mapping[int, str], *, simulated: bool) -> dict[str, str]:
    """Environment that shows a container its devices and no others; without any, none."""
    if not indices:
        return {"NVIDIA_VISIBLE_DEVICES": "void", "CUDA_VISIBLE_DEVICES": ""}
    names = ",".join(uuids[i] for i in indices)
    numbers = ",".join(str(i) for i in indices)
    found = {"NVIDIA_VISIBLE_DEVICES": names, "CUDA_VISIBLE_DEVICES": numbers}
    return found | ({"FAIRLEAD_SIMULATED_GPU": "1"} if simulated else {})


def _held(others: Iterable[Pod]) -> tuple[dict[str, int], set[int]]:
    """(GPU group -> device, devices taken by anybody)."""
    groups: dict[str, int] = {}
    taken: set[int] = set()
    for pod in others:
        indices = devices_of(pod)
        taken |= set(indices)
        groups |= dict(zip(groups_of(pod), indices, strict=False))
    return groups, taken


def _shared(wanted: Sequence[str], count: int, groups: dict[str, int], taken: set[int]) -> tuple[int, ...]:
    free = (i for i in range(count) if i not in taken)
    found = []
    for group in wanted:
        index = groups.get(group)
        if index is None:
            index = next(free, None)
        if index is None:
            raise NoDevice(f"no free GPU for the group {group}")
        found.append(index)
    return tuple(found)
