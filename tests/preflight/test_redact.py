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
    "hunter4": "the password is hunter4",
    "hunter5": "ran: mount --password hunter5 //server",
    "hunter6": "X-API-Key=hunter6",
    "hunter7": "its api key: hunter7",
    "Zm9vYmFy": "token sha256~Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4",
    "AKIAIOSF": "signed by AKIAIOSFODNN7EXAMPLE",
    "glpat-x1": "pull as glpat-x1y2z3x1y2z3x1y2z3x1",
    "hf_aBcDe": "hf_aBcDeFgHiJkLmNoPqRsTuVwXyZ was refused",
    "0f1e2d3c": "key " + "0f1e2d3c" * 8,
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


@pytest.mark.parametrize("case", ours(), ids=lambda case: f"{case.code}-{case.id}")
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


@pytest.mark.parametrize(
    "text",
    [
        "the token is missing",
        "token is not valid, the password was refused",
        "localhost/fairlead@sha256:" + "0f1e2d3c" * 8,
        'secrets "pull" is forbidden: User "u" cannot get resource "secrets" in API group ""',
        "pod 7b6a1f0e-5b7c-4a53-9d43-0d8f5a3a9e11 was not started",
    ],
)
def test_sentences_about_secrets_stay_as_they_are(text: str) -> None:
    saved = redacted(facts_of({"access": {"message": text}}))
    assert saved["access"]["message"] == text
    assert saved["run"]["left_out"] == []


def test_values_of_taints_are_hidden_as_tolerations_and_messages_repeat_them() -> None:
    taints = [
        {"key": "dedicated", "value": "blue-lab", "effect": "NoSchedule"},
        {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"},
    ]
    operator = {"daemonsets": [{"name": "plugin", "tolerations": ["dedicated=blue-lab:NoSchedule"]}]}
    document = {"nodes": [{"name": "n-1", "taints": taints}], "gpu_operator": operator}
    saved = redacted(facts_of(document), anonymise=True)
    assert "blue-lab" not in json.dumps(saved)
    first, second = saved["nodes"][0]["taints"]
    assert saved["gpu_operator"]["daemonsets"][0]["tolerations"] == [f"dedicated={first['value']}:NoSchedule"]
    assert second["value"] == "present"


def test_names_that_only_a_message_or_a_label_tells_are_hidden_too() -> None:
    said = (
        'User "bob@corp.example" cannot; dial tcp: lookup db.corp.example on 10.0.0.10:53; '
        "Get https://git.corp.example/x: refused; cache.corp.example:443 and nvidia.com/gpu on gpu-7"
    )
    node = {"name": "gpu-7.corp.example", "labels": {"kubernetes.io/hostname": "gpu-7"}}
    saved = redacted(facts_of({"nodes": [node], "access": {"message": said}}), anonymise=True)
    text = json.dumps({key: saved[key] for key in ("nodes", "access")})
    assert "corp" not in text
    assert "bob" not in text
    assert "gpu-7" not in text
    assert ("10.0.0.10:53" in text, "nvidia.com/gpu" in text) == (True, True)
