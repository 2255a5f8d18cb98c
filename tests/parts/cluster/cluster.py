"""The whole cluster: machines, cables, programs; started together, ended together."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.parts import certificates
from tests.parts.certificates import Leaf
from tests.parts.cluster import controlgroups
from tests.parts.cluster.controlplane import ControlPlane, control_plane
from tests.parts.cluster.images import busybox_images
from tests.parts.cluster.machines import Machine, Service, boot
from tests.parts.cluster.network import Addresses, lay_cables
from tests.parts.cluster.nodes import GPUS, Node, Place, node
from tests.parts.cluster.programs import Programs, programs
from tests.parts.cluster.simulated_gpus import RESOURCE
from tests.parts.cluster.slots import Slot, slot

NODES = ("node-1", "node-2")
_PATIENCE = 240
"""How long all nodes may take to become Ready. Units: seconds; it is 10 on a quiet machine."""


@dataclass(frozen=True)
class Cluster:
    """A running cluster."""

    folder: Path
    addresses: Addresses
    control_plane: ControlPlane
    nodes: dict[str, Node]

    @property
    def kubeconfig(self) -> Path:
        """Makes its reader an administrator."""
        return self.control_plane.kubeconfig

    @property
    def services(self) -> tuple[Service, ...]:
        """Every program of it."""
        return (*self.control_plane.services, *(one for each in self.nodes.values() for one in each.services))

    def load_image(self, archive: Path) -> None:
        """Make the images of an archive (OCI or docker) known to every node. Raises: RuntimeError."""
        for each in self.nodes.values():
            each.load_image(archive)


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """Give a running cluster whose nodes are Ready; nothing is left of it. Raises: Unavailable, RuntimeError with logs."""
    parts = programs()
    with slot() as place, contextlib.ExitStack() as undo:
        place.folder.mkdir(mode=0o700)
        try:
            busybox_images(place.folder)
            running = _lay_out(place, parts, undo)
            _start(running, undo)
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{tails(place.folder)}") from error
        yield running


def tails(folder: Path, size: int = 1500) -> str:
    """Give the ends of all logs below a folder."""
    files = sorted(folder.glob("*/*.log"))
    return "\n".join(
        f"--- {file.name} of {file.parent.name}\n{file.read_text(errors='replace')[-size:]}" for file in files
    )


def _lay_out(place: Slot, parts: Programs, undo: contextlib.ExitStack) -> Cluster:
    """Machines, cables, certificates and settings; no program runs yet."""
    machines: dict[str, Machine] = {}
    for name in ("control-plane", *NODES):
        machines[name] = boot(name, place.folder / name)
        undo.callback(machines[name].stop)
    addresses = Addresses(place.network)
    first = machines.pop("control-plane")
    lay_cables(place.interface, addresses, first, tuple(machines.values()))
    certificates.write(first.folder, _leaves(addresses))
    plane = control_plane(first, addresses.control_plane, parts)
    nodes = {}
    for number, machine in enumerate(machines.values(), 1):
        for part in ("crt", "key"):
            (first.folder / f"{machine.name}.{part}").rename(machine.folder / f"kubelet.{part}")
        group = f"{place.control_group}/{machine.name}"
        controlgroups.make(group)
        where = Place(addresses.node(number), addresses.pods(number), addresses.all, group)
        nodes[machine.name] = node(machine, where, plane, parts)
    return Cluster(place.folder, addresses, plane, nodes)


def _leaves(addresses: Addresses) -> dict[str, Leaf]:
    nodes = {
        name: Leaf(f"system:node:{name}", "system:nodes", (addresses.node(number),), (name,))
        for number, name in enumerate(NODES, 1)
    }
    return {
        "api": Leaf("kube-apiserver", addresses=(addresses.control_plane,)),
        "admin": Leaf("test-admin", "system:masters"),
        "controller-manager": Leaf("system:kube-controller-manager"),
        "scheduler": Leaf("system:kube-scheduler"),
        "kube-proxy": Leaf("system:kube-proxy"),
        **nodes,
    }


def _start(running: Cluster, undo: contextlib.ExitStack) -> None:
    plane, nodes = running.control_plane, running.nodes.values()
    for service in (plane.etcd, plane.api_server, *(one.containerd for one in nodes)):
        service.start()
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(plane.wait_ready), *(pool.submit(_prepare, each, running.folder) for each in nodes)]
    for one in waiting:
        one.result()
    for service in (
        plane.controller_manager,
        plane.scheduler,
        *(one for each in nodes for one in (each.kubelet, each.kube_proxy)),
    ):
        service.start()
    for each in nodes:
        each.gpus.start()
        undo.callback(each.gpus.stop)
    _wait_nodes(running)


def _prepare(one: Node, folder: Path) -> None:
    one.wait_containerd()
    for archive in sorted(folder.glob("*.tar")):
        one.load_image(archive)


def _wait_nodes(running: Cluster) -> None:
    """Return once every node is Ready. Raises: RuntimeError naming what ended, or the nodes that are late."""
    end = time.monotonic() + _PATIENCE
    ready: set[str] = set()
    while len(ready) < len(running.nodes):
        if ended := [service.name for service in running.services if not service.is_running]:
            raise RuntimeError(f"ended by itself: {', '.join(ended)}")
        if time.monotonic() > end:
            raise RuntimeError(f"after {_PATIENCE} s only these nodes are Ready: {sorted(ready)}")
        time.sleep(0.2)
        ready = {one["metadata"]["name"] for one in _nodes(running) if _is_ready(one)}


def _nodes(running: Cluster) -> list[Any]:
    try:
        return list(running.control_plane.ask("/api/v1/nodes")["items"])
    except OSError:
        return []


def _is_ready(one: Any) -> bool:
    """Whether its kubelet says so, and knows its GPUs."""
    status = one["status"]
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", ()))
    return ready and status["allocatable"].get(RESOURCE) == str(GPUS)
