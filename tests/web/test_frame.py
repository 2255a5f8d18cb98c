"""What stays when the server is away, and that the side panel and a phone show everything whole."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser, Page, Route, expect
from tests.web import sample
from tests.web.conftest import Site, a_page, shoot

from fairlead.wire.agent import NodeRow

pytestmark = pytest.mark.browser
NAMES = "search-index-0 search-index-1 search-index-2 search-index-3 vit-sweep-12-0 det-coco-lora-0 pretrain-1b-abl-0"
FIRST = "No node has room: needs 8 GPUs, 6 GPUs left (6 nodes)"
ANSWER = {
    "result": "waits",
    "place": 1,
    "waiting": 3,
    "reasons": [
        {"code": "no-room", "message": FIRST, "details": {}},
        {"code": "over-fair-share", "message": "Over the fair share of language: it would use 24 GPUs", "details": {}},
        {"code": "victims-protected", "message": "Whoever could make room may not be stopped now", "details": {}},
    ],
    "fixes": [
        {"text": f"Ask for {n} GPUs (now 8 GPUs) a pod, once those it stops are gone", "victims": NAMES.split()}
        for n in range(1, 7)
    ],
    "victims": [],
}
CUT = """() => [...document.querySelectorAll('.main *, .top *')].filter((e) => {
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if (!box.width || !box.height || e.closest('.hid')) return false;
    const hidden = style.overflowX !== 'visible' && e.scrollWidth > e.clientWidth + 1;
    const clamped = style.webkitLineClamp !== 'none' && e.scrollHeight > e.clientHeight + 1;
    return box.left < -1 || box.right > innerWidth + 1 || hidden || clamped;
}).map((e) => `${e.tagName}.${e.className}: ${e.textContent.slice(0, 60)}`)"""
"""What is outside the screen at its sides, scrolls sideways, or ends in dots."""

KEPT = """const Given = EventSource;
window.streams = [];
window.EventSource = class extends Given { constructor(...a) { super(...a); streams.push(this); } };"""
"""Keeps the event streams of the page, so that a test can make one fail."""


@pytest.fixture
def simulated(site: Site) -> Iterator[Site]:
    nodes = [r for r in sample.rows(time.time()) if isinstance(r, NodeRow)]
    site.tell(*(replace(n, simulated=True) for n in nodes))
    yield site
    site.tell(*nodes)


def test_a_lost_server_leaves_the_name_of_the_cluster_and_what_is_simulated(browser: Browser, simulated: Site) -> None:
    with a_page(browser, simulated) as page:
        page.add_init_script(KEPT)
        page.reload()
        where = page.locator(".top .where")
        expect(where).to_have_text("Cluster north-1simulated GPUs")
        page.locator(".grow", has_text="pretrain-1b-abl").click()
        page.route("**/api/**", lambda route: route.abort())
        page.evaluate("streams.at(-1).onerror()")
        expect(page.locator(".top .live")).to_contain_text("Offline since")
        page.wait_for_timeout(2500)
        expect(page.locator(".top .live")).to_contain_text("Offline since")
        expect(where).to_have_text("Cluster north-1simulated GPUs")
        expect(page.locator(".foot")).to_contain_text("north-1")
        expect(page.get_by_role("button", name="Delete")).to_be_disabled()
        shoot(page, "offline")
        page.get_by_role("link", name="Nodes").click()
        expect(page.get_by_text("it is not renewed")).to_be_visible()
        page.unroute("**/api/**")
        expect(page.locator(".top .live")).to_contain_text("Live", timeout=15_000)
        expect(where).to_have_text("Cluster north-1simulated GPUs")


@pytest.mark.parametrize("size", [(1440, 900), (1280, 700), (390, 844)])
def test_why_a_workload_waits_is_shown_whole_and_its_headline_once(
    page: Page, site: Site, size: tuple[int, int]
) -> None:
    def explain(route: Route) -> None:
        route.fulfill(content_type="application/json", body=json.dumps(ANSWER))

    page.route("**/explain", explain)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.locator(".grow", has_text="sft-70b-run4").click()
    page.get_by_role("button", name="Why, and what would start it").click()
    why = page.get_by_role("region", name="Why it waits")
    expect(why.get_by_role("listitem")).to_have_count(8)
    shoot(page, f"why-{size[0]}")
    assert why.inner_text().count(FIRST) == 1
    expect(why).to_contain_text("First of 3 in line. no-room")
    assert why.evaluate("e => e.scrollHeight <= e.clientHeight && e.scrollWidth <= e.clientWidth")
    last = why.get_by_role("listitem").last
    last.scroll_into_view_if_needed()
    expect(last).to_be_in_viewport(ratio=1)
    assert last.evaluate("e => e.scrollHeight <= e.clientHeight")
    page.get_by_role("tab", name="Spec").scroll_into_view_if_needed()
    expect(page.get_by_role("tab", name="Spec")).to_be_in_viewport()


@pytest.fixture(scope="module")
def phone(browser: Browser, site: Site) -> Iterator[Page]:
    """A signed-in page of a phone: each test sets the theme, and loads what it looks at anew."""
    screen = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with a_page(browser, site, **screen) as page:
        yield page


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["workloads", "workloads?w=sft-70b-run4", "projects", "projects?p=vision", "nodes"])
def test_nothing_is_cut_on_a_phone(phone: Page, site: Site, path: str, theme: str) -> None:
    phone.evaluate(f"localStorage.setItem('fairlead-theme', '{theme}')")
    phone.goto(f"{site.url}/{path}")
    phone.wait_for_selector(":is(.grow, .cdi, .pn):visible")
    phone.wait_for_timeout(300)
    assert phone.locator("html").get_attribute("data-theme") == theme
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    assert phone.evaluate(CUT) == []
    if path == "nodes":
        phone.get_by_role("button", name="Table").tap()
        expect(phone.get_by_text("GPU 0").first).to_be_visible()
        assert phone.evaluate(CUT) == []
    shoot(phone, f"whole-{path.replace('?', '-')}-{theme}")
