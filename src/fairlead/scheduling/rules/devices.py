"""Devices: which shared GPUs a fraction takes on a node, and whether it can have them now."""

from __future__ import annotations

from fairlead.model import Placement
from fairlead.model.arrays import F64, I64
from fairlead.model.occupancy import FREEING, PROMISED, STAYS
from fairlead.scheduling.ledger import NOWHERE, Ledger

WHOLE = -1
"""Stands for a device nobody shares yet."""


def pick_devices(
    ledger: Ledger, pod: int, node: int, how: tuple[Placement, F64]
) -> tuple[tuple[int, ...], bool] | None:
    """(device rows, all can be had now), best first by the placement; None when the node has too few that fit.

    A shared device fits if someone stays on it or is promised it and all of them and this part fit. A pod that was evicted from a device
    nobody else wants takes its old one before a new one. A new device needs a pod slot for its reservation pod.
    """
    klass = ledger.klass[pod]
    count, part = ledger.fraction[klass], ledger.part_on(klass, node)
    ranked = [
        (_rank(ledger, device, part, how), device)
        for device in ledger.devices_on.get(node, ())
        if device_fits(ledger, device, part, node)
    ]
    whole = int(ledger.idle[node, 0] + ledger.releasing[node, 0]) // 1000
    ranked += [(_whole_rank(part, how), WHOLE)] * min(whole, count)
    if len(ranked) < count:
        return None
    ranked.sort(key=lambda pair: (pair[0], pair[1] == WHOLE, pair[1]))
    chosen = [device for _, device in ranked[:count]]
    fresh = chosen.count(WHOLE)
    slots = ledger.request[klass, 3] + (1 if fresh else 0)
    if ledger.idle[node, 3] + ledger.releasing[node, 3] < slots:
        return None
    now = ledger.idle[node, 0] >= 1000 * fresh and ledger.idle[node, 3] >= slots
    now = now and all(device == WHOLE or _has_now(ledger, device, part, node) for device in chosen)
    return _name(ledger, pod, node, chosen), bool(now)


def device_fits(ledger: Ledger, device: int, part: tuple[int, int], node: int) -> bool:
    """Somebody stays on it or is promised it, and there is room beside them."""
    members, amounts = ledger.members[device], ledger.amounts[device]
    if not (members[STAYS] or members[PROMISED]):
        return False
    return _within(amounts[STAYS] + amounts[PROMISED], part, ledger.memory[node])


def may_return(ledger: Ledger, pod: int, node: int, shared: tuple[int, ...]) -> bool:
    """Whether the devices that a fraction was evicted from still have room for it; one that nobody holds needs a free whole device."""
    if not shared:
        return True
    part, whole = ledger.part_on(ledger.klass[pod], node), 0
    for device in shared:
        if ledger.members[device, STAYS] or ledger.members[device, PROMISED]:
            if not device_fits(ledger, device, part, node):
                return False
        else:
            whole += 1000
    return bool(ledger.idle[node, 0] + ledger.releasing[node, 0] >= whole)


def _has_now(ledger: Ledger, device: int, part: tuple[int, int], node: int) -> bool:
    members, amounts = ledger.members[device], ledger.amounts[device]
    if not (members[STAYS] or members[FREEING]):
        return False
    return _within(amounts[STAYS] + amounts[FREEING], part, ledger.memory[node])


def _within(held: I64, part: tuple[int, int], memory: int) -> bool:
    return bool(held[0] + part[0] <= 1000 and (not memory or held[1] + part[1] <= memory))


def _rank(ledger: Ledger, device: int, part: tuple[int, int], how: tuple[Placement, F64]) -> float:
    """Smaller is better: the fullest for binpack, the emptiest for spread, the least loss of expected fill for fit."""
    used = int(ledger.amounts[device, STAYS, 0] + ledger.amounts[device, PROMISED, 0])
    if how[0] == "spread":
        return used / 1000
    if how[0] == "binpack":
        return -used / 1000
    return _loss(1000 - used, part[0], how[1])


def _whole_rank(part: tuple[int, int], how: tuple[Placement, F64]) -> float:
    if how[0] in ("spread", "binpack"):
        return 0.0 if how[0] == "binpack" else -1.0
    return _loss(1000, part[0], how[1])


def _loss(idle: int, milli: int, worth: F64) -> float:
    """Expected fill lost; less idle wins among equals."""
    return round(float(worth[idle] - worth[max(idle - milli, 0)]), 6) + idle * 1e-9


def _name(ledger: Ledger, pod: int, node: int, chosen: list[int]) -> tuple[int, ...]:
    """Rows for new devices: the pod's own old ones where nobody holds them, else new ids made of the pod's."""
    old: list[int] = []
    if ledger.evicted[pod] and ledger.kind[pod] == NOWHERE and ledger.base_node[pod] == node:
        old = [
            d for d in ledger.base_shared.get(pod, ()) if not (ledger.members[d, STAYS] or ledger.members[d, PROMISED])
        ]
    found: list[int] = []
    for at, device in enumerate(chosen):
        if device != WHOLE:
            found.append(device)
        elif old:
            found.append(old.pop(0))
        else:
            found.append(ledger.new_device(node, f"{ledger.snapshot.pods[pod].uid}-{at}", found))
    return tuple(sorted(found)) if set(found) == set(ledger.base_shared.get(pod, ())) else tuple(found)
