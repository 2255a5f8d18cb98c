"""Patches: what they change, what they leave, and that nothing stored is touched."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.embedded.store.patches import merge, strategic
from fairlead.embedded.store.status import StatusError

_LEAVES = st.one_of(st.none(), st.integers(0, 3), st.text("ab", max_size=2))
_JSON = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)),
    max_leaves=12,
)
_OBJECTS = st.dictionaries(st.sampled_from("abcd"), _JSON, max_size=4)


@given(_OBJECTS, _OBJECTS)
def test_a_merge_patch_twice_is_the_patch_once_and_leaves_its_target_alone(target: Any, patch: Any) -> None:
    before = copy.deepcopy(target)
    once = merge(target, patch)
    assert merge(once, patch) == once
    assert target == before


@given(_OBJECTS)
def test_an_empty_merge_patch_changes_nothing(target: Any) -> None:
    assert merge(target, {}) == target


def test_null_removes_and_lists_are_replaced() -> None:
    target = {"a": {"b": 1, "c": 2}, "list": [1, 2]}
    assert merge(target, {"a": {"b": None}, "list": [3], "new": {"x": {"y": None}}}) == {
        "a": {"c": 2},
        "list": [3],
        "new": {"x": {}},
    }


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"conditions": [{"type": "B", "status": "x"}]}, [("A", "1"), ("B", "x")]),
        ({"conditions": [{"type": "C", "status": "3"}]}, [("C", "3"), ("A", "1"), ("B", "2")]),
        ({"conditions": [{"type": "A", "$patch": "delete"}]}, [("B", "2")]),
        ({"conditions": [{"$patch": "replace"}, {"type": "Z", "status": "9"}]}, [("Z", "9")]),
        ({"conditions": None}, None),
    ],
)
def test_conditions_are_matched_by_their_type(patch: Any, expected: Any) -> None:
    target = {"conditions": [{"type": "A", "status": "1"}, {"type": "B", "status": "2"}]}
    found = strategic(target, patch).get("conditions")
    assert (found and [(item["type"], item["status"]) for item in found]) == expected


def test_finalizers_are_a_set_and_plain_lists_are_replaced() -> None:
    target = {"finalizers": ["a"], "args": ["x", "y"]}
    assert strategic(target, {"finalizers": ["b", "a"], "args": ["z"]}) == {"finalizers": ["a", "b"], "args": ["z"]}
    assert strategic(target, {"$deleteFromPrimitiveList/finalizers": ["a"]})["finalizers"] == []


def test_an_unknown_directive_is_refused() -> None:
    with pytest.raises(StatusError, match="does not support the directive"):
        strategic({}, {"$invented": 1})


def test_an_item_without_its_key_is_refused() -> None:
    with pytest.raises(StatusError, match="merge key"):
        strategic({}, {"conditions": [{"status": "1"}]})
