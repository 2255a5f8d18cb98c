"""Which shared device each fraction pod of a scenario file starts on.

A file may give more pods "a device of their own" than a node has devices: those that find no free one join the fullest device with room,
in written order. Only where none has room do they get one more, and the invariants then say so.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from fairlead.model import GpuGroup, GpuRequest, Node
from fairlead.simulator.scenario.spec import PodSpec

_PLACED: Final = ("pipelined", "bound", "running", "releasing")


def is_fraction(gpu: GpuRequest) -> bool:
    """Whether this request takes parts of devices."""
    return 0 < gpu.portion_milli < 1000 or gpu.memory_mib > 0


def starting_devices(pods: Iterable[PodSpec], nodes: Mapping[str, Node]) -> dict[str, tuple[GpuGroup, ...]]:
    """Devices of every placed fraction pod by pod name; named ones keep their names, under their node's."""
    shelves: dict[str, _Shelf] = defaultdict(_Shelf)
    fractions = []
    for pod in pods:
        if pod.state not in _PLACED or not pod.ask.klass.gpu.devices:
            continue
        if is_fraction(pod.ask.klass.gpu):
            fractions.append(pod)
        elif pod.state != "pipelined":
            shelves[pod.node].whole += pod.ask.klass.gpu.devices
    out: dict[str, tuple[GpuGroup, ...]] = {}
    for pod in sorted(fractions, key=lambda pod: not pod.devices):
        node = nodes.get(pod.node)
        shelf = shelves[pod.node]
        free = (node.gpus - foreign_gpus(node) if node else 0) - shelf.whole
        out[pod.name] = tuple(shelf.take(pod, _milli(pod.ask.klass.gpu, node), free))
    return out


def foreign_gpus(node: Node) -> int:
    """Whole devices that pods of other schedulers take."""
    return dict(node.foreign).get("gpu", 0) // 1000


class _Shelf:
    """The shared devices of one node."""

    def __init__(self) -> None:
        self.whole = 0
        self.used: dict[GpuGroup, int] = {}

    def take(self, pod: PodSpec, milli: int, free: int) -> list[GpuGroup]:
        """The devices of one more pod: those it names, then some of its own."""
        chosen: list[GpuGroup] = []
        named = list(dict.fromkeys(pod.devices))
        for place in range(pod.ask.klass.gpu.devices):
            if place < len(named):
                name = GpuGroup(f"{pod.node}/{named[place]}")
            else:
                name = self._own(f"{pod.node}/{pod.name}.{place}", milli, free, chosen)
            self.used[name] = self.used.get(name, 0) + milli
            chosen.append(name)
        return chosen

    def _own(self, fresh: str, milli: int, free: int, chosen: list[GpuGroup]) -> GpuGroup:
        if len(self.used) < free:
            return GpuGroup(fresh)
        room = [name for name, used in self.used.items() if used + milli <= 1000 and name not in chosen]
        return max(room, key=lambda name: self.used[name]) if room else GpuGroup(fresh)


def _milli(gpu: GpuRequest, node: Node | None) -> int:
    if gpu.memory_mib:
        size = node.gpu_memory_mib if node else 0
        return gpu.memory_mib * 1000 // size if size else 1000
    return gpu.portion_milli
