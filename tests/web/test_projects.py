"""The projects page: who uses which quota, who borrows, who is owed, who waits on whom; one project in the panel."""

from __future__ import annotations

import re
import time

import pytest
from msgspec.structs import replace
from playwright.sync_api import Page, expect
from tests.web import sample
from tests.web.conftest import Site, shoot

from fairlead.wire.agent import Gone, QueueRow, ReasonText

pytestmark = pytest.mark.browser
HEAD = ["Project", "Used", "Quota", "Fair", "Limit", "Waits", "State"]


def _queue(name: str) -> QueueRow:
    return next(r for r in sample.rows(0.0) if isinstance(r, QueueRow) and r.name == name)


def _table(page: Page) -> dict[str, list[str]]:
    """Figures and state of each line by its name."""
    found = {}
    for row in page.get_by_role("table", name=re.compile("^Projects of")).get_by_role("row").all()[1:]:
        name, _bar, *figures = (cell.strip() for cell in row.get_by_role("cell").all_inner_texts())
        found[name] = figures
    return found


def test_projects_says_who_borrows_and_who_is_owed_and_its_sums_add_up(page: Page) -> None:
    page.get_by_role("link", name="Projects").click()
    expect(page.locator(".pagehead [role=status]")).to_have_text("vision borrows 2; language is owed 15, search 1")
    head = [h.split("\n")[0] for h in page.get_by_role("columnheader").all_inner_texts()]
    assert [h for h in head[:8] if h in HEAD] == HEAD
    found = _table(page)
    assert found == {
        "default": ["20.75", "unlimited", "40", "none", "26", "–"],
        "language": ["9", "24", "24", "none", "17", "15 owed"],
        "search": ["5.25", "8", "8", "none", "1", "1 owed"],
        "speech": ["0.5", "4", "4", "none", "–", "3.5 spare"],
        "vision": ["6", "4", "8", "8", "8", "2 borrowed"],
        "Pool default": ["20.75", "40", "44", "48", "26", "18.25 free"],
    }
    bar = page.get_by_role("img", name=re.compile("^vision:"))
    expect(bar).to_have_attribute("aria-label", "vision: 6 used · 8 waiting · quota 4 · fair share 8 · limit 8")
    page.get_by_role("button", name="default").click()
    expect(page.get_by_role("link", name="language", exact=True).first).to_have_count(0)
    shoot(page, "projects-folded")


def test_every_waiting_workload_of_a_pool_says_on_whom_it_waits(page: Page, site: Site) -> None:
    over = ReasonText(code="over-limit", message="Over the limit of vision: it would use 14 GPUs, the limit is 8 GPUs")
    asks = sample.workload(
        "vit-wide", "vision", time.time(), phase="Pending", reasons=(over,), requested_gpu_milli=8000
    )
    site.tell(asks)
    page.get_by_role("link", name="Projects").click()
    waits = page.get_by_role("region", name="Who waits in default")
    row = waits.get_by_role("row").filter(has_text="vit-wide")
    row.wait_for()
    assert row.get_by_role("cell").all_inner_texts()[1:4] == ["vision", "8", "its own project: limit 8"]
    row = waits.get_by_role("row").filter(has_text="sft-70b-run4")
    said = "No node has room: needs 8 GPUs, 6 GPUs left (6 nodes); vision borrows 2"
    assert row.get_by_role("cell").all_inner_texts()[1:4] == ["language", "16", said]
    shoot(page, "projects")
    row.get_by_role("link").click()
    expect(page.get_by_role("complementary")).to_contain_text("sft-70b-run4")
    site.tell(gone=(Gone(row="WorkloadRow", key="vit-wide"),))


def test_a_project_opens_beside_the_list_and_leads_to_its_workloads(page: Page) -> None:
    page.get_by_role("link", name="Projects").click()
    page.get_by_role("link", name="vision", exact=True).click()
    panel = page.get_by_role("complementary", name="Project vision")
    expect(panel).to_contain_text("Uses 6 GPUs: 4 of its own and 2 borrowed.")
    expect(panel).to_contain_text("language is owed 15, search 1; what is borrowed may be taken back for that.")
    expect(panel).to_contain_text("6 used · 8 waiting · quota 4 · fair share 8 · limit 8")
    expect(panel.get_by_role("link", name="vit-sweep-12")).to_be_visible()
    expect(panel.get_by_role("link", name="vit-sweep-13")).to_be_visible()
    expect(panel).to_contain_text("fairlead list -p vision")
    shoot(page, "project")
    page.reload()
    expect(panel).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    page.get_by_role("link", name="vision", exact=True).press("Enter")
    panel.get_by_role("link", name="Its workloads").click()
    expect(page.locator(".grow")).not_to_have_count(0)
    assert {p.strip() for p in page.locator(".grow span[role=gridcell]:nth-child(4)").all_inner_texts()} == {"vision"}


def test_a_project_that_is_not_there_says_so(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/projects?p=nobody")
    expect(page.get_by_role("complementary")).to_contain_text("There is no project nobody, or you may not see it.")


def test_a_project_whose_work_is_over_its_limit_is_not_said_to_be_owed(page: Page, site: Site) -> None:
    queue = _queue("speech")
    over = ReasonText(code="over-limit", message="Over the limit of speech: it would use 5 GPUs, the limit is 4 GPUs")
    asks = sample.workload("asr-wide", "speech", time.time(), phase="Pending", message=over.message, reasons=(over,))
    page.get_by_role("link", name="Projects").click()
    site.tell(replace(queue, requested=(5_000, 0, 0)), replace(asks, requested_gpu_milli=4500))
    expect(page.get_by_role("img", name=re.compile("^speech:"))).to_have_attribute("aria-label", re.compile("waiting"))
    expect(page.locator(".pagehead [role=status]")).not_to_contain_text("speech")
    assert _table(page)["speech"][-1] == "3.5 below"
    held = ReasonText(code="no-room", message="No node has room")
    site.tell(replace(asks, reasons=(held,), message=held.message))
    expect(page.locator(".pagehead [role=status]")).to_contain_text("speech 3.5")
    site.tell(queue, gone=(Gone(row="WorkloadRow", key="asr-wide"),))


def test_one_pool_can_be_chosen_and_stays_in_the_address(page: Page, site: Site) -> None:
    queue = _queue("speech")
    page.get_by_role("link", name="Projects").click()
    expect(page.get_by_role("group", name="Node pool")).to_have_count(0)
    site.tell(replace(queue, pool="a100", allocated=(0, 0, 0), requested=(0, 0, 0)))
    page.get_by_role("group", name="Node pool").get_by_role("button", name="a100").click()
    expect(page.get_by_role("region", name="Node pool default")).to_have_count(0)
    expect(page.get_by_role("region", name="Node pool a100")).to_contain_text("speech")
    assert "pool=a100" in page.url
    site.tell(gone=(Gone(row="QueueRow", key=replace(queue, pool="a100").key),))
