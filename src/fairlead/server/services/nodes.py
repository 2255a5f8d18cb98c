"""What an administrator does to a node; its cluster holds the truth, so its agent is asked and answers once it is done."""

from __future__ import annotations

import difflib
from typing import Literal

from fairlead.runtime.errors import Conflict, NotFound, Unreachable
from fairlead.server.auth.permissions import Principal
from fairlead.server.services.clusters import list_nodes
from fairlead.server.services.context import Context, record_event
from fairlead.server.services.streams import ask_cluster
from fairlead.wire.agent import Open


async def set_schedulable(
    context: Context, principal: Principal, name: str, *, schedulable: bool, cluster: str | None = None
) -> None:
    """Lets a node take new work, or no more of it; what runs there goes on. `cluster`: its id, where several have such a node.

    Raises: NotFound with the nearest name; Conflict where several clusters have one; Unreachable where the cluster is not
    connected, or could not do it.
    """
    principal.require("update", "nodes")
    nodes = [(node.name, at) for at, _, node in await list_nodes(context, principal) if cluster in (None, at)]
    found = [at for node, at in nodes if node == name]
    if not found:
        names = sorted({node for node, _ in nodes})
        near = difflib.get_close_matches(name, names, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(names[:20]) or 'none yet'}."
        raise NotFound(f"There is no node {name!r}.", hint=hint, code="node-not-found")
    if len(found) > 1:
        raise Conflict(
            f"{len(found)} clusters have a node {name!r}.",
            hint=f"Say which with `clusterId`: {', '.join(sorted(found))}.",
            code="node-of-several-clusters",
        )
    kind: Literal["cordon", "uncordon"] = "uncordon" if schedulable else "cordon"
    said = ask_cluster(context, principal, found[0], Open(channel="", grant="", kind=kind, namespace="", name=name))
    async for part in said:
        raise Unreachable(f"The cluster answered {len(part)} bytes where it should say nothing.")
    async with context.database.write() as c:
        await record_event(context, c, principal, kind, ("node", name, name), cluster=found[0])
