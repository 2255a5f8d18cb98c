"""Ranges and handing out."""

from itertools import islice

import pytest

from fairlead.simulator.scenario import amounts
from fairlead.simulator.scenario.names import alternatives, dealt, expand


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("n1", ("n1",)),
        ("n[0-2]", ("n0", "n1", "n2")),
        ("n[08-11]", ("n08", "n09", "n10", "n11")),
        ("n[0-1]*2", ("n0", "n0", "n1", "n1")),
        ("a[1-2]b", ("a1b", "a2b")),
        ("n[x-y]", ("n[x-y]",)),
    ],
)
def test_a_range_is_as_many_names(text: str, names: tuple[str, ...]) -> None:
    assert expand(text) == names


def test_names_are_handed_out_in_turn_and_start_again() -> None:
    assert list(islice(dealt("n[0-1]"), 5)) == ["n0", "n1", "n0", "n1", "n0"]
    assert list(islice(dealt(["a", "b[0-1]"]), 4)) == ["a", "b0", "b1", "a"]


def test_alternatives_of_an_expectation_are_names_or_ranges() -> None:
    assert alternatives("n1|m[0-1]") == {"n1", "m0", "m1"}


@pytest.mark.parametrize(("written", "milli"), [(2, 2000), ("500m", 500), (0.1, 100), ("1.5", 1500), (0.0001, 1)])
def test_cores_are_counted_in_thousandths_rounded_up(written: float | str, milli: int) -> None:
    assert amounts.milli(written) == milli


@pytest.mark.parametrize(("written", "size"), [("64Gi", 64 << 30), ("500M", 500_000_000), (7, 7), ("1k", 1000)])
def test_bytes_follow_kubernetes_quantities(written: float | str, size: int) -> None:
    assert amounts.whole(written) == size


@pytest.mark.parametrize(
    ("written", "seconds"), [("250ms", 0.25), ("60s", 60), ("1h30m", 5400), ("2d", 172_800), ("1.5s", 1.5)]
)
def test_durations_add_up(written: str, seconds: float) -> None:
    assert amounts.seconds(written) == seconds


def test_device_memory_is_floored_to_mib() -> None:
    assert amounts.mib("1G") == 953
