"""`fairlead preflight` and `fairlead config`: exit codes, forms of the output, what is refused."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from fairlead.cli.main import run
from fairlead.preflight.checks import BY_CODE

GOOD = "server: {git_version: v1.27.3}\n"
BAD = "server: {git_version: v1.15.0}\nnodes: [{name: gpu-7, ready: true}]\n"


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    file = tmp_path / "facts.yaml"
    file.write_text(BAD, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "words", "code"),
    [
        (GOOD, ["--only", "kubernetes-version"], 0),
        ("server: {git_version: v1.18.0}", ["--only", "kubernetes-version"], 0),
        ("server: {git_version: v1.18.0}", ["--only", "kubernetes-version", "--strict"], 1),
        (BAD, ["--only", "kubernetes-version,inbound"], 1),
        (BAD, ["--only", "kubernetes-version", "--accept", "kubernetes-version=upgrade on Monday"], 0),
        (GOOD, [], 5),
        ("access: {error: timeout}", ["--only", "cluster-connectivity"], 5),
        (GOOD, ["--only", "gpu-drivr"], 2),
        (GOOD, ["--skip", "x"], 2),
        (GOOD, ["--only", ""], 2),
        (GOOD, ["--skip", " ,"], 2),
        (GOOD, ["--accept", "dns"], 2),
        (GOOD, ["--accept", "nothing=because"], 2),
        (GOOD, ["--timeout", "soon"], 2),
        (GOOD, ["--anonymise"], 2),
        ("servr: {}", [], 2),
        (GOOD, ["--only", "inbound", "--config", "missing.yaml"], 2),
    ],
)
def test_the_exit_code_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: list[str], code: int
) -> None:
    file = tmp_path / "facts.yaml"
    file.write_text(text, encoding="utf-8")
    assert run(["preflight", "--facts", str(file), *words]) == code, capsys.readouterr().err


def test_the_same_facts_print_the_same_bytes(facts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    for _ in range(2):
        assert run(["preflight", "--facts", str(facts), "-o", "json"]) == 1
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
    assert len(json.loads(outputs[0])["checks"]) == len(BY_CODE)


def test_each_form_of_the_output(facts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["preflight", "--facts", str(facts), "--only", "kubernetes-version", "-o"]
    run([*words, "yaml"])
    assert YAML(typ="safe").load(capsys.readouterr().out)["verdict"] == "fail"
    run([*words, "name"])
    assert capsys.readouterr().out == "kubernetes-version\n"
    run([*words, "table"])
    told, beside = capsys.readouterr()
    assert "--only" not in beside, "it was asked for alone"
    assert "\x1b" not in told
    assert "Upgrade the cluster to 1.16.0 or newer" in told


def test_facts_are_saved_under_hidden_names_and_judged_again(
    facts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("saved.yaml", "saved.json"):
        saved = tmp_path / name
        assert (
            run(
                ["preflight", "--facts", str(facts), "--save-facts", str(saved), "--anonymise", "--only", "node-health"]
            )
            == 0
        )
        assert "gpu-7" not in saved.read_text(encoding="utf-8")
        assert str(saved) in capsys.readouterr().err
        assert run(["preflight", "--facts", str(saved)]) == 1
        assert "node-" in capsys.readouterr().out


def test_what_is_new_since_an_earlier_report_is_told(
    facts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, report = tmp_path / "good.yaml", tmp_path / "report.json"
    good.write_text(GOOD, encoding="utf-8")
    run(["preflight", "--facts", str(good), "-o", "json"])
    report.write_text(capsys.readouterr().out, encoding="utf-8")
    run(["preflight", "--facts", str(facts), "--since", str(report)])
    told, beside = capsys.readouterr()
    assert "kubernetes-version: fail, was pass" in told
    assert "--only kubernetes-version" in beside
    assert run(["preflight", "--facts", str(facts), "--since", str(good)]) == 2


def test_the_configuration_decides_what_is_needed(
    facts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "fairlead.yaml"
    file.write_text("production: true\n", encoding="utf-8")
    words = ["preflight", "--facts", str(facts), "--only", "system-nodes"]
    assert run(words) == 0
    assert run([*words, "--config", str(file)]) == 5
    file.write_text("prodution: true\n", encoding="utf-8")
    assert run([*words, "--config", str(file)]) == 2
    assert "did you mean production?" in capsys.readouterr().err


def test_egress_prints_every_form(facts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["preflight", "egress", "--facts", str(facts)]) == 0
    told = capsys.readouterr().out
    assert "during installation" in told
    assert "FROM node gpu-7 TO quay.io PORT 443/tcp" in told
    assert run(["preflight", "egress", "-o", "csv"]) == 0
    assert len(list(csv.reader(StringIO(capsys.readouterr().out)))) == 7
    assert run(["preflight", "egress", "-o", "networkpolicy"]) == 0
    assert YAML(typ="safe").load(capsys.readouterr().out)["kind"] == "NetworkPolicy"
    assert run(["preflight", "egress", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "charts"


def test_the_configuration_is_explained_shown_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "fairlead.yaml"
    assert run(["config", "example"]) == 0
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    assert run(["config", "check", str(file)]) == 0
    assert "is right" in capsys.readouterr().out
    assert run(["config", "explain", "proxy.no_proxy"]) == 0
    assert "agent.noProxy" in capsys.readouterr().out
    assert run(["config", "explain", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["key"] == "namespace"
    assert run(["config", "explain", "proxi"]) == 3
    assert "did you mean proxy?" in capsys.readouterr().err
    file.write_text("ca_bundle: nowhere.pem\n", encoding="utf-8")
    assert run(["config", "check", str(file)]) == 2
    assert "ca_bundle cannot be read" in capsys.readouterr().err
    file.write_text("accept: {dnss: known}\n", encoding="utf-8")
    assert run(["config", "check", str(file)]) == 2


def test_what_a_finding_means_is_said_without_a_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["preflight", "explain", "registry-pull#auth"]) == 0
    told = capsys.readouterr().out
    assert ("the pull secret is missing" in told, "rate" in told.partition("auth\n")[2]) == (True, False)
    for code, check in BY_CODE.items():
        assert run(["preflight", "explain", code, "-o", "json"]) == 0
        assert set(json.loads(capsys.readouterr().out)["causes"]) == set(check.causes)
    assert run(["preflight", "explain", "gpu-drivr"]) == 2
    assert "gpu-driver" in capsys.readouterr().err
    assert run(["preflight", "explain", "gpu-driver#nothing"]) == 2
    assert "no-driver" in capsys.readouterr().err


def test_editors_are_told_the_keys_and_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "schema"]) == 0
    valid = Draft202012Validator(json.loads(capsys.readouterr().out))
    assert run(["config", "example"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    whole = YAML(typ="safe").load("\n".join(line.removeprefix("# ") for line in lines if not line.startswith("# #")))
    assert whole["prometheus"]["mode"] == "bundled"
    assert not list(valid.iter_errors(whole))
    wrong = {"prometheus": {"mode": "grafana"}, "registri": {}, "production": "yes"}
    assert {".".join(map(str, each.path)) for each in valid.iter_errors(wrong)} == {"prometheus.mode", "", "production"}
