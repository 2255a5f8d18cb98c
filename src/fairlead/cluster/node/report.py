"""A node's devices as the cluster is told of them: the driver's word and the kubelet's, and where the two differ. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairlead.cluster.node.driver import Reading
from fairlead.kube.podresources import Given
from fairlead.objects import fields
from fairlead.objects.organisation import DeviceReport, NodeReportStatus
from fairlead.objects.pod import Pod


def status_of(reading: Reading, given: Sequence[str], holders: Given, pods: Sequence[Pod]) -> NodeReportStatus:
    """The report. `given`: ids of devices that the kubelet would give; `holders`: who has which; `pods`: the node's reservation pods."""
    groups, whole = _groups(pods), _whole(holders, pods)
    told = {device.uuid for device in reading.devices}
    devices = [
        DeviceReport(
            uuid=device.uuid,
            index=device.index,
            model=device.model,
            memory_mib=device.memory_mib,
            memory_used_mib=device.used_mib,
            utilisation_percent=device.utilisation_percent,
            healthy=device.uuid in given,
            health_message="" if device.uuid in given else "The kubelet does not give it out.",
            gpu_groups=groups.get(device.uuid, ()),
            pods=whole.get(device.uuid, ()),
        )
        for device in reading.devices
    ]
    unknown = [uuid for uuid in given if uuid not in told]
    devices += [
        DeviceReport(uuid=uuid, index=len(devices) + at, gpu_groups=groups.get(uuid, ()), pods=whole.get(uuid, ()))
        for at, uuid in enumerate(unknown)
    ]
    return NodeReportStatus(
        driver_version=reading.version,
        enforcement="none",
        devices=tuple(devices),
        findings=(*reading.findings, *_differences(reading, unknown)),
    )


def untold(pods: Sequence[Pod], given: Given) -> Iterator[tuple[Pod, str]]:
    """Reservation pods whose device is known to the kubelet and not written on them yet, or written wrongly."""
    for pod in pods:
        devices = given.get((pod.metadata.namespace, pod.metadata.name), ())
        if len(devices) == 1 and pod.metadata.annotations.get(fields.RESERVED_DEVICE) != devices[0]:
            yield pod, devices[0]


def _differences(reading: Reading, unknown: Sequence[str]) -> Iterator[str]:
    if reading.devices and unknown:
        yield (
            f"The kubelet gives out {len(unknown)} GPUs that the driver does not know ({', '.join(unknown[:3])}): "
            "work sent there fails. Restart the device plugin of this node."
        )


def _whole(holders: Given, pods: Sequence[Pod]) -> dict[str, tuple[str, ...]]:
    """Device to the pods that have it for themselves: those that reserve one for others are left out."""
    reserving = {(pod.metadata.namespace, pod.metadata.name) for pod in pods}
    found: dict[str, tuple[str, ...]] = {}
    for name, devices in sorted(holders.items()):
        for uuid in devices if name not in reserving else ():
            found[uuid] = (*found.get(uuid, ()), "/".join(name))
    return found


def _groups(pods: Sequence[Pod]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for pod in pods:
        uuid = pod.metadata.annotations.get(fields.RESERVED_DEVICE, "")
        if uuid:
            found[uuid] = (*found.get(uuid, ()), pod.metadata.labels.get(fields.GPU_GROUP, ""))
    return found
