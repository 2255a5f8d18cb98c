"""Cases of preflight: every check holds, fails and says when it cannot know; reference cases beside the checkout have their verdicts."""

from __future__ import annotations

from collections import defaultdict

import pytest
from tests.preflight.casefile import SHARED, Case, cases, hold, ours

from fairlead.preflight.check import COMMON_CAUSES, Verdict, judged
from fairlead.preflight.checks import BY_CODE, CHECKS

OURS = ours()
REFERENCE = list(cases(SHARED)) if SHARED.is_file() else []
_ONLY_CONFIGURATION = {"inbound"}
"""Checks that read no facts, so that nothing can be unknown."""


@pytest.mark.skipif(not REFERENCE, reason=f"the reference cases are not here: no file {SHARED}")
@pytest.mark.parametrize("case", REFERENCE or [None], ids=lambda case: case.id if case else "none")
def test_a_reference_case_has_its_verdict(case: Case) -> None:
    hold(case)


@pytest.mark.parametrize("case", OURS, ids=lambda case: f"{case.code}-{case.id}")
def test_a_case_has_its_verdict(case: Case) -> None:
    hold(case)


def test_every_check_has_a_case_that_holds_one_that_does_not_and_one_that_cannot_be_known() -> None:
    verdicts: dict[str, list[str]] = defaultdict(list)
    for case in OURS:
        verdicts[case.code].append(case.expect["verdict"])
    for check in CHECKS:
        found = verdicts[check.code]
        assert len(found) >= 3, check.code
        assert "pass" in found, check.code
        assert {"warn", "fail"}.intersection(found), check.code
        assert check.severity is Verdict.WARN or "fail" in found, check.code
        assert "unknown" in found or check.code in _ONLY_CONFIGURATION, check.code


def test_findings_name_known_causes_and_keep_to_the_severity_of_their_check() -> None:
    for case in OURS:
        for check in CHECKS:
            found = judged(check, case.facts, case.config)
            assert found.cause in (*check.causes, *COMMON_CAUSES), (case.id, check.code, found)
            assert found.cause != "bug", (case.id, check.code, found)
            assert found.verdict is not Verdict.FAIL or check.severity is Verdict.FAIL, (case.id, check.code)


def test_whoever_has_to_do_something_is_told_what_and_who_that_is() -> None:
    for case in OURS:
        found = judged(BY_CODE[case.code], case.facts, case.config)
        if found.verdict in (Verdict.FAIL, Verdict.WARN):
            assert found.remedy, case.id
            assert found.who, case.id
            assert found.expected, case.id
            assert found.cause not in COMMON_CAUSES, case.id
