"""Selectors: what they choose, and that writing and reading them agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.objects import selectors
from fairlead.objects.meta import LabelExpression, LabelSelector

LABELS = {"a": "b", "tier": "web", "empty": ""}


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("", True),
        ("a=b", True),
        ("a==b", True),
        ("a=c", False),
        ("a!=c", True),
        ("missing!=x", True),
        ("a in (b,c)", True),
        ("a notin (b,c)", False),
        ("missing notin (b)", True),
        ("a", True),
        ("missing", False),
        ("!a", False),
        ("!missing", True),
        ("empty=", True),
        ("a=b,tier in (web, db),!x", True),
        ("a=b,x", False),
    ],
)
def test_a_selector_chooses_as_kubernetes_says(text: str, chosen: bool) -> None:
    assert selectors.matches(selectors.parse(text), LABELS) is chosen


@pytest.mark.parametrize("text", ["a in b", "=b", "a=b=c d", "-a=b", "a in (b"])
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="parse"):
        selectors.parse(text)


def test_an_objects_selector_means_the_same_as_its_text() -> None:
    written = LabelSelector(
        match_labels={"a": "b"},
        match_expressions=(
            LabelExpression(key="t", operator="In", values=("y", "x")),
            LabelExpression(key="n", operator="DoesNotExist"),
        ),
    )
    assert selectors.render(selectors.of_object(written)) == "a=b,!n,t in (x,y)"


def test_an_unknown_operator_is_refused() -> None:
    with pytest.raises(ValueError, match="Near"):
        selectors.of_object(LabelSelector(match_expressions=(LabelExpression(key="a", operator="Near"),)))


_NAMES = st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True)


@given(
    st.lists(
        st.tuples(
            _NAMES, st.sampled_from(["in", "notin", "exists", "absent"]), st.lists(_NAMES, min_size=1, max_size=3)
        ),
        max_size=4,
    )
)
def test_a_rendered_selector_is_parsed_back(parts: list[tuple[str, selectors.Operator, list[str]]]) -> None:
    selector = tuple(
        selectors.Requirement(key, op, tuple(sorted(set(values))) if op in ("in", "notin") else ())
        for key, op, values in parts
    )
    assert selectors.parse(selectors.render(selector)) == selector


def test_field_selectors_keep_what_is_wanted_and_what_is_not() -> None:
    assert selectors.parse_fields("spec.nodeName=n1,status.phase!=Failed") == (
        ("spec.nodeName", True, "n1"),
        ("status.phase", False, "Failed"),
    )
