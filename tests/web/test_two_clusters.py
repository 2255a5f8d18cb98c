"""Two clusters with projects, pools and nodes of the same names: each is shown by itself, under the name that commands take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.web import sample
from tests.web.conftest import Site, a_page, a_site, shoot

from fairlead.server.auth.permissions import administrator
from fairlead.server.services import clusters, organisation
from fairlead.server.services.context import Context
from fairlead.server.services.feed import publish_cluster
from fairlead.wire.agent import NodeRow, QueueRow
from fairlead.wire.rest.organisation import ProjectCreate

pytestmark = pytest.mark.browser


async def _another(context: Context) -> str:
    root = administrator("test")
    cluster, _ = await clusters.create_cluster(context, root, "south-2")
    await organisation.create_project(context, root, ProjectCreate(name="vision", cluster_id=cluster.id, resources=[]))
    return cluster.id


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(tmp_path_factory.mktemp("two")) as found:
        found.tell(*sample.rows(time.time()), full=True)
        yield found


@pytest.fixture(scope="module")
def two(browser: Browser, site: Site) -> Iterator[Page]:
    """The pages, opened while there was one cluster; the second came then."""
    with a_page(browser, site) as page:
        expect(page.get_by_text("vision").first).to_be_visible()
        expect(page.get_by_text("north-1/vision")).to_have_count(0)
        another = asyncio.run_coroutine_threadsafe(_another(site.context), site.loop).result(20)
        south = replace(site, cluster_id=another)
        rows = sample.rows(time.time())
        queues = [r for r in rows if isinstance(r, QueueRow) and r.name in ("vision", "default")]
        nodes = [r for r in rows if isinstance(r, NodeRow) and r.name == "h100-00"]
        asks = sample.workload("far-away", "vision", time.time(), id="far", phase="Running", nodes=("h100-00",))
        south.tell(*queues, *nodes, asks, full=True)
        asyncio.run_coroutine_threadsafe(publish_cluster(site.context, another), site.loop).result(20)
        yield page


def test_the_bar_counts_them(two: Page) -> None:
    expect(two.locator(".where")).to_have_text("2 clusters")


def test_projects_are_those_of_their_cluster(two: Page) -> None:
    two.get_by_role("link", name="Projects").click()
    for pool, used in (("north-1/default", "20.75"), ("south-2/default", "6")):
        table = two.get_by_role("table", name=f"Projects of the pool {pool}")
        total = table.get_by_role("row").filter(has_text=f"Pool {pool}").get_by_role("cell")
        expect(total.nth(2)).to_have_text(used)
    shoot(two, "projects-two-clusters")
    expect(two.get_by_role("link", name="south-2/vision", exact=True)).to_have_count(1)


def test_a_project_has_the_work_of_its_cluster_alone(two: Page) -> None:
    two.get_by_role("link", name="south-2/vision", exact=True).click()
    panel = two.get_by_role("complementary", name="Project south-2/vision")
    expect(panel).to_be_visible()
    panel.get_by_role("link", name="Its workloads").click()
    expect(two.get_by_text("far-away").first).to_be_visible()
    expect(two.get_by_text("vit-sweep-12")).to_have_count(0)


def test_nodes_of_one_name_are_two(two: Page) -> None:
    two.get_by_role("link", name="Nodes").click()
    for name in ("north-1/h100-00", "south-2/h100-00"):
        expect(two.get_by_text(name, exact=True).first).to_be_visible()
    shoot(two, "nodes-two-clusters")
