"""A node's devices as the cluster is told of them: the driver's word and the kubelet's, and where the two differ. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from fairlead.cluster.node.driver import Reading
from fairlead.cluster.node.mps import Word, told
from fairlead.kube.podresources import Given
from fairlead.objects import fields
from fairlead.objects.json import JsonObject
from fairlead.objects.organisation import DeviceReport, NodeReportStatus
from fairlead.objects.pod import Pod
from fairlead.objects.times import text_of

NO_MPS = Word()
"""Of every device where no daemons are run."""


def status_of(
    reading: Reading,
    given: Sequence[str],
    holders: Given,
    pods: Sequence[Pod],
    missing: Sequence[str] | None = None,
) -> NodeReportStatus:
    """The report. `given`: ids of devices that the kubelet would give; `holders`: who has which; `pods`: the node's reservation pods.

    `missing`: what MPS lacks here, as sentences; None where it is not run.
    """
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
            mig=device.mig,
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
        enforcement="none" if missing is None or missing else "mps",
        devices=tuple(devices),
        findings=(*reading.findings, *_differences(reading, unknown), *(missing or ())),
    )


def reserved(pods: Sequence[Pod], given: Given) -> Iterator[tuple[Pod, str]]:
    """Reservation pods that run and whose device is known to the kubelet, each with it.

    A kubelet that starts anew before the pod runs may give it another device.
    """
    for pod in pods:
        devices = given.get((pod.metadata.namespace, pod.metadata.name), ())
        if len(devices) == 1 and pod.status.phase == "Running":
            yield pod, devices[0]


def untold(
    pods: Sequence[Pod], given: Given, word: Callable[[str], Word] = lambda _: NO_MPS
) -> Iterator[tuple[Pod, JsonObject]]:
    """Reservation pods that do not tell their device, or what there is to tell of its MPS daemon, and the annotations that do.

    A device is told only once its daemon has answered or failed: pods are bound by what is said then.
    """
    for pod, device in reserved(pods, given):
        notes, said = pod.metadata.annotations, word(device)
        if not said.is_settled and notes.get(fields.RESERVED_DEVICE) != device:
            continue
        wanted = {
            fields.RESERVED_DEVICE: device,
            fields.MPS_SINCE: text_of(said.since) if said.since is not None else None,
            fields.ENFORCEMENT_REASON: told(said.why) if said.since is None and said.why else None,
        }
        changes: JsonObject = {key: value for key, value in wanted.items() if notes.get(key) != value}
        if changes:
            yield pod, changes


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
