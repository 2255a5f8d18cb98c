"""Cases of preflight: facts of a cluster -> right verdict, in YAML; those of this folder and the shared ones have one form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from fairlead.preflight.check import Finding
from fairlead.preflight.config import Config, config_of
from fairlead.preflight.facts import Facts, facts_of
from fairlead.preflight.report import report_of, select

HERE = Path(__file__).parent / "cases"
SHARED = Path(__file__).parents[3] / "shared" / "cases" / "preflight.yaml"


@dataclass(frozen=True)
class Case:
    """One case."""

    id: str
    config: Config
    facts: Facts
    expect: dict[str, Any]

    @property
    def code(self) -> str:
        """The check it is about."""
        return str(self.expect["check"])


def cases(*files: Path) -> Iterator[Case]:
    """The cases of those files."""
    for file in files:
        document = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
        for each in document["cases"] if isinstance(document, dict) else document:
            facts = facts_of(plain(each["facts"]), each["id"])
            yield Case(each["id"], config_of(plain(each.get("config") or {}), each["id"]), facts, each["expect"])


def ours() -> list[Case]:
    """The cases of this folder."""
    return list(cases(*sorted(HERE.glob("*.yaml"))))


def hold(case: Case) -> None:
    """Fails where a verdict is another than the case says."""
    report = report_of(case.facts, case.config, select())
    found = {result.check.code: result.finding for result in report.results}
    main, expect = found[case.code], case.expect
    assert str(main.verdict) == expect["verdict"], main
    _nodes(main, expect.get("nodes") or {})
    for code, verdict in (expect.get("also") or {}).items():
        if isinstance(verdict, dict):
            _nodes(found[code], verdict)
        else:
            assert str(found[code].verdict) == verdict, (code, found[code])
    if "class" in expect:
        assert main.cause == expect["class"], main
    text = "\n".join((main.seen, main.expected, main.remedy))
    for piece in expect.get("says") or ():
        assert str(piece) in text, text
    for piece in expect.get("never") or ():
        assert piece not in text
    if "exit" in expect:
        assert report.exit_code() == expect["exit"]


def _nodes(found: Finding, wanted: dict[str, str]) -> None:
    for name, verdict in wanted.items():
        assert str(found.nodes[name].verdict) == verdict, (name, found.nodes[name])


def plain(value: Any) -> Any:
    """Merged and anchored maps as plain ones of their own."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value
