"""What this machine is: cores, memory, and its GPUs as NVIDIA's library reports them. Simulated GPUs are made here too, and say so."""

from __future__ import annotations

import platform
import re
from uuid import NAMESPACE_DNS, uuid5

import psutil
from msgspec import Struct

from fairlead.cluster.node import driver

SIMULATED_MODEL = "Simulated-GPU"
SIMULATED_MIB = 80 * 1024


class Device(Struct, frozen=True, kw_only=True):
    """One GPU of a node."""

    index: int
    uuid: str
    model: str
    memory_mib: int


class NodeSpec(Struct, frozen=True, kw_only=True):
    """One embedded node. `simulated`: its GPUs do not exist. `runtime`: process, container or simulated."""

    name: str
    cpu_milli: int
    memory_bytes: int
    devices: tuple[Device, ...]
    simulated: bool
    runtime: str
    driver: str = ""
    pods: int = 110


def this_machine(runtime: str, simulated_gpus: int) -> NodeSpec:
    """This machine as a node: its real GPUs, else that many simulated ones."""
    found = driver.read()
    devices = tuple(Device(index=d.index, uuid=d.uuid, model=d.model, memory_mib=d.memory_mib) for d in found.devices)
    name = re.sub(r"[^a-z0-9.-]", "-", platform.node().lower()).strip("-.") or "localhost"
    return NodeSpec(
        name=name[:63],
        cpu_milli=(psutil.cpu_count() or 1) * 1000,
        memory_bytes=psutil.virtual_memory().total,
        devices=devices or simulated_devices(name, simulated_gpus),
        simulated=not devices,
        runtime=runtime,
        driver=found.version,
    )


def simulated_nodes(text: str) -> tuple[NodeSpec, ...]:
    """Nodes of "4x8": four of eight GPUs each; nothing of them is real.

    Raises: ValueError where the text is not of that form, or there would be no node.
    """
    form = re.fullmatch(r"([1-9]\d{0,4})x(\d{1,2})", text)
    if form is None:
        raise ValueError(text)
    count, gpus = int(form[1]), int(form[2])
    width = len(str(max(count - 1, 0)))
    return tuple(
        NodeSpec(
            name=f"sim-{i:0{width}d}",
            cpu_milli=64_000,
            memory_bytes=512 << 30,
            devices=simulated_devices(f"sim-{i}", gpus),
            simulated=True,
            runtime="simulated",
        )
        for i in range(count)
    )


def simulated_devices(node: str, count: int) -> tuple[Device, ...]:
    """Devices that do not exist, with UUIDs that are always the same for a node."""
    return tuple(
        Device(
            index=i,
            uuid=f"GPU-{uuid5(NAMESPACE_DNS, f'{node}-{i}.simulated.fairlead')}",
            model=SIMULATED_MODEL,
            memory_mib=SIMULATED_MIB,
        )
        for i in range(count)
    )
