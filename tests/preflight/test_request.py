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
