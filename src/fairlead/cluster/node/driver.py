"""What NVIDIA's library says of this machine's GPUs."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

NO_LIBRARY: Final = (
    "NVIDIA's library (libnvidia-ml.so.1) is not to be found: without it devices are known by their ids alone. "
    "On a node with GPUs, set node.runtimeClassName to the runtime that brings it (nvidia)."
)
NOT_LOADED: Final = "NVIDIA's driver is not loaded on this node: `nvidia-smi` there says why."


class Device(Struct, frozen=True, kw_only=True):
    """One GPU. Units: MiB, percent."""

    index: int
    uuid: str
    model: str = ""
    memory_mib: int = 0
    used_mib: int = 0
    utilisation_percent: int = 0
    mig: bool = False
    """Split by MIG."""


class Reading(Struct, frozen=True, kw_only=True):
    """The driver's version, its devices, and what is wrong, as sentences."""

    version: str = ""
    devices: tuple[Device, ...] = ()
    findings: tuple[str, ...] = ()


def read() -> Reading:
    """What there is now; without a library or a driver a finding that says so. Blocks for some milliseconds."""
    import pynvml as nvml

    try:
        nvml.nvmlInit()
    except nvml.NVMLError_LibraryNotFound:
        return Reading(findings=(NO_LIBRARY,))
    except nvml.NVMLError_DriverNotLoaded:
        return Reading(findings=(NOT_LOADED,))
    except nvml.NVMLError as error:
        return Reading(findings=(f"NVIDIA's library does not start: {error}.",))
    try:
        devices = tuple(_device(nvml, index) for index in range(nvml.nvmlDeviceGetCount()))
        return Reading(version=str(nvml.nvmlSystemGetDriverVersion()), devices=devices)
    except nvml.NVMLError as error:
        return Reading(findings=(f"NVIDIA's driver does not tell its devices: {error}.",))
    finally:
        nvml.nvmlShutdown()


def _device(nvml: Any, index: int) -> Device:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    return Device(
        index=index,
        uuid=str(nvml.nvmlDeviceGetUUID(handle)),
        model=str(nvml.nvmlDeviceGetName(handle)).replace(" ", "-"),
        memory_mib=int(memory.total) >> 20,
        used_mib=int(memory.used) >> 20,
        utilisation_percent=_utilisation(nvml, handle),
        mig=_is_split(nvml, handle),
    )


def _utilisation(nvml: Any, handle: Any) -> int:
    """0 where the device does not tell, as one that is split by MIG does not."""
    try:
        return int(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    except (nvml.NVMLError, AttributeError):
        return 0


def _is_split(nvml: Any, handle: Any) -> bool:
    """Whether MIG is on; not where the device does not know of it."""
    try:
        current, _pending = nvml.nvmlDeviceGetMigMode(handle)
    except (nvml.NVMLError, AttributeError):
        return False
    return bool(current == nvml.NVML_DEVICE_MIG_ENABLE)
