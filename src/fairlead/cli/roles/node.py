"""The node's agent as a process."""

from __future__ import annotations

from fairlead.cli.roles.process import Parts, live_beside
from fairlead.cli.roles.settings import MpsSettings, RoleTree
from fairlead.cluster.node.daemon import MpsOptions
from fairlead.cluster.node.main import NodeAgent, NodeOptions
from fairlead.runtime.errors import Invalid
from fairlead.runtime.health import READY
from fairlead.runtime.instruments import serving
from fairlead.runtime.settings import environment


class _Shown:
    """An agent whose devices Prometheus sees."""

    def __init__(self, agent: NodeAgent) -> None:
        self.agent = agent

    async def run(self) -> None:
        with serving(self.agent.devices.samples, *self.agent.devices.names):
            await self.agent.run()


async def main(settings: RoleTree) -> None:
    """Runs until a signal, one on each node with GPUs. Raises: Invalid where it is not told which node it is on."""
    mine = settings.node
    if not mine.name:
        raise Invalid(
            "The node's agent is not told which node it is on.",
            hint="node.name, or FAIRLEAD_NODE_NAME, holds the node's name; the chart sets it from spec.nodeName.",
        )
    options = NodeOptions(
        node=mine.name,
        reservations=settings.reservation.namespace,
        socket=mine.socket,
        mps=_mps(settings.mps) if settings.mps.pods != "off" else None,
    )

    def make(parts: Parts) -> _Shown:
        return _Shown(NodeAgent(parts.client, parts.clock, parts.rng, options))

    await live_beside("node", settings, make, lambda role: READY if role.agent.has_told else "the kubelet's answer")


def _mps(mine: MpsSettings) -> MpsOptions:
    return MpsOptions(program=mine.program, environment=environment())
