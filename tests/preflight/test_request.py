"""What to ask of a firewall: rows from the configuration, hosts that were seen, the state, as text, CSV and NetworkPolicy."""

from __future__ import annotations

import csv
from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from fairlead.preflight.config import Config, config_of
from fairlead.preflight.facts import Facts, facts_of
from fairlead.preflight.request import COLUMNS, Request, as_csv, as_network_policy, requests

CONFIG = config_of(
    {
        "proxy": {"https": "http://bob:geheim@10.9.9.9:3128", "no_proxy": "10.20.0.0/16"},
        "registry": {"host": "10.20.3.4:5000"},
        "remote_write": {"url": "https://metrics.corp.example/write"},
        "oidc": {"issuer": "https://id.corp.example"},
        "control_plane": {"url": "https://app.corp.example:8443"},
    }
)
FACTS: dict[str, Any] = {
    "nodes": [{"name": f"n{number}"} for number in range(1, 4)],
    "cluster": {"node_ips": ["10.1.4.1", "10.1.4.2"]},
    "egress": {
        "third-party-images": {
            "connect": 200,
            "hosts_seen": ["cdn01.quay.io"],
            "nodes": {"n1": {"via_proxy": 401}, "n2": {"via_proxy": 401}, "n3": {"tls": "reset"}},
        }
    },
    "registry": {"blob": {"location_host": "cdn.corp.example", "follow": "ok"}},
    "oidc": {"jwks_host": "keys.corp.example"},
}


def _by_name(facts: Facts, config: Config) -> dict[str, Request]:
    return {row.name: row for row in requests(facts, config)}


def test_rows_name_hosts_that_redirects_led_to_and_how_far_they_are_open() -> None:
    rows = _by_name(facts_of(FACTS), CONFIG)
    third = rows["third-party-images"]
    assert third.sentence() == (
        "FROM 10.1.4.1, 10.1.4.2 (3 nodes n1..n3) TO quay.io, cdn01.quay.io PORT 443/tcp NAME-BASED VIA http://10.9.9.9:3128 "
        "WHEN install and new nodes WHY third-party images STATE blocked on 1 of 3 (tls)"
    )
    assert rows["sign-in"].hosts == ("id.corp.example", "keys.corp.example")
    assert rows["control-plane"].port == 8443
    assert {row.row for row in rows.values()} == {"during installation", "after installation"}


def test_a_way_with_hosts_on_two_ports_is_two_rows_and_an_address_needs_no_proxy() -> None:
    rows = [row for row in requests(facts_of(FACTS), CONFIG) if row.name == "product-images"]
    assert [(row.hosts, row.port, row.via, row.match) for row in rows] == [
        (("10.20.3.4",), 5000, "", "address"),
        (("cdn.corp.example",), 443, "http://10.9.9.9:3128", "name"),
    ]


def test_without_facts_nothing_was_tried_and_an_air_gap_needs_nothing() -> None:
    assert {row.state for row in requests(Facts({}), CONFIG)} == {"not tried"}
    closed = _by_name(Facts({}), config_of({"air_gap": True}))
    assert closed["charts"].state == "not needed: air_gap is on"
    assert closed["metrics"].state.startswith("not needed")


def _rows(document: dict[str, Any], name: str, facts: Facts | None = None) -> list[Request]:
    return [row for row in requests(facts or Facts({}), config_of(document)) if row.name == name]


def test_each_host_goes_by_the_proxy_or_past_it() -> None:
    proxy = {"https": "http://proxy:3128", "no_proxy": ".corp.example"}
    found = _rows({"proxy": proxy, "egress": {"third_party": ["mirror.corp.example", "quay.io"]}}, "third-party-images")
    assert [(row.hosts, row.via) for row in found] == [
        (("mirror.corp.example",), ""),
        (("quay.io",), "http://proxy:3128"),
    ]


def test_hosts_that_were_seen_keep_their_ports() -> None:
    facts = facts_of(
        {
            "egress": {"third-party-images": {"hosts_seen": ["cdn.example:8443", "[fd00::1]:5000"]}},
            "registry": {"blob": {"location_host": "layers.example:444"}},
            "oidc": {"jwks_host": "keys.example:9443"},
        }
    )
    document = {"oidc": {"issuer": "https://id.example"}}
    found = {(host, row.port) for row in requests(facts, config_of(document)) for host in row.hosts}
    assert {("cdn.example", 8443), ("fd00::1", 5000), ("layers.example", 444), ("keys.example", 9443)} <= found


def test_without_a_way_out_nodes_still_need_the_own_registry() -> None:
    air = {"air_gap": True, "registry": {"host": "registry.corp.example:5000/fairlead"}}
    (row,) = _rows(air, "product-images", facts_of({"nodes": [{"name": "n1"}], "runtime_pull": {"n1": "i/o timeout"}}))
    assert (row.hosts, row.port, row.state) == (("registry.corp.example",), 5000, "blocked on 1 of 1 (tcp)")
    assert _rows(air, "product-images")[0].state == "not tried"
    assert _rows(air, "third-party-images")[0].state == "not needed: air_gap is on"
    local = {"registry": {"local_images": True}}
    assert _rows(local, "product-images")[0].state.startswith("not needed: registry.local_images")


def test_a_mirror_stands_in_place_of_what_it_copies() -> None:
    document = {"registry": {"host": "gcr.io/run-ai-prod", "mirrors": ["mirror.corp.example/copies"]}}
    for name in ("product-images", "third-party-images"):
        assert [row.hosts for row in _rows(document, name)] == [("mirror.corp.example",)]
    assert _rows({"registry": {"host": "gcr.io/run-ai-prod"}}, "product-images")[0].hosts == ("gcr.io",)


def test_docker_hub_is_the_hosts_that_are_really_asked() -> None:
    hub = ("registry-1.docker.io", "auth.docker.io", "production.cloudflare.docker.com")
    for named in ("docker.io", "docker.io/team", "hub.docker.com", "registry-1.docker.io"):
        assert _rows({"registry": {"host": named}}, "product-images")[0].hosts == hub


def test_browsers_are_not_in_the_range_of_the_nodes() -> None:
    document = {"egress": {"nodes": "10.1.4.0/24"}, "oidc": {"issuer": "https://id.example"}}
    assert _rows(document, "control-plane")[0].origin == (
        "10.1.4.0/24 (system nodes), and the browsers of users, from where they are"
    )
    assert _rows(document, "sign-in")[0].origin == "the control plane, and the browsers of users, from where they are"
    served = _rows({**document, "control_plane": {"server_secret": "server"}}, "sign-in")
    assert served[0].origin.startswith("10.1.4.0/24 (the control plane), and")


def test_of_many_nodes_it_is_said_that_there_are_more() -> None:
    many = facts_of({"cluster": {"node_ips": [f"10.1.4.{number}" for number in range(1, 41)]}})
    assert _rows({}, "product-images", many)[0].origin.startswith(
        "10.1.4.1, 10.1.4.2, 10.1.4.3, 10.1.4.4 and 36 more ("
    )


def test_a_server_that_answers_with_an_error_is_not_blocked() -> None:
    facts = facts_of({"egress": {"product-images": {"tcp": "ok", "direct": 500}}})
    assert _rows({}, "product-images", facts)[0].state == "open, and the server answers with an error"


def test_csv_has_a_column_for_each_part_and_no_password_is_told() -> None:
    text = as_csv(requests(facts_of(FACTS), CONFIG))
    rows = list(csv.reader(StringIO(text)))
    assert rows[0] == list(COLUMNS)
    assert len(rows) == 8
    assert "geheim" not in text
    assert "geheim" not in as_network_policy(requests(facts_of(FACTS), CONFIG), CONFIG)


def test_the_network_policy_is_one_and_lets_out_the_proxy_and_addresses() -> None:
    policy = YAML(typ="safe").load(as_network_policy(requests(Facts({}), CONFIG), CONFIG))
    assert (policy["kind"], policy["metadata"]["namespace"], policy["spec"]["policyTypes"]) == (
        "NetworkPolicy",
        "fairlead",
        ["Egress"],
    )
    assert {"to": [{"ipBlock": {"cidr": "10.9.9.9/32"}}], "ports": [{"protocol": "TCP", "port": 3128}]} in policy[
        "spec"
    ]["egress"]
    assert {"to": [{"ipBlock": {"cidr": "10.20.3.4/32"}}], "ports": [{"protocol": "TCP", "port": 5000}]} in policy[
        "spec"
    ]["egress"]
    named = YAML(typ="safe").load(as_network_policy(requests(Facts({}), Config()), Config()))
    assert {"ports": [{"protocol": "TCP", "port": 443}]} in named["spec"]["egress"]


def _allowed(facts: Facts) -> list[Any]:
    policy = YAML(typ="safe").load(as_network_policy(requests(facts, CONFIG), CONFIG, facts))
    return list(policy["spec"]["egress"])


def test_the_network_policy_lets_pods_reach_the_api_server() -> None:
    facts = facts_of(
        {"cluster": {"kubernetes_service_ip": "10.96.0.1", "api_endpoints": ["10.1.4.1:6443", "[fd00::1]:6443"]}}
    )
    assert {
        "to": [{"ipBlock": {"cidr": "10.1.4.1/32"}}, {"ipBlock": {"cidr": "fd00::1/128"}}],
        "ports": [{"protocol": "TCP", "port": 6443}],
    } in _allowed(facts)
    assert {
        "to": [{"ipBlock": {"cidr": "10.96.0.1/32"}}],
        "ports": [{"protocol": "TCP", "port": 443}],
    } in _allowed(facts)
    either = {"ports": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 6443}]}
    assert either in _allowed(Facts({}))
    assert either not in _allowed(facts)
