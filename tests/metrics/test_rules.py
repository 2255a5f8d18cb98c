"""Rules by Debian's promtool: they are rules, and each alert fires where it must and nowhere else."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.parts.build import Unavailable
from tests.parts.debian import program
from tests.parts.generate import ROOT

from fairlead.runtime.metrics import METRICS

RULES = ROOT / "deploy" / "metrics" / "rules.yaml"
CASES = Path(__file__).parent / "alerts.yaml"


def rules() -> list[dict[str, Any]]:
    document = YAML(typ="safe").load(RULES.read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def promtool(*words: str) -> str:
    """What it said of what it must accept."""
    try:
        tool = program("promtool", "prometheus")
    except Unavailable as reason:
        pytest.skip(str(reason))
    done = subprocess.run([tool, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_rules() -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", str(RULES))


def test_each_alert_fires_where_it_must_and_nowhere_else(tmp_path: Path) -> None:
    document = YAML(typ="safe").load(RULES.read_text())
    for group in document["groups"]:
        for rule in group["rules"]:
            rule.pop("annotations", None)  # promtool compares them too: whole sentences in every case
    (tmp_path / "rules.yaml").write_text(json.dumps(document))
    shutil.copy(CASES, tmp_path)
    assert "SUCCESS" in promtool("test", "rules", str(tmp_path / CASES.name))


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    cases = [c for t in YAML(typ="safe").load(CASES.read_text())["tests"] for c in t.get("alert_rule_test", ())]
    fires = {c["alertname"] for c in cases if c.get("exp_alerts")}
    silent = {c["alertname"] for c in cases if not c.get("exp_alerts")}
    assert fires == silent == {rule["alert"] for rule in rules() if "alert" in rule}


def test_each_alert_says_how_bad_it_is_what_is_wrong_and_what_to_do() -> None:
    for rule in rules():
        if "alert" in rule:
            assert rule["alert"].startswith("Fairlead")
            assert rule["labels"]["severity"] in ("critical", "warning", "info")
            assert rule["annotations"].keys() == {"summary", "description"}


def test_what_is_recorded_is_in_the_table_and_the_other_way_round() -> None:
    assert {rule["record"] for rule in rules() if "record" in rule} == {m.name for m in METRICS if m.source == "rule"}
