"""Sign-in with a provider in a real browser, over two sites; and the page that signs the command line in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from tests.parts.apiserver import free_ports
from tests.parts.openid import CLIENT, SECRET, OpenId, openid
from tests.web.conftest import Site, a_site, shoot
from tests.web.test_accessible import AXE, RULES

from fairlead.cli.roles.oidc import oidc_of
from fairlead.cli.roles.settings import GroupRoleSettings, OidcSettings

pytestmark = [pytest.mark.browser]

ADMINS = GroupRoleSettings(group="gpu-admins", role="administrator")


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, OpenId]]:
    """A control plane that signs in with a provider called Corp."""
    folder = tmp_path_factory.mktemp("signed")
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    (folder / "secret").write_text(SECRET)
    with openid(folder / "openid", f"{url}/oidc/callback") as provider:
        settings = OidcSettings(
            issuer=provider.issuer,
            name="Corp",
            client_id=CLIENT,
            client_secret_file=str(folder / "secret"),
            scopes=("openid", "profile", "groups"),
            group_roles=(ADMINS,),
            ca_file=str(provider.ca),
        )
        with a_site(folder, port, public_url=url, oidc=oidc_of(settings, url)) as site:
            yield site, provider


@contextmanager
def a_stranger(browser: Browser, **screen: object) -> Iterator[Page]:
    """A page of nobody yet, that loads nothing from other machines."""
    context = browser.new_context(ignore_https_errors=True, **{"viewport": {"width": 1440, "height": 900}} | screen)  # type: ignore[arg-type]
    here = re.compile(r"^https?://(127\.0\.0\.1|localhost)[:/]")
    context.route("**/*", lambda route: route.continue_() if here.match(route.request.url) else route.abort())
    try:
        yield context.new_page()
    finally:
        context.close()


def at_the_provider(page: Page, subject: str) -> None:
    """Fills in its two pages."""
    page.fill("input[name=login]", subject)
    page.fill("input[name=password]", "any")
    page.click("button[type=submit]")
    page.wait_for_selector("input[name=prompt][value=consent]", state="attached")
    page.click("button[type=submit]")


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: run `make web` here")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
def test_axe_finds_nothing_on_the_sign_in_page(
    browser: Browser, signed: tuple[Site, OpenId], theme: str, size: tuple[int, int]
) -> None:
    with a_stranger(browser, viewport={"width": size[0], "height": size[1]}) as page:
        page.goto(signed[0].url)
        page.wait_for_selector("a:has-text('Sign in with Corp')")  # it has asked: what went wrong is told once
        page.evaluate(f"localStorage.setItem('fairlead-theme', '{theme}')")
        page.goto(f"{signed[0].url}/oidc/callback?state=x")
        page.wait_for_selector("a:has-text('Sign in with Corp')")
        page.wait_for_selector("[role=alert]")
        page.wait_for_timeout(300)
        shoot(page, f"sign-in-{theme}-{size[0]}")
        page.evaluate(AXE.read_text())
        found = page.evaluate(f"axe.run(document, {RULES})")["violations"]
        assert not found, [(v["id"], v["help"], [n["target"] for n in v["nodes"]][:3]) for v in found]


def test_a_button_leads_to_the_provider_and_back_to_the_page_one_came_for(
    browser: Browser, signed: tuple[Site, OpenId]
) -> None:
    site, _ = signed
    with a_stranger(browser) as page:
        page.goto(f"{site.url}/nodes?pool=default")
        page.click("a:has-text('Sign in with Corp')")
        at_the_provider(page, "0001")
        page.wait_for_selector("button.ava")
        assert page.url == f"{site.url}/nodes?pool=default"
        assert "mira" in (page.get_attribute("button.ava", "aria-label") or "")
        page.reload()
        page.wait_for_selector("button.ava")
        page.click("button.ava")
        page.click("text=Sign out")
        page.wait_for_selector("a:has-text('Sign in with Corp')")
        cookies = {c["name"]: (c["httpOnly"], c["sameSite"]) for c in page.context.cookies(site.url)}
        assert cookies == {}, "nothing of a sign-in is left"


def test_what_went_wrong_is_on_the_page_once_and_the_password_still_works(
    browser: Browser, signed: tuple[Site, OpenId]
) -> None:
    site, _ = signed
    with a_stranger(browser) as page:
        page.goto(site.url)
        page.click("a:has-text('Sign in with Corp')")
        at_the_provider(page, "0003")
        page.wait_for_selector("[role=alert]:has-text('nobody has given you a role yet')")
        shoot(page, "sign-in-refused")
        page.reload()
        page.wait_for_selector("a:has-text('Sign in with Corp')")
        assert page.query_selector("[role=alert]") is None
        assert "also while Corp is away" in (page.text_content(".hint") or "")
        page.fill("#password", "a password for the pages")
        page.click("button:has-text('Sign in')")
        page.wait_for_selector("button.ava")


def command(site: Site, folder: Path, *words: str) -> subprocess.Popen[str]:
    """`fairlead` told of the control plane, whose browser is a program that notes the address it is to open."""
    opener = folder / "opener"
    opener.write_text(f'#!/bin/sh\necho "$1" > {folder}/opened\n')
    opener.chmod(0o700)
    env = {k: v for k, v in os.environ.items() if not k.startswith("FAIRLEAD_")}
    env |= {"FAIRLEAD_URL": site.url, "FAIRLEAD_DATA": str(folder / "data"), "BROWSER": f"{opener} %s"}
    pipe = subprocess.PIPE
    line = [sys.executable, "-u", "-m", "fairlead.cli.main", *words]
    return subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=env)


def done(process: subprocess.Popen[str], given: str = "") -> tuple[int, str, str]:
    out, err = process.communicate(given, timeout=60)
    return process.returncode, out, err


def test_the_command_line_signs_in_by_the_browser_and_out_again(
    browser: Browser, signed: tuple[Site, OpenId], tmp_path: Path
) -> None:
    site, _ = signed
    code, _, err = done(command(site, tmp_path, "project", "list"))
    assert (code, "You are not signed in" in err, "fairlead sign-in" in err) == (4, True, True)
    process = command(site, tmp_path, "sign-in")
    assert process.stdout is not None
    process.stdout.readline()
    address = (tmp_path / "opened").read_text().strip()
    with a_stranger(browser) as page:
        page.goto(address)
        page.click("a:has-text('Sign in with Corp')")
        at_the_provider(page, "0001")
        page.wait_for_selector("button:has-text('Allow')")
        shoot(page, "sign-in-command")
        page.goto(re.sub("port=([0-9]+)&state=[^&]*", r"port=\1&state=forged", address))
        page.click("button:has-text('Allow')")
        page.wait_for_selector("text=This is not what the command waits for")
        page.goto(address)
        page.click("button:has-text('Allow')")
        page.wait_for_selector("text=Signed in. Go back to the terminal")
    code, out, err = done(process)
    assert (code, f"Signed in to {site.url} as mira." in out) == (0, True), (out, err)
    kept = tmp_path / "data" / "sign-in.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert done(command(site, tmp_path, "project", "list"))[0] == 0
    assert done(command(site, tmp_path, "sign-out"))[0] == 0
    assert not kept.exists()
    assert done(command(site, tmp_path, "project", "list"))[0] == 4


def test_without_a_browser_a_code_is_typed_and_works_once(
    browser: Browser, signed: tuple[Site, OpenId], tmp_path: Path
) -> None:
    site, _ = signed
    process = command(site, tmp_path, "sign-in", "--no-browser")
    assert process.stdout is not None
    address = process.stdout.readline().removeprefix("Open ").strip()
    with a_stranger(browser) as page:
        page.goto(f"{site.url}/#key={site.key()}")
        page.wait_for_selector("button.ava")
        page.goto(address)
        page.click("button:has-text('Allow')")
        typed = page.text_content("[data-code]") or ""
        shoot(page, "sign-in-code")
    code, out, err = done(process, f"{typed}\n")
    assert (code, "as admin." in out) == (0, True), (out, err)
    again = command(site, tmp_path, "sign-in", "--no-browser")
    code, _, err = done(again, f"{typed}\n")
    assert (code, "was used" in err) == (4, True), err
