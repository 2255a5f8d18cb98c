"""From values to columns."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from tests.build import a_class, a_cluster, a_gang, a_node, a_queue

from fairlead.model import (
    GpuGroup,
    ModelError,
    NodeRule,
    PodStatus,
    QueueName,
    SubGroup,
    build_snapshot,
    with_group,
    with_queue,
)


def test_running_pods_take_from_idle_and_releasing_ones_come_back() -> None:
    gangs = [
        a_gang("r", "q", a_class(2), on="n1"),
        a_gang("x", "q", a_class(1), on="n1", status=PodStatus.RELEASING),
        a_gang("h", "q", a_class(1), on="n1", status=PodStatus.HELD),
    ]
    n = a_cluster([a_node("n1", 4)], [a_queue("q", 4)], gangs).n
    gpu = n.resources.index("gpu")
    assert n.idle[0, gpu] == 1000
    assert n.releasing[0, gpu] == 0


def test_a_shared_device_leaves_idle_once_and_returns_when_all_on_it_go() -> None:
    device = (GpuGroup("d"),)
    gangs = [a_gang(name, "q", a_class(0.5), on="n1", shared=device, status=PodStatus.RELEASING) for name in ("a", "b")]
    n = a_cluster([a_node("n1", 2)], [a_queue("q", 4)], gangs).n
    assert (n.idle[0, 0], n.releasing[0, 0]) == (1000, 1000)


def test_equal_classes_of_different_objects_are_one_row() -> None:
    snapshot = a_cluster([a_node("n1")], [a_queue("q", 4)], [a_gang(name, "q", a_class(1)) for name in ("a", "b", "c")])
    assert len(snapshot.classes) == 1


def test_a_memory_request_is_charged_by_its_device_rounded_up_to_a_hundredth() -> None:
    gang = a_gang("m", "q", a_class(gpu_memory=2000), on="n1", shared=(GpuGroup("d"),))
    snapshot = a_cluster([a_node("n1", 1, gpu_memory_mib=46068)], [a_queue("q", 4)], [gang])
    assert snapshot.p.charge[0, 0] == 50


def test_selector_taint_and_cordon_take_nodes_out() -> None:
    nodes = [
        a_node("n1", labels={"pool": "a"}),
        a_node("n2", labels={"pool": "a"}, taints=(("spot", "yes", "NoSchedule"),)),
        a_node("n3", labels={"pool": "a"}, unschedulable=True),
        a_node("n4", labels={"pool": "b"}),
    ]
    picky = a_class(1, rule=NodeRule(selector=(("pool", "a"),)))
    snapshot = a_cluster(nodes, [a_queue("q", 4)], [a_gang("t", "q", picky)])
    assert snapshot.n.feasible[0].tolist() == [True, False, False, False]


def test_a_toleration_brings_the_tainted_node_back() -> None:
    rule = NodeRule(tolerations=(("spot", "Exists", "", ""),))
    node = a_node("n1", taints=(("spot", "yes", "NoSchedule"),))
    snapshot = a_cluster([node], [a_queue("q", 4)], [a_gang("t", "q", a_class(1, rule=rule))])
    assert snapshot.n.feasible.all()


def test_orphan_queues_and_all_below_them_are_left_out() -> None:
    snapshot = a_cluster([a_node("n1")], [a_queue("a", 4), a_queue("gone/x", 1), a_queue("gone/x/y", 1)], [])
    assert [queue.name for queue in snapshot.queues] == ["a"]


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(ModelError, match="'n1' is given twice"):
        build_snapshot(nodes=[a_node("n1"), a_node("n1")])


def test_a_pod_of_no_group_is_refused() -> None:
    _, pods = a_gang("g", "q", a_class(1))
    with pytest.raises(ModelError, match="not given"):
        build_snapshot(nodes=[a_node("n1")], pods=pods)


def test_columns_cannot_be_written() -> None:
    snapshot = a_cluster([a_node("n1")], [a_queue("q", 4)], [])
    with pytest.raises(ValueError, match="read-only"):
        snapshot.n.idle[0, 0] = 1


def test_another_status_gives_another_digest() -> None:
    one = a_cluster([a_node("n1")], [a_queue("q", 4)], [a_gang("t", "q", a_class(1))])
    two = a_cluster([a_node("n1")], [a_queue("q", 4)], [a_gang("t", "q", a_class(1), status=PodStatus.GATED)])
    assert one.digest != two.digest


@pytest.mark.parametrize(
    "change",
    [
        {"queue": QueueName("other")},
        {"subgroups": (SubGroup(name="", topology="t", required_level="rack"),)},
        {"required_level": "rack"},
        {"started": 5.0},
        {"lacks": "a volume"},
    ],
)
def test_whatever_of_a_group_can_change_a_decision_gives_another_digest(change: dict[str, Any]) -> None:
    group, pods = a_gang("t", "missing", a_class(1))
    one, two = (
        a_cluster([a_node("n1")], [a_queue("q", 4)], [(each, pods)])
        for each in (group, msgspec.structs.replace(group, **change))
    )
    assert one.digest != two.digest


def test_which_pod_has_a_wish_counts() -> None:
    group, pods = a_gang("t", "q", a_class(1), pods=2)
    snapshots = [
        a_cluster(
            [a_node("n1")],
            [a_queue("q", 4)],
            [
                (
                    group,
                    [msgspec.structs.replace(pod, nominated="n1" if at == mine else "") for at, pod in enumerate(pods)],
                )
            ],
        )
        for mine in (0, 1)
    ]
    assert snapshots[0].digest != snapshots[1].digest


def test_a_patched_queue_equals_one_built_so() -> None:
    gangs = [a_gang("t", "q", a_class(1))]
    nodes = [a_node("n1")]
    built = a_cluster(nodes, [a_queue("q", 6, limit=7)], gangs)
    patched = with_queue(a_cluster(nodes, [a_queue("q", 1)], gangs), built.queues[0])
    assert np.array_equal(patched.q.deserved, built.q.deserved)
    assert np.array_equal(patched.q.limit, built.q.limit)
    assert patched.queues[0].name == QueueName("q")


def test_a_patched_group_equals_one_built_so() -> None:
    nodes, queues = [a_node("n1")], [a_queue("q", 4)]
    built = a_cluster(nodes, queues, [a_gang("t", "q", a_class(1), pods=3, minimum=2, priority=125)])
    patched = with_group(a_cluster(nodes, queues, [a_gang("t", "q", a_class(1), pods=3)]), built.groups[0])
    for name in ("priority", "preemptible", "leaf_min"):
        assert np.array_equal(getattr(patched.j, name), getattr(built.j, name))
