"""Somebody with a role in one project finds nothing of the others on any page, and nothing at all once the role is taken away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Browser, expect
from tests.web import sample
from tests.web.conftest import Site, a_page

from fairlead.server.auth.permissions import administrator
from fairlead.server.services import access, organisation

pytestmark = pytest.mark.browser

T = TypeVar("T")
FOREIGN = ("language", "speech", "sft-70b-run4", "nb-mira", "search-api", "tts-small-dev", "asr-conformer-ft")


def _do(site: Site, work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run_coroutine_threadsafe(work, site.loop).result(10)


async def _researcher(site: Site, project: str) -> tuple[str, str]:
    """A new user with that role in that project: (id of the rule, password)."""
    root = administrator("test")
    units = await organisation.list_units(site.context, root, "project")
    user, password = await access.create_user(site.context, root, "ana")
    unit = next(u for u in units if u.name == project)
    asked = access.Asked(user_id=user.id, role="researcher", scope_type="project", scope_id=unit.id)
    return (await access.create_rule(site.context, root, asked)).id, password


def test_a_researcher_of_one_project_sees_no_word_of_another_and_nothing_when_it_is_taken(
    browser: Browser, site: Site
) -> None:
    rule, password = _do(site, _researcher(site, "vision"))
    with a_page(browser, site) as page:
        page.context.clear_cookies()
        page.goto(f"{site.url}/workloads")
        page.get_by_label("User name").fill("ana")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator(".grow", has_text="vit-sweep-12")).to_be_visible()
        site.tell(sample.workload("nb-mira", "language", 0, phase="Running"))
        for path in ("projects", "nodes", "workloads"):
            page.goto(f"{site.url}/{path}")
            page.wait_for_selector(":is(.grow, table):visible")
            assert [word for word in FOREIGN if word in page.content()] == []
        page.keyboard.press("Control+k")
        expect(page.get_by_role("combobox", name="Find")).to_be_focused()
        page.keyboard.type("sft")
        expect(page.get_by_role("dialog")).to_contain_text("Nothing of that name")
        page.keyboard.press("Escape")
        _do(site, access.delete_rule(site.context, administrator("test"), rule))
        expect(page.locator(".grow")).to_have_count(0)
        expect(page.get_by_role("grid")).to_contain_text("Nobody has given you a role yet")
