"""Whether the table of 10,000 workloads scrolls without a blank frame.

Each row gets a coloured edge; the frames that Chromium presented while the wheel turned and keys were pressed are looked at one by
one: a frame is blank where the edge of a row is missing anywhere in the table.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from typing import Any

from bench.product import WORKLOADS, Product, fill, running
from bench.rows import Row

NAME = "pages.blank-frames"
WHEELS = ((300, 40), (1200, 40), (-1200, 40), (-300, 20))
KEYS = ("PageDown",) * 20 + ("End", "Home", "End", "PageUp", "PageUp", "Home")
PAUSE_MS = 20
SIZE = {"width": 1000, "height": 800}
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
EDGE = ".grow{position:relative}.grow::before{content:'';position:absolute;left:0;width:6px;top:0;bottom:-1px;background:#f0f}"
MISSING = """async ([frame, x, top, height]) => {
  const image = await createImageBitmap(await (await fetch("data:image/png;base64," + frame)).blob());
  const canvas = new OffscreenCanvas(1, height).getContext("2d");
  canvas.drawImage(image, x, top, 1, height, 0, 0, 1, height);
  const pixels = canvas.getImageData(0, 0, 1, height).data;
  let missing = 0;
  for (let i = 0; i < pixels.length; i += 4) if (!(pixels[i] > 180 && pixels[i + 1] < 120 && pixels[i + 2] > 180)) missing += 1;
  return missing;
}"""
"""How many pixels of the edge a frame lacks."""
TOLERATED = 2


def rows(only: str) -> Iterator[Row]:
    """The row, if its name holds the word."""
    if only not in NAME:
        return
    chromium = shutil.which("chromium")
    if chromium is None:
        yield Row(NAME, (), "", "not measured: there is no chromium")
        return
    with running() as product:
        fill(product)
        blank, frames = asyncio.run(_measured(product, chromium))
    yield Row(NAME, (float(blank),), "", f"of {frames} frames of {WORKLOADS} workloads, wheel and keys")


async def _measured(product: Product, chromium: str) -> tuple[int, int]:
    """(blank frames, all frames)."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page(viewport=SIZE)
        await _sign_in(page, product)
        await page.add_style_tag(content=EDGE)
        area = await page.locator(".gbody").bounding_box()
        frames = await _cast(page)
        judge = await browser.new_page()
        where = [int(area["x"]) + 2, int(area["y"]) + 2, int(area["height"]) - 4]
        missing = [await judge.evaluate(MISSING, [frame, *where]) for frame in frames]
        await browser.close()
    return sum(m > TOLERATED for m in missing), len(missing)


async def _sign_in(page: Any, product: Product) -> None:
    await page.goto(f"{product.state()['url']}/workloads")
    await page.get_by_label("Password").fill((product.data / "admin-password").read_text().strip())
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_selector(f"[role=grid][aria-rowcount='{WORKLOADS + 1}']")


async def _cast(page: Any) -> list[str]:
    """The frames presented while somebody scrolls, as PNGs in base64."""
    frames: list[str] = []
    session = await page.context.new_cdp_session(page)
    acks: set[asyncio.Task[Any]] = set()

    def keep(event: dict[str, Any]) -> None:
        frames.append(event["data"])
        acks.add(asyncio.ensure_future(session.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})))

    session.on("Page.screencastFrame", keep)
    await page.mouse.move(400, 500)
    await page.locator(".gbody").focus()
    await session.send("Page.startScreencast", {"format": "png", "everyNthFrame": 1})
    for distance, times in WHEELS:
        for _ in range(times):
            await page.mouse.wheel(0, distance)
            await page.wait_for_timeout(PAUSE_MS)
    for key in KEYS:
        await page.keyboard.press(key)
        await page.wait_for_timeout(PAUSE_MS)
    await page.wait_for_timeout(200)
    await session.send("Page.stopScreencast")
    await asyncio.gather(*acks)
    return frames
