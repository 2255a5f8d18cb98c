"""What the pods of the chart ask for in the product's namespace, by its values as they are: a test compares. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from fairlead.preflight.config import Config

NODE_NAMESPACE: Final = "fairlead-node"
"""Where the agents of nodes run."""
RESERVATION_NAMESPACE: Final = "fairlead-reservation"
"""Where pods hold devices that others share."""
BESIDE: Final = (NODE_NAMESPACE, RESERVATION_NAMESPACE)
"""Namespaces of the chart besides that of the product."""
_MIB: Final = 1 << 20
_COUNTED: Final = ("pods", "count/pods")


class Unit(Struct, frozen=True, kw_only=True):
    """Pods of one kind. Each has one container, which states no limit of CPU. Units: cores, MiB."""

    name: str
    replicas: int
    cpu: float
    memory_mib: int
    most_memory_mib: int

    def requests(self) -> Mapping[str, float]:
        """Cores and bytes of one pod."""
        return {"cpu": self.cpu, "memory": self.memory_mib * _MIB}

    def limits(self) -> Mapping[str, float]:
        """Bytes of one pod."""
        return {"memory": self.most_memory_mib * _MIB}

    def counted(self) -> dict[str, float]:
        """One pod as a ResourceQuota counts it; what it counts and the pod does not state is left out."""
        requests = {f"requests.{name}": amount for name, amount in self.requests().items()}
        limits = {f"limits.{name}": amount for name, amount in self.limits().items()}
        return dict.fromkeys(_COUNTED, 1.0) | dict(self.requests()) | requests | limits


CRDS: Final = Unit(name="crds", replicas=1, cpu=0.05, memory_mib=96, most_memory_mib=256)
"""The Job that makes the definitions: before all else, and gone once it has done so."""
ALWAYS: Final = (
    Unit(name="scheduler", replicas=2, cpu=0.1, memory_mib=256, most_memory_mib=2048),
    Unit(name="controllers", replicas=2, cpu=0.05, memory_mib=192, most_memory_mib=1024),
    Unit(name="admission", replicas=2, cpu=0.05, memory_mib=128, most_memory_mib=512),
)
AGENT: Final = Unit(name="agent", replicas=2, cpu=0.05, memory_mib=192, most_memory_mib=1024)
SERVER: Final = Unit(name="server", replicas=1, cpu=0.1, memory_mib=256, most_memory_mib=1024)
PROMETHEUS: Final = Unit(name="prometheus", replicas=1, cpu=0.1, memory_mib=512, most_memory_mib=2048)
UNSTATED: Final = ("limits.cpu",)
"""What a ResourceQuota may want each container to state, and ours do not."""


def units(config: Config) -> tuple[Unit, ...]:
    """What runs in the product's namespace."""
    more = (
        (AGENT, bool(config.control_plane.cluster)),
        (SERVER, bool(config.control_plane.server_secret)),
        (PROMETHEUS, config.prometheus.mode == "bundled"),
    )
    return (*ALWAYS, *(unit for unit, is_there in more if is_there))


def wanted(config: Config) -> dict[str, float]:
    """What a ResourceQuota counts of all of it."""
    found: dict[str, float] = {}
    for unit in units(config):
        for name, amount in unit.counted().items():
            found[name] = found.get(name, 0) + unit.replicas * amount
    return found


def least() -> Mapping[str, float]:
    """What it counts of the first and smallest pod, that of the Job."""
    return CRDS.counted()
