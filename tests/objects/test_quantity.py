"""Quantities are read exactly, and rounded up where the unit is coarser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.objects.quantity import Quantity, amount, milli, text_of_bytes, text_of_milli, whole


@pytest.mark.parametrize(
    ("text", "expected"),
    [("500m", 500), ("2", 2000), ("1.5", 1500), ("100u", 1), ("0", 0), (3, 3000), (0.25, 250), ("1k", 1_000_000)],
)
def test_thousandths_are_exact_and_rounded_up(text: Quantity, expected: int) -> None:
    assert milli(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1Ki", 1024), ("1.5Gi", 1_610_612_736), ("2e3", 2000), ("1E", 10**18), ("500m", 1), ("-1Ki", -1024), ("8", 8)],
)
def test_whole_units_are_exact_and_rounded_up(text: Quantity, expected: int) -> None:
    assert whole(text) == expected


@pytest.mark.parametrize("text", ["", "Gi", "1 Gi", "1gi", "one", "1.2.3", "0x10", "1ee3"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        whole(text)


@given(st.integers(min_value=0, max_value=1 << 60))
def test_a_written_amount_is_read_back(amount: int) -> None:
    assert whole(text_of_bytes(amount)) == amount
    assert milli(text_of_milli(amount)) == amount


@pytest.mark.parametrize(("text", "sign"), [("1e30", 1), ("-1e30", -1), ("10E", 1), ("99Ei", 1), ("1e999999999", 1)])
def test_an_amount_beyond_the_largest_is_the_largest(text: str, sign: int) -> None:
    assert whole(text) == sign * ((1 << 63) - 1)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("cpu", "1500m", 1500),
        ("memory", "1Ki", 1024),
        ("memory", "many", 0),
        ("memory", "-1", 0),
        ("memory", "1e30", 1 << 50),
        ("memory", "9" * 5000, 0),
        ("nvidia.com/gpu", "99999999999", 1 << 24),
    ],
)
def test_an_amount_anybody_may_have_written_is_bounded(name: str, text: str, expected: int) -> None:
    assert amount({name: text}, name) == expected
    assert amount({}, name) == 0
