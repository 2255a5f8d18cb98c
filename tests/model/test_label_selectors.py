"""Selector text and the labels that meet it."""

from __future__ import annotations

import pytest

from fairlead.model import ModelError, meets, parse_selector


@pytest.mark.parametrize(
    ("text", "labels", "answer"),
    [
        ("gpu in (a100,h100), !spot", {"gpu": "h100"}, True),
        ("gpu in (a100,h100), !spot", {"gpu": "h100", "spot": "yes"}, False),
        ("gpu notin (a100)", {}, True),
        ("gpu != a100", {"gpu": "a100"}, False),
        ("gpu=a100", {"gpu": "a100"}, True),
        ("gpu", {}, False),
        ("cards > 4", {"cards": "8"}, True),
        ("cards < 4", {"cards": "8"}, False),
        ("cards > 4", {"cards": "many"}, False),
    ],
)
def test_a_selector_holds_when_all_its_parts_do(text: str, labels: dict[str, str], answer: bool) -> None:
    assert meets(labels, parse_selector(text)) is answer


def test_text_that_is_no_selector_is_refused() -> None:
    with pytest.raises(ModelError, match="not a label selector"):
        parse_selector("gpu ~ a100")
