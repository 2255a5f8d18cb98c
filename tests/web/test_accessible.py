"""axe finds nothing on any page, theme and size; colours have the contrast the tokens promise; the first load is small."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page
from tests.web.conftest import PAGES, ROOT, Site, shoot

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
SIZES = {"desktop": (1440, 900), "narrow": (1280, 800), "phone": (390, 844)}
RULES = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}"
BUDGET = 250_000


@pytest.mark.browser
@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: run `make web` here")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["workloads", "workloads?w=sft-70b-run4", "nodes", "projects", "projects?p=vision"])
def test_axe_finds_nothing(lasting_page: Page, site: Site, path: str, theme: str, size: str) -> None:
    page, (width, height) = lasting_page, SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate(f"localStorage.setItem('fairlead-theme', '{theme}')")
    page.goto(f"{site.url}/{path}")
    page.wait_for_selector(":is(.grow, table, .cdi, .pn):visible")
    page.wait_for_timeout(300)
    shoot(page, f"{re.sub('[^a-z]', '-', path)}-{theme}-{size}")
    page.evaluate(AXE.read_text())
    found = page.evaluate(f"axe.run(document, {RULES})")["violations"]
    assert not found, [(v["id"], v["help"], [n["target"] for n in v["nodes"]][:3]) for v in found]


def test_the_first_load_stays_inside_its_budget() -> None:
    if not (PAGES / "index.html").exists():
        pytest.skip("the pages are not built: run `make web`")
    names = re.findall(r'(?:src|href)="/(assets/[^"]+\.(?:js|css))"', (PAGES / "index.html").read_text())
    total = sum(len(gzip.compress((PAGES / name).read_bytes(), 9)) for name in names)
    assert names
    assert total <= BUDGET, f"{total} bytes gzipped"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "paper", "least"),
    [
        ("text", "surface", 4.5),
        ("muted", "surface", 4.5),
        ("faint", "surface", 4.5),
        ("faint", "selected", 4.5),
        ("accent", "surface", 4.5),
        ("on-accent", "accent", 4.5),
        ("ok", "ok-soft", 4.5),
        ("wait", "wait-soft", 4.5),
        ("bad", "bad-soft", 4.5),
        ("lend", "lend-soft", 4.5),
        ("done", "done-soft", 4.5),
        ("gpu-used", "surface", 3.0),
        ("gpu-edge", "surface", 3.0),
        ("control", "surface", 3.0),
    ],
)
def test_colours_have_enough_contrast(theme: str, ink: str, paper: str, least: float) -> None:
    tokens = _tokens(theme)
    light, dark = sorted((_luminance(tokens[ink]), _luminance(tokens[paper])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= least


def _tokens(theme: str) -> dict[str, str]:
    text = (Path(ROOT) / "web" / "src" / "tokens.css").read_text()
    block = re.search(rf'\[data-theme="{theme}"\] \{{(.*?)\}}', text, re.S)
    assert block is not None
    return dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", block[1]))


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
