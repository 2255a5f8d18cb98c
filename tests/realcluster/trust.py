"""Nodes whose runtimes trust a registry, as `docs/howto/own-authority.md` has it done."""

from __future__ import annotations

from tests.howto import blocks, put
from tests.parts.cluster.nodes import TRUST, Node
from tests.parts.registry import Registry

(HOSTS,) = blocks("own-authority", "toml")


def trusts(node: Node, registry: Registry) -> None:
    """From now on its runtime takes images from there."""
    certs = node.machine.folder / TRUST
    own = {"registry.example.com:5000": registry.address, "/etc/containerd/certs.d": str(certs)}
    folder = certs / registry.address
    folder.mkdir(parents=True)
    (folder / "ca.crt").write_bytes(registry.ca.read_bytes())
    (folder / "hosts.toml").write_text(put(HOSTS, own))
