"""Names in pods of a real cluster with a real CoreDNS: resolved, caught by a wildcard in a search domain, and nobody there to ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.parts.build import Unavailable
from tests.parts.cluster.cluster import Cluster
from tests.parts.cluster.machines import Service
from tests.parts.cluster.names import OUTSIDE, SERVICE, WILDCARD, cluster_names, search
from tests.realcluster.test_preflight import LOCAL, Preflight, by_node, check, loaded, preflight

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(900)]

ONLY = ("--only", "dns,node-connectivity")
CONFIG: dict[str, Any] = {
    **LOCAL,
    "egress": {"charts": f"charts.{OUTSIDE}", "third_party": []},
    "control_plane": {"url": f"https://app.{OUTSIDE}"},
}


@pytest.fixture(scope="module")
def coredns(real_cluster: Cluster) -> Iterator[Service]:
    """It runs, and pods ask it."""
    try:
        with cluster_names(real_cluster) as running:
            yield running
    except Unavailable as reason:
        pytest.skip(str(reason))


def test_names_are_resolved_and_a_wildcard_that_catches_them_is_told_of_its_node(
    preflight: Preflight, coredns: Service, real_cluster: Cluster
) -> None:
    file = preflight.folder / "facts.yaml"
    search(real_cluster.nodes["node-2"], WILDCARD)
    try:
        report = preflight.report(CONFIG, *ONLY, "--save-facts", str(file))
    finally:
        search(real_cluster.nodes["node-2"])
    assert by_node(report, "dns") == {"node-1": "pass", "node-2": "warn"}, check(report, "dns")["nodes"]
    assert check(report, "dns")["class"] == "wildcard"
    assert f"app.{OUTSIDE}" in check(report, "dns")["seen"]
    assert WILDCARD in check(report, "dns")["remedy"] + check(report, "dns")["seen"]
    facts = YAML(typ="safe", pure=True).load(file.read_text())
    one, two = (facts["dns"][node] for node in ("node-1", "node-2"))
    assert (one["cluster_name"], one["nameservers"], one["ndots"]) == ("ok", [SERVICE], 5)
    assert one["hosts"][f"app.{OUTSIDE}"] == {"plain": "ok", "with_dot": "ok", "same": True}
    assert two["hosts"][f"app.{OUTSIDE}"] == {"plain": "ok", "with_dot": "ok", "same": False}
    assert [facts["connectivity"][a][b]["by_service"] for a, b in (("node-1", "node-2"), ("node-2", "node-1"))] == [
        "ok",
        "ok",
    ], "probes reach each other by names of the cluster"


def test_a_name_server_that_is_gone_is_told_as_names_of_the_cluster(preflight: Preflight, coredns: Service) -> None:
    coredns.kill()
    try:
        report = preflight.report(CONFIG, *ONLY)
    finally:
        coredns.start()
    assert by_node(report, "dns") == {"node-1": "fail", "node-2": "fail"}
    assert check(report, "dns")["class"] == "cluster-name"
    assert check(report, "node-connectivity")["verdict"] == "pass", "a name that is not known says nothing of the way"


__all__ = ["loaded", "preflight"]
