"""10,000 workloads in the browser: few rows are drawn, each is there once and in its place, and changes arrive where they belong.

Counters, not clocks: rows in the document, requests, positions.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import insert, select
from tests.web import sample
from tests.web.conftest import Site, a_page, a_site, shoot

from fairlead.server.db import tables
from fairlead.wire.agent import Gone, WorkloadRow

pytestmark = pytest.mark.browser

MANY = 10_050
"""More than one page of the API."""
ORDER = ("Failed", "Pending", "Running", "Completed")
PHASES = ("Running", "Pending", "Completed", "Running", "Failed")
PROJECTS = tuple(sample.QUOTAS)
BEGAN = 1_700_000_000.0
DRAWN = 60
"""Most rows the document may hold at a time; the screen shows about 25."""
LIST = "/api/v1/workloads?"

WALK = """async (step) => {
  const box = document.querySelector(".gbody"), seen = {};
  let drawn = 0;
  for (let top = 0; ; top += step) {
    box.scrollTop = top;
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const rows = [...document.querySelectorAll(".grow")];
    drawn = Math.max(drawn, rows.length);
    for (const row of rows) (seen[row.getAttribute("aria-rowindex")] ??= new Set()).add(row.querySelector(".n, .me").textContent);
    if (top >= box.scrollHeight - box.clientHeight) break;
  }
  return { drawn, seen: Object.fromEntries(Object.entries(seen).map(([at, names]) => [at, [...names]])) };
}"""


def _row(number: int, **more: Any) -> WorkloadRow:
    made = BEGAN + number
    base: dict[str, Any] = {"phase": PHASES[number % 5], "requested_gpu_milli": 1000, "nodes": (f"n{number % 50}",)}
    if base["phase"] != "Running":
        base["nodes"] = ()
    given = base | {"created": made, "phase_since": made, "started": made} | more
    return sample.workload(f"w-{number:05d}", PROJECTS[number % 4], made, **given)


def _expected() -> list[str]:
    """Names in the order of the page: what needs a person first, then the newest."""
    numbers = sorted(range(MANY), key=lambda n: (ORDER.index(PHASES[n % 5]), -n))
    return [f"w-{n:05d}" for n in numbers]


async def _fill(site: Site) -> None:
    async with site.context.database.write() as c:
        found = {row.name: row.id for row in await c.execute(select(tables.project.c.name, tables.project.c.id))}
        for start in range(0, MANY, 500):
            await c.execute(
                insert(tables.workload), [_values(site, n, found) for n in range(start, min(start + 500, MANY))]
            )


def _values(site: Site, number: int, projects: dict[str, str]) -> dict[str, Any]:
    row = _row(number)
    return {
        "id": row.id,
        "cluster_id": site.cluster_id,
        "project_id": projects[PROJECTS[number % 4]],
        "kind": row.kind,
        "name": row.name,
        "namespace": row.namespace,
        "created": row.created,
        "updated": row.created,
        "phase": row.phase,
        "observed": msgspec.to_builtins(row),
    }


@pytest.fixture
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(tmp_path_factory.mktemp("many")) as found:
        asyncio.run_coroutine_threadsafe(_fill(found), found.loop).result(60)
        yield found


def _all_here(page: Page, number: int = MANY) -> None:
    expect(page.get_by_role("grid")).to_have_attribute("aria-rowcount", str(number + 1), timeout=30_000)


def _drawn(page: Page) -> list[tuple[int, str]]:
    """(position, name) of each row in the document."""
    script = """() => [...document.querySelectorAll(".grow")].map((row) =>
        [Number(row.getAttribute("aria-rowindex")) - 2, row.querySelector(".n, .me").textContent])"""
    return [(at, name) for at, name in page.evaluate(script)]


def _on_screen(page: Page) -> list[tuple[int, str]]:
    """Those of them inside the viewport, after checking that they fill it: no gap, no blank."""
    script = """() => { const box = document.querySelector(".gbody").getBoundingClientRect();
        return [...document.querySelectorAll(".grow")].map((row) => [row.getBoundingClientRect(),
            Number(row.getAttribute("aria-rowindex")) - 2, row.querySelector(".n, .me").textContent])
            .filter(([r]) => r.bottom > box.top && r.top < box.bottom)
            .map(([r, at, name]) => [r.top - box.top, r.bottom - box.bottom, at, name]) }"""
    found = page.evaluate(script)
    assert found[0][0] <= 0
    assert found[-1][1] >= -1
    assert [row[2] for row in found] == list(range(found[0][2], found[0][2] + len(found)))
    return [(at, name) for _, _, at, name in found]


def test_every_row_is_there_once_and_few_are_drawn(browser: Browser, many: Site) -> None:
    asked: list[str] = []
    with a_page(browser, many, asked) as page:
        _all_here(page)
        walked = page.evaluate(WALK, 500)
        assert walked["drawn"] <= DRAWN
        assert [walked["seen"][str(i + 2)] for i in range(MANY)] == [[name] for name in _expected()]
        assert sum(address.startswith(LIST) for address in asked) == 2
        assert sum("/watch" in address for address in asked) == 1


def test_keys_and_the_wheel_go_anywhere_and_the_filter_asks_nobody(browser: Browser, many: Site) -> None:
    order = _expected()
    asked: list[str] = []
    with a_page(browser, many, asked) as page:
        _all_here(page)
        page.mouse.move(500, 500)
        asked.clear()
        for distance in (300, 1200, 100_000, -50_000, 10**6, -(10**6)):
            page.mouse.wheel(0, distance)
            page.wait_for_timeout(50)
            assert len(_drawn(page)) <= DRAWN
            assert all(order[at] == name for at, name in _on_screen(page))
        page.get_by_label("Filter by name").fill("w-0123")
        expect(page.locator(".grow")).to_have_count(10)
        assert {name for _, name in _drawn(page)} == {f"w-0123{n}" for n in range(10)}
        page.get_by_label("Filter by name").fill("")
        page.get_by_role("tab", name="Waiting").click()
        _all_here(page, MANY // 5)
        assert [a for a in asked if not a.endswith((".woff2", ".svg"))] == []
        page.get_by_role("tab", name="Everyone").click()
        page.locator(".gbody").focus()
        for key, at in (("j", 0), ("End", MANY - 1), ("PageUp", MANY - 21), ("k", MANY - 22), ("Home", 0)):
            page.keyboard.press(key)
            expect(page.locator(".grow.sel")).to_contain_text(order[at])
            assert (at, order[at]) in _on_screen(page)
            assert len(_drawn(page)) <= DRAWN
        assert sum(address.startswith(LIST) for address in asked) == 0
        opened = [a for a in asked if a.startswith("/api/v1/workloads/")]
        assert len(opened) <= 2 * 5


def test_changes_arrive_in_the_right_row_while_somebody_is_in_the_middle(browser: Browser, many: Site) -> None:
    asked: list[str] = []
    with a_page(browser, many, asked) as page:
        _all_here(page)
        page.mouse.move(500, 500)
        page.mouse.wheel(0, 200_000)
        page.wait_for_timeout(100)
        middle = _on_screen(page)[5]
        number = int(middle[1][2:])
        assert PHASES[number % 5] == "Running"
        many.tell(_row(number, nodes=("moved-here",)))
        cell = page.locator(".grow", has_text=middle[1])
        expect(cell).to_contain_text("moved-here")
        assert middle in _on_screen(page)
        assert len([1 for _, name in _drawn(page) if name == middle[1]]) == 1

        fresh = sample.workload("fresh", "vision", time.time(), phase="Running", created=BEGAN + MANY)
        many.tell(fresh, _row(number, phase="Failed", nodes=()))
        gone = _on_screen(page)[8][1]
        many.tell(gone=(Gone(row="WorkloadRow", key=gone),))
        _all_here(page, MANY)
        order = _after(number, gone)
        expect(page.locator(".grow", has_text=gone)).to_have_count(0)
        assert all(order[at] == name for at, name in _on_screen(page))
        _stand_in_order(page, order)
        assert sum(address.startswith(LIST) for address in asked) == 2


def _stand_in_order(page: Page, order: list[str]) -> None:
    """Every so many rows from the top to the end: a row too many, too few or elsewhere moves all that follow."""
    walked = page.evaluate(WALK, 8000)
    assert walked["drawn"] <= DRAWN
    assert len(walked["seen"]) > MANY // 20
    for at, names in walked["seen"].items():
        assert names == [order[int(at) - 2]], at


def _after(failed: int, gone: str) -> list[str]:
    def key(name: str) -> tuple[int, int]:
        number = MANY if name == "fresh" else int(name[2:])
        phase = "Failed" if number == failed else "Running" if name == "fresh" else PHASES[number % 5]
        return ORDER.index(phase), -number

    return sorted((n for n in (*_expected(), "fresh") if n != gone), key=key)


def test_changes_while_the_lists_are_read_are_not_lost(browser: Browser, many: Site) -> None:
    """The second page of the list is held back until the cluster has reported a change of each kind."""
    asked: list[str] = []
    with a_page(browser, many, asked) as page:
        _all_here(page)
        changed, gone = MANY - 1, f"w-{MANY - 6:05d}"
        told = []

        def hold(route: Any) -> None:
            answer = route.fetch()
            if not told:
                told.append(True)
                many.tell(_row(changed, phase="Failed", nodes=()))
                many.tell(gone=(Gone(row="WorkloadRow", key=gone),))
            route.fulfill(response=answer)

        page.route("**/api/v1/workloads?limit=*", hold)
        page.reload()
        _all_here(page, MANY - 1)
        expect(page.locator(".grow").first).to_contain_text(f"w-{changed:05d}")
        first = f"w-{changed:05d}"
        _stand_in_order(page, [first, *(name for name in _expected() if name not in (first, gone))])


def test_a_phone_gets_cards_and_a_menu(browser: Browser, many: Site) -> None:
    order = _expected()
    with a_page(browser, many, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as page:
        _all_here(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        first = page.locator(".grow").first
        expect(first).to_contain_text(order[0])
        expect(first).to_contain_text("Failed")
        expect(first).to_contain_text("1 GPU")
        heights = page.locator(".grow").evaluate_all("rows => rows.map((row) => row.getBoundingClientRect().height)")
        assert set(heights) == {100}
        walked = page.evaluate(WALK, 4000)
        assert walked["drawn"] <= 15
        page.evaluate("document.querySelector('.gbody').scrollTop = 450_000")
        page.wait_for_timeout(100)
        assert all(order[at] == name for at, name in _on_screen(page))
        shoot(page, "many-phone")
        page.get_by_role("button", name="Pages").tap()
        page.get_by_role("dialog").get_by_role("link", name="Nodes").tap()
        expect(page.get_by_role("heading", name="Nodes")).to_be_visible()
        expect(page.get_by_role("dialog")).to_have_count(0)
