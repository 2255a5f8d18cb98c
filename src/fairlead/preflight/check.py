"""What a check is, what it finds, and how findings of nodes become one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from fairlead.preflight.config import Config
from fairlead.preflight.facts import NOT_GATHERED, Facts, Missing


class Verdict(StrEnum):
    """The answer of a check."""

    PASS = "pass"
    WARN = "warn"
    """It works, something is worse than it should be."""
    FAIL = "fail"
    """A requirement is not met."""
    UNKNOWN = "unknown"
    """It could not be found out."""


GRAVITY: Final = (Verdict.PASS, Verdict.WARN, Verdict.UNKNOWN, Verdict.FAIL)
"""From best to worst: the worst of several stands for all."""


class Who(StrEnum):
    """Who can mend it."""

    CLUSTER_ADMIN = "cluster admin"
    NETWORK = "network team"
    STORAGE = "storage team"
    YOU = "whoever installs"
    """By the configuration, or on the machine that runs the command."""
    US = "us"


DISABLES: Final = (
    "install",
    "submit",
    "gpu",
    "fractions",
    "gpu-types",
    "quota-truth",
    "gang",
    "metrics",
    "dashboards",
    "accounts",
    "shared-data",
    "ui",
    "cli-logs-shell",
    "workspace-urls",
    "sign-in",
    "upgrade",
    "high-availability",
)
"""What a finding may take away, in fixed words."""


@dataclass(frozen=True)
class Finding:
    """What a check says. `cause`: a machine word. `nodes`: the same per node, where nodes differ."""

    verdict: Verdict
    seen: str
    expected: str = ""
    """Empty: what the check always expects."""
    remedy: str = ""
    """One command, or one request to whoever can mend it."""
    who: Who | None = None
    cause: str = ""
    nodes: Mapping[str, Finding] = field(default_factory=dict)


Judge = Callable[[Facts, Config], Finding]


class ByApi(StrEnum):
    """What a check can say without a pod made for it: from the objects of the API alone, or by asking."""

    WHOLE = "whole"
    """All of it."""
    FAULTS = "faults"
    """That something is wrong; that all is well takes more."""
    ASKED = "asked"
    """Nothing, and a pod of the installed product asks services for it: where that takes a credential or an authority, it stays unknown."""
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check. `judge` is pure; its docstring explains the finding to people and becomes its page."""

    code: str
    title: str
    row: str
    """Row of the requirements that it verifies."""
    severity: Verdict
    """The worst it says about what is known: fail, or warn for a check whose absence holds nothing up."""
    needs: tuple[str, ...]
    """Keys of the facts it reads, or what they begin with."""
    expected: str
    rules: str
    """When it passes, warns and fails."""
    disables: tuple[str, ...]
    causes: tuple[str, ...]
    """Every cause it may name, besides those that all may."""
    judge: Judge
    by_api: ByApi = ByApi.NOTHING
    """Whether it is made daily once the product is installed."""

    def page(self, cause: str = "") -> str:
        """Its page, with the anchor of a cause that is its own."""
        return f"docs/reference/findings/{self.code}.md{self._anchor(cause)}"

    def named(self, cause: str = "") -> str:
        """Its code, with a cause that is its own."""
        return f"{self.code}{self._anchor(cause)}"

    def _anchor(self, cause: str) -> str:
        return f"#{cause}" if cause in self.causes else ""


COMMON_CAUSES: Final = ("", "not-needed", "not-known", "bug")
"""Causes that any check may name."""


def passed(seen: str) -> Finding:
    """It holds."""
    return Finding(Verdict.PASS, seen)


def not_needed(why: str) -> Finding:
    """The configuration does not use it, so it cannot fail."""
    return Finding(Verdict.PASS, f"not needed: {why}", cause="not-needed")


def warned(seen: str, cause: str, remedy: str, who: Who = Who.CLUSTER_ADMIN, expected: str = "") -> Finding:
    """It works, but."""
    return Finding(Verdict.WARN, seen, expected, remedy, who, cause)


def failed(seen: str, cause: str, remedy: str, who: Who = Who.CLUSTER_ADMIN, expected: str = "") -> Finding:
    """It does not hold."""
    return Finding(Verdict.FAIL, seen, expected, remedy, who, cause)


def unknown(why: str, cause: str = "not-known", remedy: str = "", who: Who | None = None) -> Finding:
    """It could not be found out."""
    return Finding(Verdict.UNKNOWN, why, "", remedy, who, cause)


def judged(check: Check, facts: Facts, config: Config) -> Finding:
    """What the check says. A fact that is missing, or a bug of the check, is an unknown; never a pass, never a failure."""
    try:
        found = check.judge(facts, config)
    except Missing as missing:
        found = unknown(missing.why)
    except Exception as bug:  # noqa: BLE001  # a bug of one check costs its own verdict only
        found = unknown(f"the check itself failed: {type(bug).__name__}: {bug}", "bug", _REPORT_IT, Who.US)
    if found.verdict is Verdict.UNKNOWN and found.seen.startswith(NOT_GATHERED):
        found = replace(found, seen=next(filter(None, _reasons(check, facts)), found.seen))
    if check.code != ADMISSION:
        found = after_webhooks(found)
    return replace(found, expected=found.expected or check.expected)


def _reasons(check: Check, facts: Facts) -> Iterator[str]:
    """Why what it needs was not had, where that is told: more than that something is not there."""
    for need in check.needs:
        yield facts.said_unknown(*need.partition("[")[0].partition(".<")[0].split("."))


ADMISSION: Final = "admission"
"""Code of the check that tells of webhooks which do not answer."""
_WEBHOOK: Final = re.compile(r'failed calling webhook "([^"]+)"')
"""Words of the API server."""


def webhook_in(text: str) -> str:
    """The webhook that did not answer, where that is what the API server says; else empty."""
    said = _WEBHOOK.search(text)
    return said[1] if said else ""


def after_webhooks(found: Finding) -> Finding:
    """The finding; where all that it tells is a webhook that does not answer, it is unknown: `admission` tells of that, once."""
    name = webhook_in(found.seen) if found.verdict in (Verdict.FAIL, Verdict.UNKNOWN) else ""
    if not name:
        return found
    return replace(unknown(f"see {ADMISSION}: the webhook {name} does not answer"), nodes=found.nodes)


_REPORT_IT: Final = "Report it with the facts: fairlead preflight --save-facts facts.yaml --anonymise"


def attempt(judge: Callable[[], Finding]) -> Finding:
    """What a part of a check says; unknown where it misses a fact."""
    try:
        return judge()
    except Missing as missing:
        return unknown(missing.why)


def worst(findings: Iterable[Finding]) -> Finding:
    """The gravest, the first of equals. One at least is expected."""
    return max(findings, key=lambda found: GRAVITY.index(found.verdict))


@dataclass(frozen=True)
class Roster:
    """The nodes that checks look at. `doubt`: why there may be more, empty where all are known."""

    names: tuple[str, ...]
    doubt: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Nodes that no check looks at but `node-health`, and why."""


def by_node(roster: Roster, judge: Callable[[str], Finding]) -> Finding:
    """One finding out of one per node: the worst stands for all, and all that is wrong is told.

    Where it is not known which nodes there are, nothing passes.
    """
    found = {name: after_webhooks(attempt(lambda name=name: judge(name))) for name in roster.names}  # type: ignore[misc]
    if not found:
        return unknown(roster.doubt or "there is no node to look at")
    whole = _together(found)
    if whole.verdict is Verdict.PASS and roster.doubt:
        return replace(unknown(f"{whole.seen}; whether these are all nodes is not known: {roster.doubt}"), nodes=found)
    return whole


def _together(found: Mapping[str, Finding]) -> Finding:
    """The finding about all nodes."""
    gravest = worst(found.values())
    bad = {name: each for name, each in found.items() if each.verdict is gravest.verdict}
    remedies = dict.fromkeys(each.remedy for each in bad.values() if each.remedy)
    return Finding(
        gravest.verdict,
        told(bad, len(found)),
        gravest.expected,
        "\n".join(remedies),
        gravest.who,
        gravest.cause,
        found,
    )


def told(bad: Mapping[str, Finding], of: int) -> str:
    """Which nodes say what: equal sentences once."""
    by_text: dict[str, list[str]] = {}
    for name, each in bad.items():
        by_text.setdefault(each.seen, []).append(name)
    if len(by_text) == 1 and len(bad) == of:
        text = next(iter(by_text))
        return text if of > 1 else f"{next(iter(bad))}: {text}"
    said = [f"{listed(names)}: {text}" for text, names in list(by_text.items())[:_MOST_TEXTS]]
    more = sum(len(names) for names in list(by_text.values())[_MOST_TEXTS:])
    return "; ".join(said) + (f"; and {more} nodes more" if more else "")


_MOST_NAMES: Final = 4
_MOST_TEXTS: Final = 4


def listed(names: Iterable[str]) -> str:
    """Names for a sentence: the first few, and how many more."""
    all_ = list(names)
    more = len(all_) - _MOST_NAMES
    return ", ".join(all_[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def only_worse(found: Finding, extra: Iterable[Finding]) -> Finding:
    """The finding, or the worst of the others where that is worse: the first cause stays the finding."""
    return worst((found, *extra))
