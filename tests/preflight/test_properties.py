"""What holds for all facts: less knowledge is never good news, nothing known is never a failure, the same facts are the same bytes."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.preflight.casefile import Case, ours

from fairlead.preflight.check import Verdict, judged
from fairlead.preflight.checks import CHECKS
from fairlead.preflight.config import Config
from fairlead.preflight.facts import Facts, Step, facts_of, leaves
from fairlead.preflight.keys import TREE, Key
from fairlead.preflight.report import as_document, report_of, select

OURS = ours()
_FRAME = ("nodes", "kubernetes-version")
"""The one place where a section says which objects there are: a version is judged without a list of nodes, their kubelets are not."""


def key_of(path: tuple[Step, ...]) -> Key | None:
    """The line of the table for a path."""
    place = TREE
    for step in path:
        inner = place.entry if isinstance(step, int) else place.children.get(step) or place.free
        if inner is None:
            return place.key
        place = inner
    return place.key


def without(document: dict[str, Any], path: tuple[Step, ...]) -> dict[str, Any]:
    """The document with that leaf not gathered: a key is removed, an entry of a list is said to be unknown."""
    found = copy.deepcopy(document)
    place: Any = found
    for step in path[:-1]:
        place = place[step]
    if isinstance(path[-1], int):
        place[path[-1]] = {"unknown": "removed"}
    else:
        del place[path[-1]]
    return found


def said_unknown(document: dict[str, Any], path: tuple[Step, ...]) -> dict[str, Any]:
    """The document with that leaf said to be unknown."""
    found = copy.deepcopy(document)
    place: Any = found
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = {"unknown": "said"}
    return found


def poorer(case: Case) -> Iterator[tuple[tuple[Step, ...], Facts]]:
    """The facts of a case, each with one leaf less, and with one section less."""
    document = case.facts.document
    for path, _ in leaves(document):
        if not path or path[0] == "run" or path[-1] == "name":
            continue
        key = key_of(path)
        yield path, facts_of(said_unknown(document, path))
        if key is not None and not key.left_out:
            yield path, facts_of(without(document, path))
    for section in document:
        if section != "run":
            yield (section,), facts_of({**document, section: {"unknown": "removed"}})


@pytest.mark.parametrize("case", OURS, ids=lambda case: f"{case.code}-{case.id}")
def test_less_knowledge_never_turns_a_verdict_into_a_pass(case: Case) -> None:
    before = {check.code: judged(check, case.facts, case.config).verdict for check in CHECKS}
    for path, facts in poorer(case):
        for check in CHECKS:
            if before[check.code] is Verdict.PASS or (path[0], check.code) == _FRAME:
                continue
            assert judged(check, facts, case.config).verdict is not Verdict.PASS, (path, check.code)


def test_nothing_known_is_unknown_or_not_needed() -> None:
    for check in CHECKS:
        found = judged(check, Facts({}), Config())
        assert found.verdict is Verdict.UNKNOWN or found.cause == "not-needed" or not check.needs, (check.code, found)
        assert found.cause != "bug", found


def test_everything_said_to_be_unknown_is_unknown_and_the_reason_is_told() -> None:
    facts = facts_of(
        {section: {"unknown": "forbidden: all"} for section in TREE.children if section not in ("run", "facts_version")}
    )
    for check in CHECKS:
        found = judged(check, facts, Config())
        assert found.verdict is Verdict.UNKNOWN or found.cause == "not-needed" or not check.needs, (check.code, found)
        if found.verdict is Verdict.UNKNOWN:
            assert "forbidden: all" in found.seen, found


@pytest.mark.parametrize("case", OURS[::7], ids=lambda case: f"{case.code}-{case.id}")
def test_the_same_facts_give_the_same_bytes_in_whatever_order_they_stand(case: Case) -> None:
    turned = facts_of(_turned(case.facts.document))
    one, two = (json.dumps(as_document(report_of(facts, case.config, select()))) for facts in (case.facts, turned))
    assert one == two


def _turned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _turned(value[key]) for key in reversed(value)}
    return [_turned(inner) for inner in value] if isinstance(value, list) else value


@given(st.sampled_from(OURS), st.sampled_from(OURS))
def test_facts_of_two_cases_together_never_break_a_check(one: Case, two: Case) -> None:
    facts = facts_of({**one.facts.document, **two.facts.document})
    for config in (one.config, two.config):
        for check in CHECKS:
            assert judged(check, facts, config).cause != "bug"
