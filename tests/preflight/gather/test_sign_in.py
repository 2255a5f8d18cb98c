"""A certified OpenID provider asked as preflight asks it, and judged: there, missing, and broken in each way the check names."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts import certificates
from tests.parts.apiserver import free_ports
from tests.parts.openid import CLIENT, OpenId, an_elliptic_key, openid

from fairlead.preflight.config import config_of
from fairlead.preflight.facts import facts_of
from fairlead.preflight.gather import asks, here, inside
from fairlead.preflight.gather.look import Orders, look
from fairlead.preflight.report import report_of, select

REDIRECT = "https://fairlead.invalid/oidc/callback"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenId]:
    with openid(tmp_path_factory.mktemp("openid"), REDIRECT) as found:
        yield found


def configured(provider: OpenId, issuer: str = "", url: str = "https://fairlead.invalid") -> dict[str, Any]:
    return {
        "oidc": {"issuer": issuer or provider.issuer, "client_id": CLIENT},
        "control_plane": {"url": url},
        "proxy": {"no_proxy": "localhost"},
        "egress": {"third_party": []},
    }


async def verdicts(document: dict[str, Any], ca: str, pod_ca: str | None = None) -> dict[str, tuple[str, str]]:
    """Of both checks of sign-in: (verdict, cause), as seen from here and by the probe of a node. `pod_ca`: what the probe trusts."""
    config = config_of(document)
    found = await here.facts(config, ca)
    wanted = asks.egress_requests(config, ca if pod_ca is None else pod_ca)
    way = f"{asks.EGRESS}sign-in"
    requests = {way: wanted[way]} if way in wanted else {}
    if page := found.get("oidc", {}).get("authorization_endpoint"):
        requests[asks.AUTHORIZATION] = asks.request(page, config, ca if pod_ca is None else pod_ca)
    seen = (await look(Orders(requests=requests))).requests
    if way in seen:
        found["egress"]["sign-in"]["nodes"] = {"n1": asks.egress_facts("sign-in", seen[way], config, time.time())}
    if asks.AUTHORIZATION in seen:
        found["oidc"] |= asks.authorization_facts(seen[asks.AUTHORIZATION])
    facts = facts_of({"facts_version": 1, "nodes": [{"name": "n1", "ready": True, "os": "linux"}], **found})
    report = report_of(facts, config, select(["oidc-provider", "egress-sign-in"], []), {})
    return {each.check.code: (str(each.finding.verdict), each.finding.cause) for each in report.results}


async def test_a_provider_that_is_right_passes_from_here_and_from_a_pod(provider: OpenId) -> None:
    ca = provider.ca.read_text()
    found = await verdicts(configured(provider), ca)
    assert found == {"oidc-provider": ("pass", ""), "egress-sign-in": ("pass", "")}


async def test_without_an_issuer_nothing_is_needed() -> None:
    found = await verdicts({"oidc": {"issuer": ""}}, "")
    assert set(found.values()) == {("pass", "not-needed")}


async def test_each_way_it_can_be_broken_is_told_by_its_name(provider: OpenId, tmp_path: Path) -> None:
    ca = provider.ca.read_text()
    (nobody,) = free_ports(1)
    slash = await verdicts(configured(provider, f"{provider.issuer}/"), ca)
    assert slash["oidc-provider"] == ("fail", "issuer")
    wrong_path = await verdicts(configured(provider, f"{provider.issuer}/realms/none"), ca)
    assert wrong_path["oidc-provider"] == ("fail", "unreachable")
    away = await verdicts(configured(provider, f"https://localhost:{nobody}"), ca)
    assert (away["oidc-provider"][0], away["egress-sign-in"]) == ("unknown", ("fail", "tcp")), "the way is the finding"
    untrusted = await verdicts(configured(provider), "")
    assert (untrusted["oidc-provider"][0], untrusted["egress-sign-in"]) == ("unknown", ("fail", "tls"))
    pod_cannot = await verdicts(configured(provider), ca, "")
    assert pod_cannot["oidc-provider"] == ("fail", "pod-cannot")
    elsewhere = await verdicts(configured(provider, url="https://other.invalid"), ca)
    assert elsewhere["oidc-provider"] == ("fail", "redirect")


async def test_a_provider_that_does_not_sign_with_rs256_is_a_warning(tmp_path: Path) -> None:
    with openid(tmp_path / "openid", REDIRECT, jwks=an_elliptic_key("e"), algorithms=["ES256"]) as elliptic:
        found = await verdicts(configured(elliptic), elliptic.ca.read_text())
    assert found["oidc-provider"] == ("warn", "algorithm")


async def by_the_installed(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """What the daily checks of an installed product say of both."""
    config = config_of(document)
    found = await inside.facts(config, [], time.time())
    facts = facts_of({"facts_version": 1, "run": {"after_install": True}, **found})
    report = report_of(facts, config, select(["oidc-provider", "egress-sign-in"], []), {})
    return {each.check.code: (str(each.finding.verdict), each.finding.cause) for each in report.results}


async def test_an_installed_product_asks_the_provider_as_well(
    provider: OpenId, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = dict.fromkeys(("oidc-provider", "egress-sign-in"), ("unknown", "not-known"))
    assert await by_the_installed(configured(provider)) == nothing, "which authorities it may trust is not kept"
    monkeypatch.setenv("SSL_CERT_FILE", str(provider.ca))
    assert set((await by_the_installed(configured(provider))).values()) == {("pass", "")}
    slash = await by_the_installed(configured(provider, f"{provider.issuer}/"))
    assert slash["oidc-provider"] == ("fail", "issuer")
    (nobody,) = free_ports(1)
    away = await by_the_installed(configured(provider, f"https://localhost:{nobody}"))
    assert away == {"oidc-provider": ("unknown", "not-known"), "egress-sign-in": ("fail", "tcp")}
    by_proxy = {"proxy": {"https": f"http://127.0.0.1:{nobody}", "credentials_secret": "agent"}}
    assert await by_the_installed({**configured(provider), **by_proxy}) == nothing, "its password is not kept"


async def test_a_bundle_that_does_not_vouch_for_a_host_is_told_with_the_host(provider: OpenId, tmp_path: Path) -> None:
    certificates.write(tmp_path, {})
    config = config_of(configured(provider))
    for ca, vouches in ((provider.ca.read_text(), True), ((tmp_path / "ca.crt").read_text(), False)):
        found = await here.facts(config, ca)
        assert found["certificates"] == {"bundle": {"covers": {"localhost": vouches}}}
    assert "certificates" not in await here.facts(config, "")
