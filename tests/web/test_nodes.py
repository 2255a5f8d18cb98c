"""The nodes page: what needs somebody, what is free, what runs where; its sums add up."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace
from playwright.sync_api import Page, expect
from tests.web import sample
from tests.web.conftest import Site, shoot

from fairlead.wire.agent import NodeRow
from fairlead.wire.amounts import gib

pytestmark = pytest.mark.browser


def _node(name: str) -> NodeRow:
    return next(r for r in sample.rows(0.0) if isinstance(r, NodeRow) and r.name == name)


def _row(page: Page, name: str) -> list[str]:
    """The texts of a node's cells."""
    cells = page.get_by_role("row").filter(has_text=name).get_by_role("cell").all_inner_texts()
    return [cell.strip() for cell in cells]


def test_nodes_adds_up_and_shows_who_holds_each_device(page: Page) -> None:
    page.get_by_role("link", name="Nodes").click()
    expect(page.locator(".pagehead [role=status]")).to_have_text("4 of 6 are healthy. 2 need you.")
    needs = page.get_by_role("list", name="What needs you").get_by_role("listitem")
    expect(needs.first).to_contain_text("GPU 3 is sick. It takes no new work, the other 7 go on.")
    expect(needs.last).to_contain_text("Not ready: the node does not answer. 8 GPUs are lost.")
    text = page.get_by_role("region", name="Capacity").inner_text()
    sums = re.search(r"([\d.]+) busy\s+\+ ([\d.]+) free\s+\+ ([\d.]+) lost to faults\s+= (\d+) GPUs", text)
    assert sums is not None, text
    busy, free, lost, whole = (float(g) for g in sums.groups())
    assert (busy, busy + free + lost, whole) == (20.75, whole, 48)
    expect(page.get_by_label("GPU 0: tts-small-dev (0.5), ci-gpu-unit-4821 (0.25)")).to_be_visible()
    shoot(page, "nodes")


def test_each_node_says_what_is_free_and_what_runs_there(page: Page) -> None:
    page.get_by_role("link", name="Nodes").click()
    head = page.get_by_role("columnheader").all_inner_texts()
    assert head[:7] == ["Node", "Health", "GPUs", "Free", "CPUs", "Memory", "What runs"]
    free, runs = (head.index(name) for name in ("Free", "What runs"))
    found = {
        name: (row[free], row[runs])
        for name in ("h100-01", "h100-03", "h100-04", "h100-05")
        if (row := _row(page, name))
    }
    assert found == {
        "h100-01": ("3", "search-api 3, embed-refresh 2"),
        "h100-03": ("7.25", "tts-small-dev 0.5, ci-gpu-unit-4821 0.25"),
        "h100-04": ("7", "empty"),
        "h100-05": ("–", "not known"),
    }
    frees = [float(_row(page, f"h100-0{n}")[free]) for n in range(5)]
    assert page.locator(".gp th").nth(2).inner_text() == f"{sum(frees):g}"
    page.get_by_role("row").filter(has_text="h100-01").get_by_role("link", name="embed-refresh").last.click()
    expect(page.get_by_role("complementary")).to_contain_text("embed-refresh")


def test_the_table_of_devices_says_the_state_of_node_and_device(page: Page) -> None:
    page.get_by_role("link", name="Nodes").click()
    page.get_by_role("button", name="Table").click()
    head = page.get_by_role("columnheader").all_inner_texts()
    assert head == ["Node", "Health", "GPU", "Model", "Memory", "State", "What runs"]
    rows = page.get_by_role("table", name="Devices by node").locator("tbody tr")
    expect(rows).to_have_count(48)

    def device(number: int) -> list[str]:
        return [cell.strip() for cell in rows.nth(number).get_by_role("cell").all_inner_texts()]

    assert device(8) == ["h100-01", "Ready", "0", "NVIDIA-H100-80GB", "80 GiB", "busy", "search-api"]
    assert device(24)[5:] == ["0.75 in use", "tts-small-dev 0.5, ci-gpu-unit-4821 0.25"]
    assert device(25)[5:] == ["free", "empty"]
    assert device(35)[1:3] + device(35)[5:6] == ["1 GPU sick", "3", "sick"]
    assert device(40)[1:2] + device(40)[5:6] == ["Not ready", "node lost"]
    shoot(page, "nodes-table")


@pytest.mark.parametrize("size", [25_199_403_008, 24_830_279_680, (23 << 30) + (1 << 27), 512 << 30, 132_070_244_352])
def test_memory_is_rounded_as_the_command_line_rounds_it(lasting_page: Page, site: Site, size: int) -> None:
    page, before = lasting_page, _node("h100-03")
    page.get_by_role("link", name="Nodes").click()
    site.tell(replace(before, memory_bytes=size, memory_used_bytes=0))
    expect(page.get_by_role("row").filter(has_text="h100-03")).to_contain_text(f"0 of {gib(size)}")
    site.tell(before)
