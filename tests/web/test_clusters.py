"""The clusters page: what a cluster lacks and since when, what to do, what is new, and what each finding means."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, expect
from tests.web.conftest import Site, shoot

from fairlead.wire.agent import ClusterCondition, ClusterFinding, ClusterHealth

pytestmark = pytest.mark.browser


def _health(now: float) -> ClusterHealth:
    return ClusterHealth(
        conditions=(
            ClusterCondition(
                type="Prerequisites",
                status="False",
                reason="GpuDriver",
                message="gpu-driver: h100-04: no driver is loaded",
                since=now - 7200,
            ),
            ClusterCondition(
                type="ServicesReady",
                status="False",
                reason="FairleadNode",
                message="fairlead-node: ready on 5 of 6 nodes",
                since=now - 3600,
            ),
        ),
        findings=(
            ClusterFinding(
                code="gpu-driver",
                verdict="fail",
                counts="fail",
                seen="h100-04: no driver is loaded",
                remedy="Install the driver on h100-04: nvidia-smi must answer there",
                nodes=("h100-04",),
                since=now - 7200,
            ),
            ClusterFinding(
                code="system-nodes",
                verdict="fail",
                counts="warn",
                seen="no node has the label node-role.kubernetes.io/fairlead-system",
                accepted="two nodes come in March",
                since=now - 90_000,
            ),
        ),
        checked=now - 7200,
        news=("gpu-driver on h100-04: fail, was unknown",),
        news_since=now - 93_600,
    )


def test_a_cluster_says_what_it_lacks_and_each_finding_what_it_means(page: Page, site: Site) -> None:
    page.get_by_role("link", name="Clusters").click()
    card = page.get_by_role("region", name="Cluster north-1")
    site.tell(health=ClusterHealth())  # others have used the site for minutes
    expect(card).to_contain_text("Connected")
    site.tell(health=_health(time.time()))
    expect(card).to_contain_text("Missing prerequisites")
    expect(page.locator(".pagehead [role=status]")).to_have_text("1 cluster needs somebody.")
    expect(card).to_contain_text("for 2 h")
    expect(card).to_contain_text("fairlead-node: ready on 5 of 6 nodes")
    found = card.get_by_role("list", name="What its checks found").get_by_role("listitem")
    expect(found).to_have_count(2)
    expect(found.first).to_contain_text("Install the driver on h100-04")
    expect(found.last).to_contain_text("Accepted: two nodes come in March")
    expect(card.get_by_role("list", name="What is new")).to_contain_text("gpu-driver on h100-04: fail, was unknown")
    shoot(page, "clusters")
    found.first.get_by_role("link", name="NVIDIA driver").click()
    expect(page.get_by_role("heading", name="NVIDIA driver")).to_be_visible()
    expect(page.get_by_role("region", name="What it means")).to_contain_text("no-driver")
    shoot(page, "finding")
    page.get_by_role("link", name="All clusters").click()
    site.tell(health=ClusterHealth())
    expect(card).to_contain_text("Connected")
    expect(page.locator(".pagehead [role=status]")).to_have_text("The cluster is connected and has what it needs.")
