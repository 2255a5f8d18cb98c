"""What an administrator does to a node; its cluster holds the truth, so its agent is asked and answers once it is done."""

from __future__ import annotations

import difflib
from typing import Literal

from fairlead.runtime.errors import NotFound, Unreachable
from fairlead.server.auth.permissions import Principal
from fairlead.server.services.clusters import list_nodes
from fairlead.server.services.context import Context, record_event
from fairlead.server.services.streams import ask_cluster
from fairlead.wire.agent import Open


async def set_schedulable(context: Context, principal: Principal, name: str, *, schedulable: bool) -> None:
    """Lets a node take new work, or no more of it; what runs there goes on.

    Raises: NotFound with the nearest name; Unreachable where the cluster is not connected, or could not do it.
    """
    principal.require("update", "nodes")
    nodes = {node.name: cluster for cluster, _, node in await list_nodes(context, principal)}
    if name not in nodes:
        near = difflib.get_close_matches(name, nodes, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(nodes)[:20]) or 'none yet'}."
        raise NotFound(f"There is no node {name!r}.", hint=hint, code="node-not-found")
    kind: Literal["cordon", "uncordon"] = "uncordon" if schedulable else "cordon"
    said = ask_cluster(context, principal, nodes[name], Open(channel="", grant="", kind=kind, namespace="", name=name))
    async for part in said:
        raise Unreachable(f"The cluster answered {len(part)} bytes where it should say nothing.")
    async with context.database.write() as c:
        await record_event(context, c, principal, kind, ("node", name, name), cluster=nodes[name])
