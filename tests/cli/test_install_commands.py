"""`fairlead install` up to where it would change something: what it judges, and what it leaves alone because nothing will use it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.cli.main import run

FACTS = """
server: {git_version: v1.15.0}
egress:
  charts: {from_workstation: tcp}
  control-plane: {dns: nxdomain}
control_plane: {stream_open: failed}
"""


def _told(tmp_path: Path, capsys: pytest.CaptureFixture[str], config: str, *words: str) -> tuple[str, str]:
    facts, file = tmp_path / "facts.yaml", tmp_path / "fairlead.yaml"
    facts.write_text(FACTS, encoding="utf-8")
    file.write_text(config, encoding="utf-8")
    assert run(["install", "--facts", str(facts), "--config", str(file), *words]) == 1
    return capsys.readouterr()


def test_what_an_installation_does_not_use_does_not_stop_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told, beside = _told(tmp_path, capsys, "production: false\n")
    assert "--accept kubernetes-version" in beside
    assert "egress-charts" not in beside
    assert "control-plane" not in beside
    assert "not needed: the chart comes with this program" in told
    assert "charts.fairlead.example" not in told
    assert "not needed: control_plane.cluster is not set" in told


def test_what_it_uses_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told, beside = _told(
        tmp_path,
        capsys,
        "control_plane: {cluster: c1, token_secret: agent}\n",
        "--chart",
        "oci://ghcr.example/fairlead",
    )
    words = set(beside.replace("=", " ").split())
    assert {"egress-charts", "egress-control-plane"} <= words
    assert "control-plane" not in words, "what is behind the way is unknown, and needs no accepting"
    assert "waits for egress-control-plane: app.fairlead.example: dns nxdomain" in told
    assert "ghcr.example:443" in told


def test_a_release_that_did_not_end_is_said_to_be_taken_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts, file = tmp_path / "facts.yaml", tmp_path / "fairlead.yaml"
    facts.write_text("helm_releases: [{name: fairlead, namespace: fairlead, status: failed}]\n", encoding="utf-8")
    file.write_text("production: false\n", encoding="utf-8")
    words = ["--kubeconfig", str(tmp_path / "none"), "--helm", str(tmp_path / "no-helm")]
    assert run(["install", "--facts", str(facts), "--config", str(file), *words]) != 0, "there is no Helm"
    told, beside = capsys.readouterr()
    assert "the Helm release fairlead/fairlead is failed" in told
    assert "Nothing else fails, so the release that did not end is taken up." in beside
