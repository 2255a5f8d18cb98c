"""A report for people: what does not hold first, with what to do; then a line for every check, by requirement."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fairlead.preflight.check import GRAVITY, Verdict
from fairlead.preflight.report import Change, Report, Result, as_document, disabled_by
from fairlead.preflight.rows import ROWS

STYLES: Final = {Verdict.PASS: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red", Verdict.UNKNOWN: "magenta"}
_SIGNS: Final = {Verdict.PASS: "✓", Verdict.WARN: "!", Verdict.FAIL: "✗", Verdict.UNKNOWN: "?"}
_HEADINGS: Final = {
    Verdict.FAIL: "What does not hold",
    Verdict.UNKNOWN: "What could not be found out",
    Verdict.WARN: "What works, but",
}
_LABEL: Final = 10
_CODE: Final = 27


@dataclass(frozen=True)
class Span:
    """A piece of a line, and its colour: one of STYLES, `bold`, `dim`, or none."""

    text: str
    style: str = ""


Line = tuple[Span, ...]


def lines(report: Report, width: int, *, whole: bool, since: tuple[Change, ...] | None = None) -> Iterator[Line]:
    """The report in lines of at most `width` characters. `whole`: what is told once is not cut off, for whoever reads it from a file."""
    yield _summary(report)
    if since is not None:
        yield from _since(since, width)
    for verdict in sorted(_HEADINGS, key=GRAVITY.index, reverse=True):
        bad = [result for result in report.results if result.finding.verdict is verdict and _has_more_to_say(result)]
        yield from _section(_HEADINGS[verdict], [result for result in bad if not result.accepted], width)
    yield from _section("What is accepted", [result for result in report.results if _is_risk(result)], width)
    for row in ROWS:
        of_row = [result for result in report.results if result.check.row == row]
        if of_row:
            yield ()
            yield (Span(row, "bold"),)
            yield from (_line(result, width, whole=whole and not _has_details(result)) for result in of_row)
    yield from _left_out(report, width)


def _section(heading: str, results: list[Result], width: int) -> Iterator[Line]:
    """Nothing where there are none."""
    if results:
        yield ()
        yield (Span(heading, "bold"),)
    for result in results:
        is_unknown = result.finding.verdict is Verdict.UNKNOWN
        yield from _unknown(result, width) if is_unknown else _details(result, width)


def _is_risk(result: Result) -> bool:
    """Whether it does not hold and was accepted."""
    return bool(result.accepted) and result.finding.verdict is not Verdict.PASS


def _has_more_to_say(result: Result) -> bool:
    """More than the line of the check does: what is only not known is told there."""
    return result.finding.verdict is not Verdict.UNKNOWN or bool(result.finding.remedy or result.accepted)


def _has_details(result: Result) -> bool:
    """Whether it is told at length above the lines."""
    return result.finding.verdict is not Verdict.PASS and _has_more_to_say(result)


def _summary(report: Report) -> Line:
    cluster = as_document(report)["cluster"]
    counting = [each for each in report.results if not _is_risk(each)]
    counts: dict[str, int] = {v: sum(each.finding.verdict is v for each in counting) for v in reversed(GRAVITY)}
    counts["accepted"] = len(report.results) - len(counting)
    said = ", ".join(f"{number} {verdict}" for verdict, number in counts.items() if number)
    about = [cluster["name"], f"Kubernetes {cluster['version']}" if cluster["version"] else None]
    about += [f"{cluster['nodes']} nodes" if cluster["nodes"] is not None else None]
    told = " · ".join(str(each) for each in (said, *about) if each)
    return (Span(str(report.verdict).upper(), STYLES[report.verdict]), Span(f"  {told}"))


def _since(since: tuple[Change, ...], width: int) -> Iterator[Line]:
    yield ()
    yield (Span("New since the earlier report", "bold"),)
    for change in since:
        yield from (
            (Span(text),) for text in textwrap.wrap(str(change), width, initial_indent="  ", subsequent_indent="    ")
        )
    if not since:
        yield (Span("  nothing"),)


def _details(result: Result, width: int) -> Iterator[Line]:
    found = result.finding
    yield _head(result)
    facts = (
        ("seen", found.seen),
        ("expected", found.expected),
        ("do", found.remedy),
        ("who", str(found.who) if found.who else ""),
        ("disables", ", ".join(disabled_by(result))),
        ("accepted", result.accepted),
        ("more", f"fairlead preflight explain {result.check.named(found.cause)}"),
    )
    for label, text in facts:
        yield from _labelled(label, text, width)


def _unknown(result: Result, width: int) -> Iterator[Line]:
    yield _head(result)
    yield from _labelled("because", result.finding.seen, width)
    yield from _labelled("do", result.finding.remedy, width)
    yield from _labelled("accepted", result.accepted, width)


def _head(result: Result) -> Line:
    verdict = result.finding.verdict
    return (Span(f"  {_SIGNS[verdict]} {result.check.code}", STYLES[verdict]), Span(f"  {result.check.title}", "dim"))


def _labelled(label: str, text: str, width: int) -> Iterator[Line]:
    """The text behind its label, on as many lines as it needs; a command stays on one where it is one word too long to break."""
    indent = " " * (_LABEL + 4)
    room = max(20, width - len(indent))
    parts = [
        part
        for line in text.split("\n")
        if line
        for part in textwrap.wrap(line, room, break_long_words=False, break_on_hyphens=False)
    ]
    for number, part in enumerate(parts):
        yield (Span(f"    {label:<{_LABEL}}" if number == 0 else indent, "dim"), Span(part))


def _line(result: Result, width: int, *, whole: bool) -> Line:
    verdict = result.finding.verdict
    word, sign = ("accepted", Verdict.WARN) if _is_risk(result) else (str(verdict), verdict)
    begin = f"  {_SIGNS[sign]} {word:<9}"
    seen = " ".join(result.finding.seen.split())
    room = width - len(begin) - _CODE - 1
    seen = seen if whole else _cut(seen, max(20, room))
    return (
        Span(begin, STYLES[sign]),
        Span(f"{result.check.code:<{_CODE}} "),
        Span(seen, "dim" if verdict is Verdict.PASS else ""),
    )


def _cut(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    words = text[: room - 1].rpartition(" ")[0] or text[: room - 1]
    return words.rstrip(" ,.;:") + "…"


def _left_out(report: Report, width: int) -> Iterator[Line]:
    """What was not looked at, on purpose or not."""
    left_out = as_document(report)["cluster"]["left_out"]
    said = [f"{name}: {why}" for name, why in left_out.items()]
    said += [f"skipped: {', '.join(report.skipped)}"] if report.skipped else []
    if said:
        yield ()
        yield (Span("Not looked at", "bold"),)
        for text in said:
            yield from (
                (Span(part),) for part in textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    ")
            )
