"""The pages answer their questions, by pointer and by keyboard, and change without a reload."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.web import sample
from tests.web.conftest import Site, a_page, shoot

from fairlead.wire.agent import Gone

pytestmark = pytest.mark.browser


def test_a_printed_link_signs_in_once_and_leaves_the_address(page: Page, site: Site) -> None:
    assert "key=" not in page.url
    other = page.context.browser.new_context().new_page() if page.context.browser else page
    other.goto(f"{site.url}/#key=used-up")
    expect(other.get_by_role("button", name="Sign in")).to_be_visible()
    other.get_by_label("Password").fill("wrong")
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("alert")).to_contain_text("user name or the password is wrong")
    other.get_by_label("Password").fill("a password for the pages")
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("heading", name="Workloads")).to_be_visible()
    other.context.close()


def test_workloads_lists_attention_first_and_its_numbers_are_the_rows_behind_them(page: Page) -> None:
    expect(page.locator(".pagehead [role=status]")).to_have_text("2 wait, 2 need a person, 5 run")
    assert page.locator(".grow").first.locator(".pill").inner_text().strip() == "Failed"
    for view, phases in (
        ("Waiting", {"Pending"}),
        ("Running", {"Running"}),
        ("Finished", {"Failed", "Completed", "Stopped"}),
    ):
        tab = page.get_by_role("tab", name=re.compile(view))
        number = int(tab.locator("b").inner_text())
        tab.click()
        expect(page.locator(".grow")).to_have_count(number)
        assert {p.strip() for p in page.locator(".grow .pill").all_inner_texts()} <= phases
    shoot(page, "finished")


def test_the_filter_narrows_the_rows_and_stays_in_the_address(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("vit")
    expect(page.locator(".grow")).to_have_count(2)
    assert "q=vit" in page.url
    page.reload()
    expect(page.locator(".grow")).to_have_count(2)


def test_the_panel_opens_by_pointer_with_phase_reason_quota_and_history(page: Page) -> None:
    page.get_by_text("sft-70b-run4").click()
    panel = page.get_by_role("complementary")
    expect(panel).to_contain_text("No node has room: needs 8 GPUs, 6 GPUs left")
    expect(panel).to_contain_text("language on default")
    expect(panel).to_contain_text("fairlead explain sft-70b-run4 -p language")
    shoot(page, "workloads")
    panel.get_by_role("tab", name="Pods").click()
    expect(panel).to_contain_text("No pods")
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)


def test_everything_on_the_way_to_a_log_can_be_done_by_keyboard_alone(page: Page) -> None:
    page.locator("body").press("j")
    page.keyboard.press("j")
    expect(page.get_by_role("complementary")).to_contain_text("asr-conformer-ft")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.get_by_role("complementary")).to_contain_text("sft-70b-run4")
    page.keyboard.press("l")
    expect(page.get_by_role("tab", name="Log")).to_have_attribute("aria-selected", "true")
    expect(page.locator(".log [role=status]")).to_contain_text("There is no log yet")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("p")
    expect(page.get_by_role("heading", name="Projects")).to_be_visible()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Find")).to_be_focused()
    page.keyboard.type("embed")
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary")).to_contain_text("embed-refresh")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("find or do anything")


def test_a_change_in_the_cluster_appears_without_a_reload(page: Page, site: Site) -> None:
    now = time.time()
    site.tell(
        sample.workload("just-now", "vision", now, phase="Running", requested_gpu_milli=1000, allocated_gpu_milli=1000)
    )
    expect(page.get_by_text("just-now")).to_be_visible()
    site.tell(sample.workload("just-now", "vision", now, phase="Completed", requested_gpu_milli=1000, completed=now))
    expect(page.locator(".grow", has_text="just-now").locator(".pill")).to_have_text("Completed")


@pytest.mark.parametrize("width", [1280, 1440])
def test_that_work_was_stopped_is_not_cut_beside_an_open_panel(browser: Browser, site: Site, width: int) -> None:
    name = f"made-room-{width}"
    said = "No node has room: needs 8 GPUs, 6 GPUs left (6 nodes)"
    site.tell(sample.workload(name, "vision", time.time(), phase="Pending", message=said, evictions=2))
    with a_page(browser, site, viewport={"width": width, "height": 900}) as page:
        page.locator(".grow", has_text=name).click()
        page.get_by_role("complementary").wait_for()
        tag = page.locator(".grow", has_text=name).locator(".tag.wait")
        shoot(page, f"stopped-{width}")
        assert tag.evaluate(
            "t => t.getBoundingClientRect().right <= t.closest('[role=gridcell]').getBoundingClientRect().right"
        )
    site.tell(gone=(Gone(row="WorkloadRow", key=name),))


def test_an_address_that_is_no_page_says_so(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/nope")
    expect(page.get_by_role("heading", name="There is no such page.")).to_be_visible()
    page.get_by_role("link", name="All workloads").click()
    expect(page.get_by_role("heading", name="Workloads")).to_be_visible()


def test_the_theme_is_kept(page: Page) -> None:
    page.get_by_role("button", name="Dark theme").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    shoot(page, "workloads-dark")
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"
