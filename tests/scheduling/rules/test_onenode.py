"""One changed node by plain numbers scores exactly as it does among all nodes."""

import random

import numpy as np
import pytest

from fairlead.model import (
    GpuRequest,
    Node,
    NodeName,
    NodeRule,
    Placement,
    Pod,
    PodGroup,
    PodStatus,
    Policy,
    QueueName,
    QueueSpec,
    TaskClass,
    Uid,
    build_snapshot,
)
from fairlead.scheduling.ledger import BOUND, PIPELINED, Ledger
from fairlead.scheduling.rules.placement import Placer

CLASSES = (
    TaskClass(request=(("cpu", 3000), ("memory", 7 << 30), ("pods", 1)), gpu=GpuRequest(devices=1, portion_milli=1000)),
    TaskClass(
        request=(("cpu", 8000), ("pods", 1)),
        gpu=GpuRequest(devices=2, portion_milli=1000),
        rule=NodeRule(selector=(("m", "x"),)),
    ),
    TaskClass(
        request=(("cpu", 11_000), ("memory", 3 << 30), ("pods", 1)), gpu=GpuRequest(devices=1, portion_milli=370)
    ),
    TaskClass(request=(("cpu", 5000), ("pods", 1))),
)


@pytest.mark.parametrize("how", ["fit", "dense"])
@pytest.mark.parametrize("seed", range(4))
def test_a_view_that_followed_the_ledger_equals_a_fresh_one(how: Placement, seed: int) -> None:
    draw = random.Random(seed)
    nodes = [
        Node(
            name=NodeName(f"n{row:02d}"),
            allocatable=(
                ("cpu", draw.randrange(16, 96) * 1000),
                ("gpu", 8000),
                ("memory", draw.randrange(60, 500) << 30),
                ("pods", 99),
            ),
            gpus=8,
            gpu_source="device-plugin",
            labels=(("m", draw.choice("xy")),),
        )
        for row in range(40)
    ]
    picked = [draw.choice(CLASSES) for _ in range(160)]
    groups = [
        PodGroup(uid=Uid(f"{at:03d}"), namespace="a", name=f"g{at}", queue=QueueName("q")) for at in range(len(picked))
    ]
    pods = [
        Pod(uid=group.uid, namespace="a", name=group.name, group=group.uid, klass=klass, status=PodStatus.PENDING)
        for group, klass in zip(groups, picked, strict=True)
    ]
    demand = [
        (k.gpu, dict(k.request)["cpu"], dict(k.request).get("memory", 0), 1.0 + n, k.rule)
        for n, k in enumerate(CLASSES)
    ]
    policy = Policy(placement_gpu=how, placement_cpu=how, placement_device=how)
    snapshot = build_snapshot(
        nodes=nodes,
        queues=[QueueSpec(name=QueueName("q"), deserved=(0, 0, 0))],
        groups=groups,
        pods=pods,
        demand=demand,
    )
    ledger = Ledger(snapshot, policy)
    placer, fresh = Placer(ledger, snapshot, policy), Placer(ledger, snapshot, policy)
    placed = 0
    for pod in range(len(pods)):
        place = placer.choose(pod, (None, ()), False)
        if place is not None:
            ledger.place(pod, place[0], place[1], draw.choice((BOUND, BOUND, PIPELINED)))
            placed += 1
        for klass in range(len(snapshot.classes)):
            followed = placer.view(klass).score
            fresh._views.clear()
            assert np.array_equal(followed, fresh.view(klass).score)
    assert placed > 100
