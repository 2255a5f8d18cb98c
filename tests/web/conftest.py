"""The pages in a real browser, on a control plane that was told of one cluster as an agent would tell it."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, Error, Page, Request, ViewportSize, sync_playwright
from tests.parts.build import Unavailable
from tests.parts.debian import program
from tests.parts.hashing import quick_hashes
from tests.web import sample

from fairlead.server.api.application import create_app, create_context
from fairlead.server.auth.permissions import administrator
from fairlead.server.config import ServerConfig
from fairlead.server.services import accounts, agents, clusters, organisation
from fairlead.server.services.context import Context
from fairlead.wire.agent import AnyRow, ClusterHealth, Gone, Observed
from fairlead.wire.rest.organisation import PoolResources, ProjectCreate, ResourceQuota

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "src" / "fairlead" / "server" / "web"
SHOTS = Path(os.environ["FAIRLEAD_SHOTS"]) if os.environ.get("FAIRLEAD_SHOTS") else None
SCREEN: ViewportSize = {"width": 1440, "height": 900}
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Site:
    """A control plane in a thread of its own."""

    url: str
    context: Context
    cluster_id: str
    loop: asyncio.AbstractEventLoop

    def tell(
        self, *rows: AnyRow, gone: tuple[Gone, ...] = (), full: bool = False, health: ClusterHealth | None = None
    ) -> None:
        """Reports rows as the cluster's agent does."""
        frame = Observed(seq=1, rows=rows, gone=gone, full=full, health=health)
        asyncio.run_coroutine_threadsafe(agents.observed(self.context, self.cluster_id, frame), self.loop).result(10)

    def key(self) -> str:
        """A new key that signs a browser in once."""
        made = f"key{time.monotonic_ns()}"
        self.context.one_time_keys.add(made)
        return made


@pytest.fixture(scope="session", autouse=True)
def quick() -> Iterator[None]:
    """Passwords are hashed in no time."""
    with quick_hashes():
        yield


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(tmp_path_factory.mktemp("site")) as found:
        found.tell(*sample.rows(time.time()), full=True)
        yield found


@contextmanager
def a_site(folder: Path, port: int = 0, **more: Any) -> Iterator[Site]:
    """A control plane with its data in that folder and one cluster with the projects of the sample. `more`: of its settings."""
    if not (PAGES / "index.html").exists():
        pytest.skip("the pages are not built: run `make web`")
    config = ServerConfig(
        database_url=f"sqlite+aiosqlite:///{folder}/fairlead.db", signing_key=b"k" * 32, web_folder=PAGES, **more
    )
    context = create_context(config, time.time)
    server = uvicorn.Server(uvicorn.Config(create_app(context), port=port, log_config=None, ws="websockets-sansio"))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(server.serve(),), name="site")
    thread.start()
    while not server.started:
        time.sleep(0.01)
    cluster = asyncio.run_coroutine_threadsafe(_people(context), loop).result(20)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield Site(url, context, cluster, loop)
    finally:
        server.should_exit = True
        thread.join(20)
        loop.close()


async def _people(context: Context) -> str:
    await accounts.ensure_administrator(context, "a password for the pages")
    root = administrator("test")
    cluster, _ = await clusters.create_cluster(context, root, "north-1")
    for name, gpus in sample.QUOTAS.items():
        quota = PoolResources(gpu=ResourceQuota(deserved=gpus))
        body = ProjectCreate(name=name, cluster_id=cluster.id, resources=[quota])
        await organisation.create_project(context, root, body)
    return cluster.id


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    try:
        path = program("chromium", "chromium")
    except Unavailable as error:
        pytest.skip(str(error))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(path), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def tab(browser: Browser) -> Iterator[Page]:
    """One for all tests that need none of their own: a new one costs the browser ten times what loading a page does."""
    context = browser.new_context(viewport=SCREEN)
    yield context.new_page()
    context.close()


@pytest.fixture
def page(site: Site, tab: Page) -> Iterator[Page]:
    """A signed-in page of the sample, with nothing in it of the test before."""
    tab.unroute_all()
    tab.goto("about:blank")
    tab.context.set_storage_state({})
    tab.set_viewport_size(SCREEN)
    tab.mouse.move(0, 0)
    with _signed_in(tab, site):
        yield tab


@pytest.fixture(scope="module")
def lasting_page(browser: Browser, site: Site) -> Iterator[Page]:
    """A signed-in page of the sample for all tests of a file that set, or load anew, what they look at."""
    with a_page(browser, site) as opened:
        yield opened


@contextmanager
def a_page(browser: Browser, site: Site, asked: list[str] | None = None, **screen: Any) -> Iterator[Page]:
    """A signed-in page with cookies of its own; `asked` gets each address that it asks for."""
    context = browser.new_context(**{"viewport": SCREEN} | screen)
    try:
        with _signed_in(context.new_page(), site, asked) as opened:
            yield opened
    finally:
        context.close()


@contextmanager
def _signed_in(opened: Page, site: Site, asked: list[str] | None = None) -> Iterator[Page]:
    """The page, which fails the test on any error in it, or on a request that leaves the origin."""
    troubles: list[str] = []

    def failed(error: Error) -> None:
        troubles.append(f"error in the page: {error}")

    def requested(request: Request) -> None:
        if not request.url.startswith((site.url, "data:", "blob:")):
            troubles.append(f"left the origin: {request.url}")
        if asked is not None:
            asked.append(request.url.removeprefix(site.url))

    opened.on("pageerror", failed)
    opened.on("request", requested)
    try:
        opened.goto(f"{site.url}/#key={site.key()}")
        opened.wait_for_selector("h1:has-text('Workloads')")
        opened.wait_for_selector(".grow")
        yield opened
    finally:
        opened.remove_listener("pageerror", failed)
        opened.remove_listener("request", requested)
    assert not troubles


def shoot(page: Page, name: str) -> None:
    """A picture for people, where a folder for them is named."""
    if SHOTS is not None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / f"{name}.png")
