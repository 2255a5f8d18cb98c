"""Random small clusters: nodes, a two-level tree of queues, running and waiting gangs that fit where they run."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import strategies as st
from tests.build import Gang, a_class, a_cluster, a_gang, a_node, a_queue

from fairlead.model import ACTIONS, KAI_POLICY, Action, GpuGroup, Policy, QueueName, Snapshot


@st.composite
def clusters(draw: Any, fractions: bool = True) -> Snapshot:
    """A cluster whose running pods fit their nodes; every node has 2 or 4 GPUs."""
    sizes = draw(st.lists(st.sampled_from([2, 4]), min_size=1, max_size=4))
    nodes = [a_node(f"n{at}", size, cpu=16_000, gpu_memory_mib=80_000) for at, size in enumerate(sizes)]
    queues, leaves = draw(_queues())
    free = {node.name: size for node, size in zip(nodes, sizes, strict=True)}
    names = itertools.count()
    gangs = [
        gang
        for _ in range(draw(st.integers(0, 6)))
        if (gang := _running(draw, f"r{next(names)}", leaves, free, fractions))
    ]
    gangs += [_pending(draw, f"p{next(names)}", leaves, fractions) for _ in range(draw(st.integers(1, 6)))]
    return a_cluster(nodes, queues, gangs)


def policies() -> st.SearchStrategy[Policy]:
    """Shipped, filling, spreading and KAI-like policies."""
    steady = tuple(action for action in ACTIONS if action != Action.CONSOLIDATE)
    spread = Policy(placement_gpu="spread", placement_cpu="spread", placement_device="spread", actions=steady)
    held = Policy(placement_gpu="binpack", placement_cpu="binpack", placement_device="binpack")
    dense = Policy(placement_gpu="dense", placement_cpu="dense", placement_device="dense")
    return st.sampled_from([Policy(), dense, spread, held, KAI_POLICY])


@st.composite
def _queues(draw: Any) -> Any:
    queues, leaves = [], []
    for department in range(draw(st.integers(1, 2))):
        queues.append(a_queue(f"d{department}", draw(st.sampled_from([None, 2, 4, 8]))))
        for project in range(draw(st.integers(1, 2))):
            name = f"d{department}/q{project}"
            limit = draw(st.sampled_from([None, None, 4]))
            queues.append(a_queue(name, draw(st.integers(0, 4)), limit=limit, weight=float(draw(st.integers(0, 3)))))
            leaves.append(QueueName(name))
    return queues, leaves


def _klass(draw: Any, fractions: bool) -> Any:
    portion = draw(st.sampled_from([1, 1, 2, 4, 0.5, 0.25] if fractions else [1, 1, 2, 4]))
    return a_class(portion, cpu=draw(st.sampled_from([0, 1000, 4000])))


def _running(draw: Any, name: str, leaves: list[QueueName], free: dict[str, int], fractions: bool) -> Gang | None:
    klass = _klass(draw, fractions)
    whole = max(klass.gpu.devices, 1)
    fits = [node for node, left in free.items() if left >= whole]
    if not fits:
        return None
    node = draw(st.sampled_from(fits))
    pods = draw(st.integers(1, free[node] // whole)) if klass.gpu.portion_milli == 1000 else 1
    free[node] -= whole * pods
    shared = (GpuGroup(f"g-{name}"),) if klass.gpu.portion_milli < 1000 else ()
    minimum = draw(st.integers(1, pods))
    priority, age = draw(st.sampled_from([50, 50, 75, 100])), float(draw(st.integers(0, 50)))
    more = {"on": node, "priority": priority, "age": age, "shared": shared}
    return a_gang(name, draw(st.sampled_from(leaves)), klass, pods=pods, minimum=minimum, **more)


def _pending(draw: Any, name: str, leaves: list[QueueName], fractions: bool) -> Gang:
    pods = draw(st.integers(1, 3))
    minimum = draw(st.integers(1, pods))
    priority, age = draw(st.sampled_from([50, 50, 75, 100])), float(draw(st.integers(0, 50)))
    return a_gang(
        name,
        draw(st.sampled_from(leaves)),
        _klass(draw, fractions),
        pods=pods,
        minimum=minimum,
        priority=priority,
        age=age,
    )
