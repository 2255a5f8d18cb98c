"""What is kept of a daily run: verdicts, what is new since the run before, and the condition that tells how the cluster stands. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fairlead.objects.meta import Condition
from fairlead.objects.organisation import CheckedPrerequisite, PrerequisitesReport
from fairlead.preflight.check import ByApi, Verdict
from fairlead.preflight.report import Report, Result, changes_since

PREREQUISITES: Final = "Prerequisites"
"""Type of the condition."""
MET: Final = "Met"
_LONGEST: Final = 400
"""Characters that are kept of a sentence."""
_MOST_NODES: Final = 100
_MOST_NEWS: Final = 50


def standing(report: Report, earlier: PrerequisitesReport, version: str) -> PrerequisitesReport:
    """The report to keep. `earlier`: the one that was kept before; `version`: of the program that judged."""
    facts, at = report.facts, report.facts.maybe_text("run", "at")
    nodes = tuple(sorted(facts.nodes))
    checks = tuple(_kept(result, earlier, at) for result in report.results)
    now = PrerequisitesReport(at=at, version=version, verdict=_word(verdict(report)), checks=checks, nodes=nodes)
    news = _news(earlier, now)
    return PrerequisitesReport(
        at=at,
        version=version,
        verdict=now.verdict,
        checks=checks,
        nodes=nodes,
        news=tuple(news[:_MOST_NEWS]),
        news_since=earlier.at,
        answered=earlier.answered,
    )


def verdict(report: Report) -> Verdict:
    """The verdict of what could be decided without pods."""
    decided = Report(tuple(each for each in report.results if _is_decided(each)), report.facts)
    return decided.verdict


def condition(report: Report) -> Condition:
    """True, False with the codes that fail, or Unknown with those that could not be judged. A check of which the API can tell faults alone
    makes nothing unknown."""
    decided = [each for each in report.results if _is_decided(each)]
    for word, status in ((Verdict.FAIL, "False"), (Verdict.UNKNOWN, "Unknown")):
        if found := [each for each in decided if each.counts is word]:
            return Condition(
                type=PREREQUISITES, status=status, reason=reason_of(found[0].check.code), message=_told(found)
            )
    warned = [each.check.code for each in decided if each.counts is Verdict.WARN]
    unknown = [each.check.code for each in report.results if each.finding.verdict is Verdict.UNKNOWN]
    message = f"{len(decided)} checks hold" + (f"; with warnings: {', '.join(warned)}" if warned else "")
    message += f"; not known without a pod: {', '.join(unknown)}" if unknown else ""
    return Condition(type=PREREQUISITES, status="True", reason=MET, message=message)


def reason_of(code: str) -> str:
    """The code of a check as the reason of a condition: `gpu-driver` is GpuDriver."""
    return "".join(part.capitalize() for part in code.split("-"))


def _is_decided(result: Result) -> bool:
    return result.finding.verdict is not Verdict.UNKNOWN or result.check.by_api is ByApi.WHOLE


def _told(found: Iterable[Result]) -> str:
    return "; ".join(f"{each.check.code}: {_short(each.finding.seen)}" for each in found)


def _kept(result: Result, earlier: PrerequisitesReport, at: str | None) -> CheckedPrerequisite:
    check, found = result.check, result.finding
    before = next((each for each in earlier.checks if each.code == check.code), None)
    bad = {name: _word(each.verdict) for name, each in sorted(found.nodes.items()) if each.verdict is not Verdict.PASS}
    word = _word(found.verdict)
    return CheckedPrerequisite(
        code=check.code,
        verdict=word,
        counts=_word(result.counts) if _is_decided(result) else "pass",
        since=before.since if before is not None and before.verdict == word else at,
        cause=found.cause,
        seen=_short(found.seen),
        remedy=_short(found.remedy) if found.verdict is not Verdict.PASS else "",
        accepted=result.accepted,
        nodes=dict(list(bad.items())[:_MOST_NODES]),
        more_nodes=max(0, len(bad) - _MOST_NODES),
    )


def _news(earlier: PrerequisitesReport, now: PrerequisitesReport) -> list[str]:
    if earlier.at is None:
        return []
    before = {each.code: each for each in earlier.checks}
    known = frozenset(earlier.nodes)
    pairs = [(before[each.code], each) for each in now.checks if each.code in before]
    found = changes_since(
        {"checks": [_as_check(was, each, known) for was, each in pairs]},
        {"checks": [_as_check(each, was, frozenset(now.nodes)) for was, each in pairs]},
    )
    return [_short(str(change)) for change in found]


def _as_check(each: CheckedPrerequisite, other: CheckedPrerequisite, known: frozenset[str]) -> Mapping[str, Any]:
    """As a report has it: nodes that were there and are not told of passed; where some that do not pass are not told of, none is there."""
    nodes: dict[str, Any] = {}
    if not each.more_nodes and not other.more_nodes:
        named = [name for name in {*each.nodes, *other.nodes} if name in known]
        nodes = {name: {"verdict": each.nodes.get(name, "pass"), "seen": ""} for name in named}
    return {"code": each.code, "verdict": each.verdict, "seen": each.seen, "nodes": nodes}


def _word(verdict: Verdict) -> Any:
    return str(verdict)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
