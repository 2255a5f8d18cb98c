"""Saved facts: no secrets, whatever stands where; hidden names are the same everywhere; judged again they say the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.preflight.casefile import Case, ours

from fairlead.preflight.config import Config
from fairlead.preflight.facts import Facts, facts_of
from fairlead.preflight.redact import redacted
from fairlead.preflight.report import report_of, select

KEY = "-----BEGIN PRIVATE KEY-----MIIEvQIBADANBgkqhkiG9w0BAQEFAASC-----END PRIVATE KEY-----"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLW9mLXRoaXM"
SECRETS = {
    "geheim": "proxyconnect: http://bob:geheim@proxy.corp.example:3128 refused",
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC": f"could not load {KEY} today",
    "c2lnbmF0dXJl": f"refused: {JWT}",
    "dXNlcjpwYXNz": "sent Authorization: Basic dXNlcjpwYXNz",
    "hunter2": "GET /v2/?token=hunter2&x=1 gave 401",
    "hunter3": 'the answer was {"password": "hunter3"}',
    "AKZ9f3": "key AKZ9f3bQ7xLm2Pw8Rt5Yv1Nc6Hd4Js0Ug9Ke was refused",
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("anonymise", [False, True])
def test_a_planted_secret_is_not_saved(secret: str, anonymise: bool) -> None:
    text = SECRETS[secret]
    facts = facts_of(
        {
            "runtime_pull": {"n1": text, "n2": {"unknown": text}},
            "access": {"message": text},
            "nodes": [{"name": "n1", "labels": {"example.com/owner": text}, "gpu_pod_event": text}],
            "dry_run": [{"object": "node-agent pod", "message_mentions": text}],
            "cluster": {"proxy": {"https": text}},
        }
    )
    saved = redacted(facts, anonymise=anonymise)
    assert secret not in json.dumps(saved)
    assert saved["run"]["left_out"]
    facts_of(saved)


def test_only_what_the_table_lists_is_saved_and_what_was_left_out_is_named() -> None:
    facts = Facts(
        {
            "server": {"git_version": "v1.27.3", "secret": "x"},
            "environment": {"A": "b"},
            "nodes": [{"name": "n1", "labels": {"mine": "x"}}],
        }
    )
    saved = redacted(facts)
    assert "environment" not in saved
    assert saved["server"] == {"git_version": "v1.27.3"}
    assert saved["nodes"] == [{"name": "n1", "labels": {}}]
    assert saved["run"]["left_out"] == ["keys that the table of facts has not: 2", "labels that no check reads: 1"]


def test_names_are_hidden_everywhere_and_the_same_in_the_whole_file() -> None:
    facts = facts_of(
        {
            "run": {"id": "7f3a"},
            "nodes": [
                {
                    "name": "gpu-7.corp.example",
                    "labels": {"kubernetes.io/hostname": "gpu-7.corp.example"},
                    "provider_id": "azure:///subscriptions/17/gpu-7",
                }
            ],
            "probes": {
                "gpu-7.corp.example": {
                    "state": "finished",
                    "last_message": "pod on gpu-7.corp.example: pull from registry.corp.example failed",
                }
            },
            "registry": {"blob": {"location_host": "registry.corp.example"}},
            "dry_run": [
                {"object": "node-agent pod", "namespace": "fairlead"},
                {"object": "project pod", "namespace": "team-blue"},
            ],
            "oidc": {"issuer_in_document": "https://id.corp.example/realm"},
            "cluster": {"name": "berlin", "kubernetes_service_ip": "10.96.0.1"},
        }
    )
    saved = redacted(facts, anonymise=True, keep=("fairlead",))
    text = json.dumps(saved)
    for name in ("corp.example", "gpu-7", "team-blue", "berlin", "subscriptions"):
        assert name not in text
    (node,) = saved["nodes"]
    assert node["name"].startswith("node-")
    assert node["labels"]["kubernetes.io/hostname"] == node["name"]
    assert list(saved["probes"]) == [node["name"]]
    assert saved["registry"]["blob"]["location_host"] in saved["probes"][node["name"]]["last_message"]
    assert saved["dry_run"][0]["namespace"] == "fairlead"
    assert saved["oidc"]["issuer_in_document"].endswith(".example/realm")
    assert saved["cluster"]["kubernetes_service_ip"] == "10.96.0.1"
    assert redacted(facts, anonymise=True, keep=("fairlead",)) == saved


@pytest.mark.parametrize("case", ours()[::3], ids=lambda case: f"{case.code}-{case.id}")
def test_saved_facts_are_judged_as_they_were(case: Case) -> None:
    for anonymise in (False, True):
        saved = facts_of(redacted(case.facts, anonymise=anonymise, keep=(case.config.namespace,)))
        before, after = _verdicts(case.facts, case.config), _verdicts(saved, case.config)
        assert after == before, anonymise


def _verdicts(facts: Facts, config: Config) -> dict[str, Any]:
    found = {result.check.code: result.finding for result in report_of(facts, config, select()).results}
    return {
        code: (each.verdict, each.cause, sorted(n.verdict for n in each.nodes.values())) for code, each in found.items()
    }
