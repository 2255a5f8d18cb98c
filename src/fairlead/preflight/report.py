"""All findings together: the verdict of the whole, what the shell is told, and the document for programs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fairlead.preflight.check import ByApi, Check, Finding, Verdict, judged, not_needed
from fairlead.preflight.checks import BY_CODE, CHECKS
from fairlead.preflight.config import Config
from fairlead.preflight.facts import VERSION, Facts
from fairlead.preflight.roster import roster
from fairlead.preflight.versions import shown, version_of
from fairlead.runtime.errors import Invalid

DONE: Final = 0
NO: Final = 1
NOT_KNOWN: Final = 5
"""What the shell is told: holds, does not hold, could not be found out."""


@dataclass(frozen=True)
class Selection:
    """Which checks are made. `skipped`: those left out on purpose."""

    checks: tuple[Check, ...]
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """One check and what it found. `accepted`: the reason why it does not count, empty where it does."""

    check: Check
    finding: Finding
    seconds: float | None = None
    accepted: str = ""

    @property
    def counts(self) -> Verdict:
        """What it is for the whole: a risk that was taken is a warning; a check that holds nothing up is one where it is unknown."""
        verdict = self.finding.verdict
        if verdict is Verdict.PASS:
            return verdict
        if self.accepted or (verdict is Verdict.UNKNOWN and self.check.severity is not Verdict.FAIL):
            return Verdict.WARN
        return verdict


@dataclass(frozen=True)
class Report:
    """What is known of the cluster, and the verdict."""

    results: tuple[Result, ...]
    facts: Facts
    skipped: tuple[str, ...] = ()
    accepted: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """Fail if any fails, else unknown if one that is needed is, else warn, else pass."""
        found = {result.counts for result in self.results}
        order = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN)
        return next((verdict for verdict in order if verdict in found), Verdict.PASS)

    @property
    def cause(self) -> str:
        """The machine word of the first check that decides; empty where all pass."""
        if self.verdict is Verdict.PASS:
            return ""
        return next(result.finding.cause for result in self.results if result.counts is self.verdict)

    @property
    def is_out_of_reach(self) -> bool:
        """Whether the cluster could not be used at all."""
        return any(each.check.code == "cluster-connectivity" and each.counts is Verdict.FAIL for each in self.results)

    def exit_code(self, *, strict: bool = False) -> int:
        """What the shell is told; `strict` makes a warning a no."""
        if self.is_out_of_reach or self.verdict is Verdict.UNKNOWN:
            return NOT_KNOWN
        if self.verdict is Verdict.FAIL:
            return NO
        warns = any(each.counts is Verdict.WARN and not each.accepted for each in self.results)
        return NO if strict and warns else DONE


def select(only: Iterable[str] = (), skip: Iterable[str] = ()) -> Selection:
    """The checks to make, in their order. Raises: Invalid for a code nobody knows, or where none is left."""
    wanted, unwanted = tuple(only), tuple(skip)
    for code in (*wanted, *unwanted):
        known(code)
    chosen = tuple(c for c in CHECKS if (not wanted or c.code in wanted) and c.code not in unwanted)
    if not chosen:
        raise Invalid("No check is left to make: --skip leaves out all that --only names.", code="preflight")
    return Selection(chosen, tuple(check.code for check in CHECKS if check.code in unwanted))


def select_daily() -> Selection:
    """The checks that say something without pods, for a cluster that the product is installed on."""
    return Selection(tuple(check for check in CHECKS if check.by_api is not ByApi.NOTHING))


def known(code: str) -> Check:
    """The check of that code. Raises: Invalid with the nearest one."""
    if code in BY_CODE:
        return BY_CODE[code]
    near = difflib.get_close_matches(code, BY_CODE, 1)
    hint = f"Did you mean {near[0]}?" if near else f"Codes: {', '.join(BY_CODE)}."
    raise Invalid(f"There is no check {code!r}.", hint=hint, code="preflight")


def report_of(
    facts: Facts,
    config: Config,
    selection: Selection,
    accept: Mapping[str, str] | None = None,
    unused: Mapping[str, str] | None = None,
) -> Report:
    """What the checks find. `accept`: code -> the reason why what it finds is taken as it is; those of the configuration count too.
    `unused`: code -> why what it looks at will not be used, so that it cannot fail.

    Raises: Invalid for a code nobody knows, or a risk that is taken without a reason.
    """
    accepted = {**config.accept, **(accept or {})}
    for code, reason in accepted.items():
        known(code)
        if not reason.strip():
            raise Invalid(
                f"{code} is accepted without a reason.", hint=f"Say why: --accept {code}=REASON", code="preflight"
            )
    results = tuple(
        Result(
            check,
            not_needed(unused[check.code]) if unused and check.code in unused else judged(check, facts, config),
            facts.maybe_number("run", "seconds", check.code),
            accepted.get(check.code, ""),
        )
        for check in selection.checks
    )
    return Report(results, facts, selection.skipped, accepted)


def as_document(report: Report) -> dict[str, Any]:
    """The report for programs: every key is always there, and the same facts give the same bytes."""
    return {
        "verdict": str(report.verdict),
        "class": report.cause or None,
        "run_id": report.facts.run_id,
        "facts_version": VERSION,
        "accepted": dict(sorted(report.accepted.items())),
        "skipped": list(report.skipped),
        "cluster": _cluster(report.facts),
        "checks": [_check(result) for result in report.results],
    }


def _check(result: Result) -> dict[str, Any]:
    check, found = result.check, result.finding
    return {
        "code": check.code,
        "title": check.title,
        "row": check.row,
        "verdict": str(found.verdict),
        "class": found.cause or None,
        "seen": found.seen,
        "expected": found.expected,
        "remedy": found.remedy,
        "who": str(found.who) if found.who else None,
        "disables": list(disabled_by(result)),
        "nodes": {
            name: {"verdict": str(each.verdict), "seen": each.seen} for name, each in sorted(found.nodes.items())
        },
        "seconds": result.seconds,
        "doc": check.page(found.cause),
    }


def disabled_by(result: Result) -> tuple[str, ...]:
    """What a finding takes away."""
    return result.check.disables if result.finding.verdict in (Verdict.WARN, Verdict.FAIL) else ()


def _cluster(facts: Facts) -> dict[str, Any]:
    """What cluster it is, as far as that is known."""
    nodes = facts.maybe_items("nodes") if facts.known("nodes") else None
    version = version_of(facts.maybe_text("server", "git_version") or "")
    there = {"found": True, "not_found": False}.get(facts.maybe_text("openshift", "cluster_version_object") or "")
    return {
        "name": facts.maybe_text("cluster", "name") or facts.maybe_text("access", "context"),
        "version": shown(version) if version else None,
        "openshift": there,
        "nodes": None if nodes is None else len(nodes),
        "gpu_nodes": None if nodes is None else sum((node.maybe_number("pci_nvidia") or 0) > 0 for node in nodes),
        "left_out": dict(sorted(roster(facts).left_out.items())),
        "at": facts.maybe_text("run", "at"),
    }


@dataclass(frozen=True)
class Change:
    """What is other than in an earlier report. `node` empty: the check as a whole."""

    code: str
    node: str
    before: str
    now: str
    seen: str

    def __str__(self) -> str:
        place = f"{self.code} on {self.node}" if self.node else self.code
        return f"{place}: {self.now}, was {self.before}" + (f" ({self.seen})" if self.seen else "")


def changes_since(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[Change, ...]:
    """What is other than in an earlier report: per node where both know nodes, else of the check. Both as `as_document` gives them."""
    before = {check["code"]: check for check in earlier.get("checks", ())}
    found: list[Change] = []
    for check in now["checks"]:
        if (old := before.get(check["code"])) is None:
            continue
        by_node = _of_nodes(check, old)
        if not by_node and check["verdict"] != old["verdict"]:
            by_node = [Change(check["code"], "", old["verdict"], check["verdict"], check["seen"])]
        found += by_node
    return tuple(found)


def _of_nodes(check: Mapping[str, Any], old: Mapping[str, Any]) -> list[Change]:
    nodes: Sequence[str] = sorted({*check["nodes"], *old["nodes"]})
    gone = {"verdict": "not looked at", "seen": ""}
    pairs = [(name, old["nodes"].get(name, gone), check["nodes"].get(name, gone)) for name in nodes]
    return [
        Change(check["code"], name, was["verdict"], now["verdict"], now["seen"])
        for name, was, now in pairs
        if was["verdict"] != now["verdict"]
    ]
