"""What a request is charged and takes of a device: plain numbers, in 1/1000 device and MiB."""

from __future__ import annotations

import re
from typing import Final

_MIG: Final = re.compile(r"^nvidia\.com/mig-(\d+)g\.\d+gb$")


def mig_charge(mig: tuple[tuple[str, int], ...]) -> int:
    """GPU milli charged for MIG instances: the leading number of the profile each; names of another pattern charge nothing."""
    found = ((_MIG.match(name), count) for name, count in mig)
    return sum(1000 * int(match.group(1)) * count for match, count in found if match)


def is_gpu_class(device_class: str) -> bool:
    """Whether devices of this DRA class count as GPUs."""
    return "gpu" in device_class.lower()


def portions(milli: int, mib: int, memory_mib: int) -> tuple[int, int]:
    """(milli, MiB) that one device's part takes; the unit that was not named is floored. Devices of unknown size count no MiB."""
    if mib:
        return (mib * 1000 // memory_mib if memory_mib else 1000), mib
    return milli, milli * memory_mib // 1000


def memory_charge(mib: int, memory_mib: int, devices: int) -> int:
    """GPU milli charged for a memory request on a device of that size: rounded up to 1/100 device, times the devices."""
    return 10 * (-(-mib * 100 // memory_mib)) * devices if memory_mib else 1000 * devices
