"""Sign-in with a real Keycloak: its own pages, and claims as it makes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.parts.apiserver import free_ports
from tests.parts.keycloak import SECRET, keycloak
from tests.server.sign_in import Site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


async def test_keycloak_signs_in_by_its_groups_and_a_wrong_secret_is_said(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with keycloak(tmp_path, f"{url}/oidc/callback") as provider:
        site = Site(url, provider, tmp_path)
        usual = {"scopes": ("openid", "profile", "email")}  # its groups need no scope
        async with site.serving(SECRET, **usual):
            told = await site.sign_in("mira")
            assert told["who"] == {"username": "mira", "role": "administrator"}, told
        async with site.serving("another", **usual):
            assert "refuses the client secret of 'fairlead'" in (await site.sign_in("mira"))["said"]
        async with site.serving(SECRET, **usual, issuer=f"{provider.issuer}/"):
            assert "They differ by the slash at the end" in (await site.sign_in("mira"))["said"]
