"""Reasons as sentences: no cause is lost, and amounts are as people write them."""

from __future__ import annotations

import pytest

from fairlead.model import UNLIMITED, Action, Code, Reason
from fairlead.wire.reasons import amount, distinct, render


def a_reason(resource: str = "", wanted: int = 0, available: int = 0, code: Code = Code.NO_ROOM) -> Reason:
    return Reason(code=code, action=Action.ALLOCATE, resource=resource, wanted=wanted, available=available)


def test_each_resource_that_lacks_is_a_cause_of_its_own() -> None:
    both = (a_reason("gpu", 1000), a_reason("memory", 1 << 40))
    assert distinct(both) == both


def test_what_two_actions_say_of_one_resource_is_one_cause_and_its_fullest_form_is_kept() -> None:
    full = a_reason("gpu", 1000)
    assert distinct((a_reason(), full, a_reason("gpu", 1000, 500), a_reason())) == (full,)


def test_where_no_node_is_large_enough_that_none_has_room_is_not_said_too() -> None:
    large = a_reason("gpu", 5000, 4000, Code.TOO_LARGE)
    assert distinct((large, a_reason("gpu", 5000, 1000), a_reason())) == (large,)


@pytest.mark.parametrize(
    ("resource", "value", "text"),
    [
        ("gpu", 1000, "1 GPU"),
        ("gpu", 250, "0.25 GPUs"),
        ("gpu", (1 << 24) * 1000, "16777216 GPUs"),
        ("cpu", 10_000_000_500, "10000000.5 CPUs"),
        ("gpu", UNLIMITED, "no limit"),
        ("gpu", -1, "no limit"),
        ("memory", 900 << 30, "900 GiB of memory"),
        ("memory", 2000 << 30, "2000 GiB of memory"),
        ("memory", 500 * 10**9, "500 GB of memory"),
        ("memory", 100 << 20, "0.0977 GiB of memory"),
        ("memory", 0, "0 GiB of memory"),
        ("gpu-memory", 20 << 10, "20 GiB"),
        ("gpu-memory", 476_837, "500 GB"),
        ("gpu-memory", 1 << 24, "16384 GiB"),
    ],
)
def test_amounts_are_written_in_full_with_the_unit_they_were_asked_in(resource: str, value: int, text: str) -> None:
    assert amount(resource, value) == text


def test_one_sentence_keeps_to_one_family_of_units() -> None:
    large = render(a_reason("gpu-memory", 476_837, 81_920)).message
    assert large == "No GPU is large enough: needs 500 GB of memory on one, the largest has 85.9 GB"
    room = render(a_reason("memory", 64 << 30, 10 * 10**9)).message
    assert room == "No node has room: needs 64 GiB of memory, 9.31 GiB of memory left"


@pytest.mark.parametrize(
    ("subject", "nodes", "told"),
    [
        ("selector zone=a", 2, "Its node selector zone=a leaves out 2 nodes"),
        ("affinity", 1, "Its node affinity leaves out 1 node"),
        ("taint dedicated=ml:NoSchedule", 3, "The taint dedicated=ml:NoSchedule keeps it from 3 nodes"),
        ("", 1, "Its kind of request leaves out 1 node"),
    ],
)
def test_what_leaves_nodes_out_is_named(subject: str, nodes: int, told: str) -> None:
    reason = Reason(code=Code.NODE_RULE, action=Action.ALLOCATE, subject=subject, nodes=nodes)
    assert render(reason).message == told


def test_a_cluster_without_nodes_and_a_gang_with_too_little_room_are_said_plainly() -> None:
    none = Reason(code=Code.NODE_STATE, action=Action.ALLOCATE)
    assert render(none).message == "There are no nodes"
    assert render(a_reason("", 5, 3)).message == "There is room for 3 of its 5 pods, which start only together"


def test_a_failed_start_says_how_often_and_why() -> None:
    failed = Reason(code=Code.BACKING_OFF, action=Action.ALLOCATE, wanted=3, subject="the node refused it")
    expected = "It could not be started on its node (3 tries); it is tried again soon: the node refused it"
    assert render(failed).message == expected
