"""Somebody at a browser, as far as redirects, cookies and forms go."""

from __future__ import annotations

import html
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp


@dataclass
class Browser:
    """Cookies of its own; follows redirects one by one and keeps where it was."""

    url: str
    trusts: Path
    places: list[str] = field(default_factory=list)

    async def __aenter__(self) -> Browser:
        tls = ssl.create_default_context(cafile=self.trusts)
        jar = aiohttp.CookieJar(unsafe=True)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls), cookie_jar=jar)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def sign_in(self, subject: str, page: str = "/") -> dict[str, Any]:
        """Through the provider's pages; what the sign-in page tells then, and who is signed in (None for nobody)."""
        await self.follow(f"{self.url}/oidc/sign-in", {"next": page}, subject)
        return await self.told()

    async def told(self) -> dict[str, Any]:
        """What the sign-in page asks for, and who is signed in."""
        async with self._session.get(f"{self.url}/api/fairlead/v1/sign-in") as ways:
            told = await ways.json()
        async with self._session.get(f"{self.url}/api/fairlead/v1/session") as session:
            found = await session.json()
            who = {key: found[key] for key in ("username", "role")} if session.status == 200 else None
        problem = told.get("problem") or {"message": "", "details": ""}
        return {
            "who": who,
            "said": f"{problem['message']} {problem['details']}".strip(),
            "provider": told.get("provider"),
        }

    async def follow(self, url: str, query: dict[str, str] | None = None, subject: str = "") -> None:
        """Goes there and on, filling in the provider's forms, until a page of ours or an error."""
        method, form = "GET", None
        for _ in range(20):
            async with self._session.request(method, url, params=query, data=form, allow_redirects=False) as answer:
                text = await answer.text()
                self.places.append(str(answer.url))
                if where := answer.headers.get("location"):
                    method, url, query, form = "GET", urljoin(str(answer.url), where), None, None
                    if url.startswith(self.url) and "/oidc/" not in url:
                        self.places.append(url)
                        return
                    continue
            if not (found := re.search(r'<form[^>]* action="([^"]+)"', text)) or not subject:
                return
            method, url, query = "POST", html.unescape(found[1]), None
            prompt = re.search(r'name="prompt" value="(\w+)"', text)
            form = {"prompt": prompt[1] if prompt else "", "login": subject, "username": subject, "password": "any"}
        raise AssertionError(self.places)

    async def get(self, path: str) -> tuple[int, Any]:
        """Status and decoded body."""
        async with self._session.get(self.url + path) as answer:
            return answer.status, await answer.json()

    async def sign_out(self) -> None:
        """As the button does."""
        async with self._session.delete(f"{self.url}/api/fairlead/v1/session") as answer:
            assert answer.status == 204
