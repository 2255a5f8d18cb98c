"""What the pages say of memory of a GPU, of simulated GPUs and of work that is tried again; and that a phone shows it whole."""

from __future__ import annotations

import time

import pytest
from msgspec.structs import replace
from playwright.sync_api import Page, expect
from tests.web import sample
from tests.web.conftest import Site, shoot

from fairlead.wire.agent import QueueRow

pytestmark = pytest.mark.browser


def test_memory_of_a_gpu_is_shown_as_asked_and_the_part_that_is_held(page: Page, site: Site) -> None:
    row = sample.workload("by-memory", "vision", time.time(), phase="Running", running_pods=1, nodes=("h100-02",))
    site.tell(replace(row, requested_gpu_memory_mib=19073, allocated_gpu_milli=240, simulated=True))
    expect(page.locator(".grow", has_text="by-memory")).to_contain_text("0.24/20 GB")
    expect(page.locator(".grow", has_text="by-memory")).to_contain_text("simulated")
    page.get_by_text("by-memory").click()
    panel = page.get_by_role("complementary")
    expect(panel).to_contain_text("20 GB of GPU memory")
    expect(panel).to_contain_text("0.24 of a GPU")
    shoot(page, "by-memory")


def test_work_that_backs_off_says_until_when_and_asks_the_scheduler_nothing(page: Page, site: Site) -> None:
    said = "Backing off, next try at 10:00:00 UTC. Failed 2 times: exit code 3"
    row = sample.workload("tried-again", "vision", time.time(), phase="Pending", message=said, started=time.time() - 60)
    site.tell(replace(row, next_try=time.time() + 20, requested_gpu_milli=1000))
    page.get_by_text("tried-again").click()
    panel = page.get_by_role("complementary")
    expect(panel).to_contain_text(said)
    expect(panel.get_by_role("button", name="Why, and what would start it")).to_have_count(0)
    expect(panel).not_to_contain_text("Runs for")


def test_projects_say_that_the_gpus_are_simulated(page: Page, site: Site) -> None:
    queues = [r for r in sample.rows(time.time()) if isinstance(r, QueueRow)]
    page.get_by_role("link", name="Projects").click()
    head = page.locator(".pagehead")
    expect(head).not_to_contain_text("simulated")
    site.tell(*(replace(q, simulated=True) for q in queues))
    expect(head).to_contain_text("simulated")
    site.tell(*queues)


def test_a_phone_shows_each_page_without_moving_sideways_and_its_bar_in_one_line(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for name in ("Projects", "Nodes", "Workloads"):
        page.get_by_role("button", name="Pages").click()
        page.get_by_role("dialog").get_by_role("link", name=name).click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        for part in page.locator(".top > *:visible").all():
            box = part.bounding_box()
            assert box is not None
            assert box["height"] <= 44, part.inner_text()
            assert box["x"] + box["width"] <= 390
        shoot(page, f"phone-{name.lower()}")
