"""The values of the chart that a configuration comes to: what `fairlead config explain` says of each key, and that the chart takes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from fairlead.install.values import as_used, is_openshift, not_used, recorded, values_of
from fairlead.preflight.config import PROMETHEUS_TAG, Config, config_keys, config_of, images_inside
from fairlead.preflight.facts import Facts
from fairlead.runtime.errors import Invalid

CHART = Path(__file__).parents[2] / "deploy" / "chart"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())

WHOLE: dict[str, Any] = {
    "production": True,
    "ca_bundle": "/ca.pem",
    "openshift": "on",
    "create_namespaces": False,
    "podSecurityPolicy": "off",
    "queue_definitions": "adopt",
    "control_plane": {
        "url": "https://fairlead.example.com",
        "cluster": "7d9c",
        "token_secret": "agent",
        "server_secret": "server",
    },
    "registry": {
        "host": "registry.example.com:5000",
        "mirrors": ["mirror.example.com"],
        "pull_secret": "pull",
        "local_images": True,
    },
    "images": {"tag": "1.2.3", "digest": "sha256:" + "0" * 64},
    "proxy": {"https": "http://proxy.example.com:3128", "no_proxy": "corp.example", "credentials_secret": "agent"},
    "system_nodes": {"label": "example.com/system"},
    "prometheus": {"mode": "operator", "labels": {"release": "kps"}, "namespace": "monitoring"},
    "remote_write": {"url": "https://metrics.example.com/api/v1/write", "token_secret": "metrics"},
    "storage": {"class": "fast"},
    "oidc": {"issuer": "https://id.example.com", "client_id": "fairlead", "client_secret": "oidc"},
    "ingress": {"host": "fairlead.example.com", "class": "nginx", "tls_secret": "tls", "service": "NodePort"},
}
INSIDE = Facts(
    {
        "cluster": {
            "kubernetes_service_ip": "10.96.0.1",
            "service_cidr": "10.96.0.0/12",
            "pod_cidrs": ["10.244.0.0/24"],
            "node_ips": ["192.0.2.7"],
        }
    }
)


def _at(values: dict[str, Any], path: str) -> Any:
    found: Any = values
    for step in path.split("."):
        found = found[step]
    return found


def test_every_value_that_a_key_is_said_to_set_is_set_by_it() -> None:
    theirs = values_of(config_of(WHOLE), INSIDE, ca="PEM")
    bundled = values_of(config_of({**WHOLE, "prometheus": {"mode": "bundled"}}), INSIDE, ca="PEM")
    plain = values_of(Config(), Facts({}))
    for key in config_keys():
        if key.value:
            told = _at(bundled if key.value.startswith("remoteWrite.") else theirs, key.value)
            assert told not in ("", None, [], {}), key.path
            try:
                assert told != _at(plain, key.value), f"{key.path} changes nothing"
            except KeyError:
                continue  # a section that is left out without it


def test_a_prometheus_that_is_not_the_charts_is_not_told_where_to_write() -> None:
    assert values_of(config_of(WHOLE), INSIDE)["remoteWrite"] == {}, "the chart would refuse it"


@pytest.mark.parametrize("document", [{}, WHOLE])
def test_the_chart_takes_them(document: dict[str, Any]) -> None:
    jsonschema.validate(values_of(config_of(document), INSIDE, ca="PEM"), SCHEMA)


def test_what_is_inside_the_cluster_is_not_sent_through_the_proxy() -> None:
    excepted = values_of(config_of(WHOLE), INSIDE)["agent"]["noProxy"].split(",")
    assert {"corp.example", "10.96.0.1", "10.96.0.0/12", "10.244.0.0/24", "192.0.2.7"} <= set(excepted)


def test_a_cluster_without_an_id_is_connected_to_nothing() -> None:
    assert values_of(config_of({"control_plane": {"url": "https://fairlead.example.com"}}), Facts({}))["agent"] == {}


@pytest.mark.parametrize(
    ("plane", "proxy", "sentence"),
    [
        ({"cluster": "c"}, {}, "token_secret is not"),
        ({"cluster": "c", "token_secret": "a"}, {"credentials_secret": "b"}, "another Secret than"),
    ],
)
def test_secrets_that_do_not_fit_together_are_refused(
    plane: dict[str, str], proxy: dict[str, str], sentence: str
) -> None:
    with pytest.raises(Invalid, match=sentence):
        values_of(config_of({"control_plane": plane, "proxy": proxy}), Facts({}))


@pytest.mark.parametrize(
    ("said", "found", "expected"),
    [
        ("auto", "found", True),
        ("auto", "not_found", False),
        ("auto", "forbidden", False),
        ("on", "not_found", True),
        (False, "found", False),
    ],
)
def test_openshift_is_known_by_its_object_or_by_what_is_said(said: Any, found: str, expected: bool) -> None:
    facts = Facts({"openshift": {"cluster_version_object": found}, "api_groups": ["config.openshift.io"]})
    assert is_openshift(config_of({"openshift": said}), facts) is expected


def test_the_runtime_class_that_a_pod_needed_for_its_gpu_is_the_agents_and_that_of_peoples_pods() -> None:
    def node(runtime_class: str | None) -> Facts:
        return Facts({"nodes": [{"name": "g1", "gpu_pod": {"ran": True, "runtime_class": runtime_class}}]})

    assert values_of(Config(), node("nvidia"))["node"]["runtimeClassName"] == "nvidia"
    assert values_of(Config(), node("nvidia"))["gpu"] == {"runtimeClass": "nvidia"}
    assert "runtimeClassName" not in values_of(Config(), node(None))["node"]
    assert values_of(Config(), node(None))["gpu"] == {}


@pytest.mark.parametrize("said", ["", "coexist", "stop"])
def test_pods_of_other_schedulers_are_placed_where_their_work_is_taken_over_alone(said: str) -> None:
    assert "schedulerNames" not in values_of(config_of({"queue_definitions": said}), INSIDE)
    adopted = values_of(config_of({"queue_definitions": "adopt"}), INSIDE)["schedulerNames"]
    assert adopted == ["fairlead", "kai-scheduler", "runai-scheduler"]


def test_what_is_kept_in_the_cluster_is_what_was_chosen_and_every_risk_taken() -> None:
    config = config_of({"ca_bundle": "/here/ca.pem", "production": True, "accept": {"dns": "no names here"}})
    kept = recorded(config, {"system-nodes": "one node until March"})
    assert kept == {
        "production": True,
        "accept": {"dns": "no names here", "system-nodes": "one node until March"},
    }
    assert config_of(kept).accept == kept["accept"]


def test_images_are_named_in_the_mirror_that_holds_copies() -> None:
    registry = {"host": "gcr.io/run-ai-prod", "mirrors": ["mirror.corp.example/copies", "other.corp.example"]}
    values = values_of(config_of({"registry": registry}), INSIDE)
    assert values["image"]["repository"] == "mirror.corp.example/copies/fairlead"
    assert values["prometheus"]["image"]["repository"] == "mirror.corp.example/copies/prometheus"
    assert images_inside(config_of({"registry": registry}))[0].startswith("mirror.corp.example/copies/fairlead:")


@pytest.mark.parametrize(
    ("chart", "place"),
    [("", ""), ("./fairlead.tgz", ""), ("oci://ghcr.io/fairlead/chart", "oci://ghcr.io/fairlead/chart")],
)
def test_what_is_judged_is_the_chart_that_is_used(chart: str, place: str) -> None:
    used = as_used(config_of({"control_plane": {"cluster": "c"}}), chart)
    assert used.egress.charts == place
    assert set(not_used(used)) == (set() if place else {"egress-charts"})


def test_without_a_cluster_id_no_control_plane_is_needed() -> None:
    assert set(not_used(Config())) == {"egress-control-plane", "control-plane"}
    assert "control_plane.cluster is not set" in not_used(Config())["control-plane"]
    assert not_used(config_of({"control_plane": {"url": ""}})) == {}, "its own check says so"


@pytest.mark.parametrize("key", ["https", "http"])
def test_the_password_of_a_proxy_is_neither_kept_nor_put_into_values(key: str) -> None:
    proxy = {key: "http://bob:geh@im@proxy.example.com:3128"}
    kept = recorded(config_of({"proxy": proxy}), {})
    assert kept["proxy"] == {key: "http://proxy.example.com:3128"}
    with pytest.raises(Invalid) as refused:
        values_of(config_of({"proxy": proxy}), INSIDE)
    assert "geh" not in f"{refused.value} {refused.value.hint}"
    assert "proxy.credentials_secret" in refused.value.hint
    there = values_of(config_of({**WHOLE, "proxy": {**proxy, "credentials_secret": "agent"}}), INSIDE)
    assert "geh" not in json.dumps(there)
    assert there["agent"]["proxy"] == "http://proxy.example.com:3128"


@pytest.mark.parametrize(
    ("section", "key", "secret"),
    [
        ("control_plane", "url", "control_plane.token_secret"),
        ("prometheus", "url", "prometheus.token_secret"),
        ("remote_write", "url", "remote_write.token_secret"),
        ("oidc", "issuer", "oidc.client_secret"),
        ("registry", "host", "registry.pull_secret"),
    ],
)
def test_an_address_with_a_password_is_refused_with_the_secret_to_use(section: str, key: str, secret: str) -> None:
    for user in ("bob:geheim", "geheim"):
        address = f"{user}@host.example" if section == "registry" else f"https://{user}@host.example/a@b"
        with pytest.raises(Invalid) as refused:
            config_of({section: {key: address}})
        assert f"{section}.{key}" in str(refused.value)
        assert secret in refused.value.hint
        assert "geheim" not in f"{refused.value} {refused.value.hint}"
    with pytest.raises(Invalid) as refused:
        config_of({"proxy": {"https": "http://bob:geh/eim@proxy.example.com:3128"}})
    assert "eim" not in f"{refused.value} {refused.value.hint}"
    assert config_of({"remote_write": {"url": "https://host.example/a@b"}}).remote_write.url.endswith("a@b")


def test_the_image_of_prometheus_that_nodes_must_have_is_that_of_the_chart() -> None:
    values = YAML(typ="safe", pure=True).load((CHART / "values.yaml").read_text())
    assert values["prometheus"]["image"]["tag"] == PROMETHEUS_TAG
    assert values_of(config_of({"prometheus": {"mode": "none"}}), INSIDE)["prometheus"] == {"enabled": False}
