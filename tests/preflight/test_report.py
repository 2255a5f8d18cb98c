"""The report: the verdict of the whole, exit codes, selection, accepted risks, the document, the text, the difference."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairlead.preflight.check import Check, Finding, Verdict, judged, passed
from fairlead.preflight.config import Config, config_of
from fairlead.preflight.facts import Facts, facts_of
from fairlead.preflight.report import Change, as_document, changes_since, report_of, select
from fairlead.preflight.told import lines
from fairlead.runtime.errors import Invalid

GOOD: dict[str, Any] = {"server": {"git_version": "v1.27.3"}}
OLD: dict[str, Any] = {"server": {"git_version": "v1.18.0"}}
BAD: dict[str, Any] = {"server": {"git_version": "v1.15.0"}}
VERSION, INBOUND, PULL = "kubernetes-version", "inbound", "registry-pull"


def _report(
    document: dict[str, Any], *codes: str, accept: dict[str, str] | None = None, config: Config | None = None
) -> Any:
    return report_of(facts_of(document), config or Config(), select(codes), accept)


@pytest.mark.parametrize(
    ("document", "codes", "verdict", "exit_code", "strict"),
    [
        (GOOD, (VERSION, INBOUND), "pass", 0, 0),
        (OLD, (VERSION, INBOUND), "warn", 0, 1),
        (BAD, (VERSION, PULL), "fail", 1, 1),
        (OLD, (VERSION, PULL), "unknown", 5, 5),
        ({**GOOD, "access": {"error": "dns"}}, (VERSION, "cluster-connectivity"), "fail", 5, 5),
    ],
)
def test_the_whole_is_fail_then_unknown_then_warn_then_pass(
    document: dict[str, Any], codes: tuple[str, ...], verdict: str, exit_code: int, strict: int
) -> None:
    report = _report(document, *codes)
    assert (str(report.verdict), report.exit_code(), report.exit_code(strict=True)) == (verdict, exit_code, strict)


def test_a_check_that_holds_nothing_up_makes_a_warning_where_it_is_unknown() -> None:
    config = config_of({"images": {"sample": "a/b:1"}})
    report = _report(GOOD, VERSION, "user-images", config=config)
    assert report.verdict is Verdict.WARN
    assert report.results[1].finding.verdict is Verdict.UNKNOWN


def test_an_accepted_risk_is_a_warning_with_its_reason_and_its_verdict_stays() -> None:
    report = _report(BAD, VERSION, accept={VERSION: "upgrade on Monday"})
    document = as_document(report)
    assert (report.exit_code(), document["verdict"], document["checks"][0]["verdict"]) == (0, "warn", "fail")
    assert document["accepted"] == {VERSION: "upgrade on Monday"}
    assert _report(BAD, VERSION, config=config_of({"accept": {VERSION: "known"}})).exit_code() == 0


@pytest.mark.parametrize(("only", "skip"), [(("gpu-drivr",), ()), ((), ("gpu-drivr",))])
def test_a_code_nobody_knows_is_wrong_use_with_the_nearest(only: tuple[str, ...], skip: tuple[str, ...]) -> None:
    with pytest.raises(Invalid, match=r"gpu-driver\?"):
        select(only, skip)


def test_no_check_left_and_a_risk_without_a_reason_are_wrong_use() -> None:
    with pytest.raises(Invalid, match="No check is left"):
        select((VERSION,), (VERSION,))
    with pytest.raises(Invalid, match="without a reason"):
        _report(BAD, VERSION, accept={VERSION: " "})


def test_keys_never_vanish_and_skipped_checks_are_named() -> None:
    full = as_document(report_of(facts_of(GOOD), Config(), select((), ("dns",))))
    assert list(full) == ["verdict", "class", "run_id", "facts_version", "accepted", "skipped", "cluster", "checks"]
    wanted = [
        "code",
        "title",
        "row",
        "verdict",
        "class",
        "seen",
        "expected",
        "remedy",
        "who",
        "disables",
        "nodes",
        "seconds",
        "doc",
    ]
    assert all(list(check) == wanted for check in full["checks"])
    assert full["skipped"] == ["dns"]
    assert "dns" not in [check["code"] for check in full["checks"]]
    assert json.loads(json.dumps(full)) == full


def test_seconds_come_from_the_facts_and_the_run_is_named() -> None:
    document = as_document(_report({**GOOD, "run": {"id": "7f3a", "seconds": {VERSION: 0.5}}}, VERSION, INBOUND))
    assert (document["run_id"], [check["seconds"] for check in document["checks"]]) == ("7f3a", [0.5, None])
    assert len(as_document(_report(GOOD, VERSION))["run_id"]) == 8


def test_a_bug_of_a_check_is_an_unknown_with_its_text() -> None:
    def broken(facts: Facts, config: Config) -> Finding:
        return passed(str(1 / 0))

    check = Check(
        code="x",
        title="x",
        row="x",
        severity=Verdict.FAIL,
        needs=(),
        expected="e",
        rules="",
        disables=(),
        causes=(),
        judge=broken,
    )
    found = judged(check, Facts({}), Config())
    assert (found.verdict, found.cause, found.expected) == (Verdict.UNKNOWN, "bug", "e")
    assert "ZeroDivisionError" in found.seen


def _nodes(*offsets: float) -> dict[str, Any]:
    names = [f"n{number}" for number in range(len(offsets))]
    return {
        "nodes": [{"name": name} for name in names],
        "clock": {n: {"offset_seconds": o} for n, o in zip(names, offsets, strict=True)},
    }


def test_what_is_new_since_an_earlier_report_is_told_by_node() -> None:
    before, now = (
        as_document(_report({**GOOD, **_nodes(*offsets)}, VERSION, "clock-skew")) for offsets in ((0, 0), (0, 95))
    )
    assert changes_since(before, now) == (Change("clock-skew", "n1", "pass", "fail", "its clock is 95 s off"),)
    assert changes_since(now, now) == ()
    one, other = (as_document(_report(document, VERSION)) for document in (GOOD, BAD))
    assert str(changes_since(one, other)[0]) == "kubernetes-version: fail, was pass (Kubernetes 1.15.0)"


def test_equal_findings_of_many_nodes_are_told_once() -> None:
    document = as_document(_report(_nodes(*[95.0] * 9, 0), "clock-skew"))
    assert document["checks"][0]["seen"] == "n0, n1, n2, n3 and 5 more: its clock is 95 s off"


def test_a_thousand_nodes_that_differ_are_no_sentence_of_a_thousand_parts() -> None:
    seen = as_document(_report(_nodes(*range(60, 1060)), "clock-skew"))["checks"][0]["seen"]
    assert seen.endswith("and 996 nodes more")
    assert len(seen) < 250


def _text(document: dict[str, Any], width: int, *, whole: bool, **more: Any) -> list[str]:
    report = report_of(facts_of(document), Config(), select(), more.pop("accept", None))
    return ["".join(span.text for span in line) for line in lines(report, width, whole=whole, **more)]


@pytest.mark.parametrize("width", [80, 120])
def test_the_text_fits_the_terminal_and_tells_what_fails_first(width: int) -> None:
    document = {**BAD, **_nodes(0, 95), "access": {"forbidden": ["list storageclasses"]}}
    document["nodes"].append({"name": "n9", "ready": False})
    told = _text(document, width, whole=False)
    assert max(map(len, told)) <= width
    assert told[0].startswith("FAIL  2 fail")
    heading = told.index("What does not hold")
    fails = told[heading : told.index("Kubernetes")]
    for label in ("seen", "expected", "do", "who", "disables"):
        assert any(line.startswith(f"    {label}") for line in fails)
    assert any("kubernetes-version" in line for line in told[told.index("Kubernetes") :])
    assert "  n9: it is NotReady" in told


def test_nothing_is_cut_off_for_whoever_reads_it_from_a_file() -> None:
    document = {"server": {"git_version": {"unknown": "word " * 60 + "end"}}}
    assert any(line.endswith("end") for line in _text(document, 80, whole=True))
    assert not any(line.endswith("end") for line in _text(document, 80, whole=False))


def test_the_text_names_changes_and_accepted_risks() -> None:
    change = Change("gpu-driver", "g2", "pass", "fail", "no driver")
    told = _text(BAD, 100, whole=True, since=(change,), accept={VERSION: "on Monday"})
    assert "  gpu-driver on g2: fail, was pass (no driver)" in told
    assert "    accepted  on Monday" in told
    assert "    more      fairlead preflight explain kubernetes-version#too-old" in told
    (line,) = [line for line in told if line.startswith("  ! accepted")]
    assert "kubernetes-version" in line
    assert "  nothing" in _text(BAD, 100, whole=True, since=())
