"""A node's report as gauges: how busy each device is, its memory, who has it, and since when nobody did anything with it; and how busy
and full the machine is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fairlead.cluster.node.machine import Machine, busy
from fairlead.objects.organisation import DeviceReport, NodeReportStatus
from fairlead.runtime.instruments import Sample
from fairlead.runtime.metrics import METRICS

_MPS: Final = {"fairlead_mps_daemons", "fairlead_mps_starts"}
NAMES: Final = tuple(m.name for m in METRICS if m.source == "node" and m.name not in _MPS)
_MIB: Final = 1 << 20


class Devices:
    """What was last seen of the devices of a node. `now`: seconds since the epoch, here and below."""

    names: Final = NAMES

    def __init__(self, node: str, now: float) -> None:
        self._node = node
        self._began = now
        self._seen: NodeReportStatus | None = None
        self._machine: tuple[Machine | None, Machine | None] = (None, None)
        """The last two looks."""
        self._active: dict[str, float] = {}
        """Device to when it was last busy."""

    def note(self, status: NodeReportStatus, now: float, machine: Machine | None = None) -> None:
        """Takes the place of what was seen before; devices that are gone are forgotten."""
        self._machine = (self._machine[1], machine)
        self._active = {
            each.uuid: now if each.utilisation_percent else self._active.get(each.uuid, self._began)
            for each in status.devices
        }
        self._seen = status

    def samples(self) -> Iterator[Sample]:
        """All gauges of `NAMES`; none before the first look."""
        status, active = self._seen, self._active
        if status is None:
            return
        for device in status.devices:
            for name, value in _of_device(device, active[device.uuid]):
                yield Sample(name, (self._node, str(device.index)), value)
            yield Sample("fairlead_device_info", (self._node, str(device.index), device.uuid, device.model), 1)
            for pod in device.pods:
                labels = (*pod.split("/", 1), self._node, str(device.index))
                yield Sample("runai_gpu_utilization_with_pod_info", labels, device.utilisation_percent)
                if len(device.pods) == 1:
                    yield Sample("fairlead_pod_gpu_memory_used_mebibytes", labels, device.memory_used_mib)
        for name, value in (*_of_node(status), *_of_machine(*self._machine)):
            yield Sample(name, (self._node,), value)


def _of_device(device: DeviceReport, active: float) -> Iterator[tuple[str, float]]:
    yield "runai_gpu_utilization_per_gpu", device.utilisation_percent
    yield "runai_node_gpu_utilization", device.utilisation_percent
    yield "runai_gpu_memory_used_mebibytes_per_gpu", device.memory_used_mib
    yield "runai_gpu_memory_total_mebibytes_per_gpu", device.memory_mib
    yield "runai_gpu_is_allocated", bool(device.pods or device.gpu_groups)
    yield "runai_gpu_is_running_fractional_job", bool(device.gpu_groups)
    yield "runai_gpu_last_active_time", active
    yield "runai_node_gpu_last_not_idle_time", active
    yield "fairlead_device_healthy", device.healthy


def _of_node(status: NodeReportStatus) -> Iterator[tuple[str, float]]:
    devices = status.devices
    used, total = sum(d.memory_used_mib for d in devices), sum(d.memory_mib for d in devices)
    if devices:
        busy = sum(d.utilisation_percent for d in devices)
        yield "runai_gpu_utilization_per_node", busy / len(devices)
    yield "runai_gpu_memory_used_mebibytes_per_node", used
    yield "runai_gpu_memory_total_mebibytes_per_node", total
    yield "runai_node_gpu_used_memory_bytes", used * _MIB
    yield "runai_node_gpu_used_memory", used
    yield "runai_node_gpu_total_memory", total
    yield "runai_mig_mode_gpu_count", sum(d.mig for d in devices)
    yield "fairlead_node_devices", len(devices)
    yield "fairlead_node_findings", len(status.findings)


def _of_machine(before: Machine | None, now: Machine | None) -> Iterator[tuple[str, float]]:
    if now is None:
        return
    used = now.total_bytes - now.available_bytes
    yield "runai_node_total_memory_bytes", now.total_bytes
    yield "runai_node_used_memory_bytes", used
    yield "runai_node_memory_used_bytes", used
    yield "runai_node_memory_utilization", used / now.total_bytes
    if before is not None and (part := busy(before, now)) is not None:
        yield "runai_node_cpu_utilization", part
