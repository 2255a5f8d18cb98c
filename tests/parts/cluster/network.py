"""Cables and addresses: all machines on one switch in the control plane's, pods behind their node, no translation.

    this machine .255.1 ── .255.2 control plane .0.1 ── switch ─┬─ .0.11 node-1 ── pods .1.0/24
                                                                └─ .0.12 node-2 ── pods .2.0/24

Pods, nodes, the API server and this machine reach each other by these addresses. Services are kube-proxy's, on each node
in its own firewall; the API server needs none (see controlplane.py). Only one interface is this machine's own, and it
goes with the other end of its cable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.parts.cluster.machines import Machine, connect, network


@dataclass(frozen=True)
class Addresses:
    """The addresses of a cluster whose network begins with the two numbers of `prefix`."""

    prefix: str

    @property
    def all(self) -> str:
        """The whole network."""
        return f"{self.prefix}.0.0/16"

    @property
    def control_plane(self) -> str:
        """Where the API server listens."""
        return f"{self.prefix}.0.1"

    @property
    def outside(self) -> str:
        """Where pods and nodes find this machine."""
        return f"{self.prefix}.255.1"

    def node(self, number: int) -> str:
        """Where a node is; the first has number 1."""
        return f"{self.prefix}.0.{10 + number}"

    def pods(self, number: int) -> str:
        """The network of a node's pods."""
        return f"{self.prefix}.{number}.0/24"


def lay_cables(interface: str, addresses: Addresses, control_plane: Machine, nodes: Sequence[Machine]) -> None:
    """Connect machines that have no network yet; this one gets `interface`. Raises: RuntimeError."""
    network(control_plane, "link", "add", "switch", "type", "bridge")
    network(control_plane, "address", "add", f"{addresses.control_plane}/24", "dev", "switch")
    network(control_plane, "link", "set", "switch", "up")
    for number, node in enumerate(nodes, 1):
        connect(control_plane, node.name, node, "eth0")
        network(control_plane, "link", "set", node.name, "master", "switch")
        network(node, "address", "add", f"{addresses.node(number)}/24", "dev", "eth0")
        network(node, "route", "add", "default", "via", addresses.control_plane)
    for number, _ in enumerate(nodes, 1):
        for machine in (control_plane, *(node for other, node in enumerate(nodes, 1) if other != number)):
            network(machine, "route", "add", addresses.pods(number), "via", addresses.node(number))
    connect(None, interface, control_plane, "eth0")
    network(None, "address", "add", f"{addresses.outside}/30", "dev", interface)
    network(control_plane, "address", "add", f"{addresses.prefix}.255.2/30", "dev", "eth0")
    network(None, "route", "add", addresses.all, "via", f"{addresses.prefix}.255.2")
