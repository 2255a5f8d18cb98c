"""Which checks are made daily is a property of the check: what the API alone can tell of it, tried with every case there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.cluster.build import Bench
from tests.preflight.casefile import ours

from fairlead.preflight.check import ByApi, Verdict, judged
from fairlead.preflight.checks import CHECKS
from fairlead.preflight.config import Config
from fairlead.preflight.facts import Facts, facts_of
from fairlead.preflight.gather.daily import look
from fairlead.preflight.keys import TREE, Branch, Key

_SAYS = (Verdict.FAIL, Verdict.WARN)
_NOTHING = object()
_REPORTED = ("nodes[].driver", "nodes[].nvml_devices")
"""What node agents report."""


def gathered() -> frozenset[str]:
    """What a daily run finds out: the first steps of its keys."""
    bench = Bench()
    found = frozenset(bench.run(lambda: look(bench.client, Config())).document)
    return (found | {"api_groups", "api_versions", "images_missing_on"}) - {"helm_releases"}


def by_api(facts: Facts, keys: frozenset[str]) -> Facts:
    """Those of the facts that a daily run would have."""
    document = {key: value for key, value in facts.document.items() if key in keys}
    told = _told(document, TREE)
    return facts_of({**(told if told is not _NOTHING else {}), "facts_version": 1})


def _told(value: Any, place: Branch) -> Any:
    if isinstance(value, Mapping) and "unknown" not in value:
        inner = {k: _told(v, place.children.get(k) or place.free or place) for k, v in value.items()}
        return {k: v for k, v in inner.items() if v is not _NOTHING} or (_NOTHING if value else {})
    if isinstance(value, list):
        told = [_told(each, place.entry or place) for each in value]
        return _NOTHING if _NOTHING in told else told
    return value if place.key is not None and _is_of_api(place.key) else _NOTHING


def _is_of_api(key: Key) -> bool:
    return key.how.startswith("A") or key.path.startswith(("access.", "run.")) or key.path in _REPORTED


@pytest.fixture(scope="module")
def verdicts() -> dict[str, set[Verdict]]:
    """Code -> what the check says of the cases about it, by the API alone."""
    found: dict[str, set[Verdict]] = {check.code: set() for check in CHECKS}
    keys = gathered()
    for case in ours():
        check = next(each for each in CHECKS if each.code == case.code)
        finding = judged(check, by_api(case.facts, keys), case.config)
        if finding.cause != "not-needed":
            found[case.code].add(finding.verdict)
    return found


@pytest.mark.parametrize("check", [c for c in CHECKS if c.by_api is ByApi.WHOLE], ids=lambda c: c.code)
def test_a_check_that_the_api_decides_passes_by_it(check: Any, verdicts: dict[str, set[Verdict]]) -> None:
    assert Verdict.PASS in verdicts[check.code]
    assert verdicts[check.code] & set(_SAYS)


@pytest.mark.parametrize("check", [c for c in CHECKS if c.by_api is ByApi.FAULTS], ids=lambda c: c.code)
def test_a_check_whose_faults_the_api_tells_finds_some_by_it(check: Any, verdicts: dict[str, set[Verdict]]) -> None:
    assert verdicts[check.code] & set(_SAYS)


@pytest.mark.parametrize("check", [c for c in CHECKS if c.by_api is ByApi.NOTHING], ids=lambda c: c.code)
def test_a_check_that_is_not_made_daily_would_say_nothing(check: Any, verdicts: dict[str, set[Verdict]]) -> None:
    assert not verdicts[check.code] & set(_SAYS)
