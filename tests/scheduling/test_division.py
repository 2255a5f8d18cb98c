"""How surplus is divided among sibling queues."""

from __future__ import annotations

from fairlead.model import UNLIMITED
from fairlead.scheduling.fairshare import Share, divide

NO_LIMIT = [UNLIMITED, UNLIMITED, UNLIMITED]


def a_share(
    deserved: int, asked: int, weight: float = 1.0, *, usage: float = 0.0, priority: int = 100, rank: int = 0
) -> Share:
    share = Share([deserved * 1000, 0, 0], NO_LIMIT, [weight] * 3, [usage] * 3)
    share.requested, share.priority, share.rank = [asked * 1000, 0, 0], priority, rank
    return share


def fair(total: int, *shares: Share, k: float = 1.0) -> list[float]:
    divide([total * 1000, 0, 0], list(shares), k)
    return [share.fair[0] / 1000 for share in shares]


def test_deserved_comes_first_and_surplus_follows_weight() -> None:
    assert fair(8, a_share(2, 8, 1), a_share(2, 8, 3)) == [3, 5]


def test_nobody_gets_more_than_it_asks_and_the_rest_goes_on() -> None:
    assert fair(8, a_share(0, 1), a_share(0, 8)) == [1, 7]


def test_a_weight_of_zero_gets_no_surplus() -> None:
    assert fair(8, a_share(2, 8, 0), a_share(2, 8, 1)) == [2, 6]


def test_higher_priority_is_filled_before_lower() -> None:
    assert fair(8, a_share(0, 6, priority=101), a_share(0, 6)) == [6, 2]


def test_the_last_gpu_goes_to_the_larger_remainder_then_to_the_older() -> None:
    assert fair(3, a_share(0, 3, rank=1), a_share(0, 3, rank=0)) == [1, 2]


def test_past_use_lessens_the_part_by_k() -> None:
    assert fair(6, a_share(0, 6, usage=0.5), a_share(0, 6)) == [2, 4]
    assert fair(6, a_share(0, 6, usage=0.5), a_share(0, 6), k=0.0) == [3, 3]


def test_a_parents_share_is_divided_among_its_children() -> None:
    parent = a_share(4, 8)
    parent.children = [a_share(1, 4, rank=0), a_share(1, 4, rank=1)]
    assert fair(6, parent, a_share(0, 2)) == [5, 1]
    assert sum(child.fair[0] for child in parent.children) == 5000
