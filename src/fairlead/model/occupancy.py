"""What pods hold: node amounts, shared GPUs and quota charges, from the pods' rows."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from fairlead.model.arrays import I32, I64
from fairlead.model.charges import memory_charge, portions
from fairlead.model.columns import ClassColumns, NodeColumns, PodColumns, SharedColumns
from fairlead.model.values import Node, PodStatus, SharedGpu

STAYS, FREEING, PROMISED = range(3)


def shared_columns(nodes: Sequence[Node], shared: Sequence[SharedGpu]) -> SharedColumns:
    """Shared GPUs that nobody holds yet."""
    row = {node.name: at for at, node in enumerate(nodes)}
    amounts = np.zeros((6, len(shared)), dtype=np.int64)
    return SharedColumns(
        node=np.array([row[gpu.node] for gpu in shared], dtype=np.int32),
        held_milli=amounts[0],
        held_mib=amounts[1],
        freeing_milli=amounts[2],
        freeing_mib=amounts[3],
        promised_milli=amounts[4],
        promised_mib=amounts[5],
        members=np.zeros((len(shared), 3), dtype=np.int32),
    )


def occupy(
    n: NodeColumns, g: SharedColumns, c: ClassColumns, p: PodColumns, devices: dict[int, tuple[int, ...]]
) -> tuple[NodeColumns, SharedColumns]:
    """The same columns with every placed pod taken from its node and its shared GPUs (`devices`: pod row to G rows)."""
    idle, releasing = n.idle.copy(), n.releasing.copy()
    here = p.node >= 0
    amounts = c.request[p.klass]
    for status_mask, take_idle, give in (
        (here & (p.status != PodStatus.HELD), -1, 0),
        (here & (p.status == PodStatus.RELEASING), 0, 1),
        (here & (p.status == PodStatus.HELD), 0, -1),
    ):
        rows = np.flatnonzero(status_mask)
        if take_idle:
            np.add.at(idle, p.node[rows], -amounts[rows])
        else:
            np.add.at(releasing, p.node[rows], give * amounts[rows])
    _share(g, c, p, devices, n)
    delta = device_delta(g.members)
    np.add.at(idle[:, 0], g.node, delta[:, 0])
    np.add.at(releasing[:, 0], g.node, delta[:, 1])
    return msgspec.structs.replace(n, idle=idle, releasing=releasing), g


def device_delta(members: I32) -> I64:
    """[G,2] what shared GPUs with these members [G,3] take from a node's whole devices: (idle, releasing) in milli.

    A device is taken from idle while anybody sits on it; it is being freed when all who sit on it go; a promise alone takes a freed one.
    """
    stays, freeing, promised = members[:, STAYS] > 0, members[:, FREEING] > 0, members[:, PROMISED] > 0
    idle = np.where(stays | freeing, -1000, 0)
    releasing = np.where(~stays & freeing, 1000, 0) - np.where(~stays & promised, 1000, 0)
    return np.stack((idle, releasing), axis=1).astype(np.int64)


def charge_pods(p: PodColumns, c: ClassColumns, n: NodeColumns) -> PodColumns:
    """The same columns with the quota charge of every pod; memory requests by the node they sit on."""
    charge = c.charge[p.klass].reshape(-1, 3)
    for row in np.flatnonzero((c.mib[p.klass] > 0) & (p.node >= 0)).tolist():
        klass = p.klass[row]
        charge[row, 0] = memory_charge(int(c.mib[klass]), int(n.gpu_memory_mib[p.node[row]]), int(c.fraction[klass]))
    return msgspec.structs.replace(p, charge=charge)


def _share(
    g: SharedColumns, c: ClassColumns, p: PodColumns, devices: dict[int, tuple[int, ...]], n: NodeColumns
) -> None:
    milli: tuple[I64, ...] = (g.held_milli, g.freeing_milli, g.promised_milli)
    mib: tuple[I64, ...] = (g.held_mib, g.freeing_mib, g.promised_mib)
    for row in np.flatnonzero((c.fraction[p.klass] > 0) & (p.node >= 0)).tolist():
        klass = p.klass[row]
        kind = {PodStatus.RELEASING: FREEING, PodStatus.HELD: PROMISED}.get(PodStatus(p.status[row]), STAYS)
        part = portions(int(c.milli[klass]), int(c.mib[klass]), int(n.gpu_memory_mib[p.node[row]]))
        for gpu in devices.get(row, ()):
            milli[kind][gpu] += part[0]
            mib[kind][gpu] += part[1]
            g.members[gpu, kind] += 1
