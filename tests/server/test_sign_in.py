"""Sign-in with a certified OpenID provider over TLS: who gets in as whom, and what is said in each way it can go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from tests.parts.apiserver import free_ports
from tests.parts.openid import PEOPLE, SECRET, OpenId, an_elliptic_key, an_rsa_key, openid
from tests.parts.proxies import tinyproxy
from tests.server.sign_in import PASSWORD, Site

from fairlead.server.auth.permissions import administrator
from fairlead.server.services import access, accounts, clusters, organisation
from fairlead.wire.rest.organisation import PoolResources, ProjectCreate, ResourceQuota

ROOT = administrator("test")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OpenId, int]]:
    (port,) = free_ports(1)
    redirect = f"http://127.0.0.1:{port}/oidc/callback"
    with openid(tmp_path_factory.mktemp("openid"), redirect) as provider:
        yield provider, port


@pytest.fixture
def site(running: tuple[OpenId, int], tmp_path: Path) -> Iterator[Site[OpenId]]:
    """With the provider as it was; whatever a test changes there is taken back."""
    provider, port = running
    before = dict(provider.settings)
    yield Site(f"http://127.0.0.1:{port}", provider, tmp_path)
    if provider.settings != before or not provider.is_running:
        provider.stop()
        provider.start(**before)


async def test_the_first_sign_in_makes_an_account_with_the_roles_of_its_groups_and_the_second_finds_it(
    site: Site[OpenId],
) -> None:
    async with site.serving() as context:
        first = await site.sign_in("0001")
        again = await site.sign_in("0001")
        assert first["who"] == {"username": "mira", "role": "administrator"}, first
        assert again["who"] == first["who"]
        users = await access.list_users(context, ROOT)
        assert [(user.username, user.is_local) for user in users] == [("admin", True), ("mira", False)]
        assert first["provider"] == {"name": "localhost", "href": f"{site.url}/oidc/sign-in"}


async def test_a_person_of_one_project_sees_that_and_no_other_tenant_s(site: Site[OpenId]) -> None:
    async with site.serving() as context:
        north, _ = await clusters.create_cluster(context, ROOT, "north")
        for name in ("vision", "speech"):
            quota = PoolResources(gpu=ResourceQuota(deserved=1))
            body = ProjectCreate(name=name, cluster_id=north.id, resources=[quota])
            await organisation.create_project(context, ROOT, body)
        async with site.browser() as browser:
            told = await browser.sign_in("0002", "/projects?p=vision")
            assert told["who"] == {"username": "noah", "role": "researcher"}, told
            assert browser.places[-1] == f"{site.url}/projects?p=vision"
            _, found = await browser.get("/api/v1/org-unit/projects")
            assert [each["name"] for each in found["projects"]] == ["vision"]
            status, _ = await browser.get("/api/v1/users")
            assert status == 403
            await browser.sign_out()
            assert (await browser.told())["who"] is None


async def test_a_role_goes_with_the_group_and_what_an_administrator_gave_stays(site: Site[OpenId]) -> None:
    async with site.serving() as context:
        assert (await site.sign_in("0001"))["who"]["role"] == "administrator"
        mira = next(user for user in await access.list_users(context, ROOT) if user.username == "mira")
        site.provider.stop()
        site.provider.start(people={**PEOPLE, "0001": {**PEOPLE["0001"], "groups": ["others"]}})
        gone = await site.sign_in("0001")
        assert gone["who"] is None
        assert "nobody has given you a role yet" in gone["said"]
        assert "these groups of yours: others" in gone["said"]
        asked = access.Asked(user_id=mira.id, role="viewer", scope_type="system", scope_id="")
        await access.create_rule(context, ROOT, asked)
        assert (await site.sign_in("0001"))["who"] == {"username": "mira", "role": "viewer"}


async def test_somebody_without_a_group_is_told_whom_to_ask_and_gets_in_once_a_role_is_given(
    site: Site[OpenId],
) -> None:
    async with site.serving() as context:
        told = await site.sign_in("0003")
        assert told["who"] is None
        assert "known here as 'olga' now" in told["said"]
        assert "no group of yours" in told["said"]
        olga = next(user for user in await access.list_users(context, ROOT) if user.username == "olga")
        asked = access.Asked(user_id=olga.id, role="researcher", scope_type="system", scope_id="")
        await access.create_rule(context, ROOT, asked)
        assert (await site.sign_in("0003"))["who"] == {"username": "olga", "role": "researcher"}


async def test_nobody_becomes_somebody_else_by_a_name_or_an_unverified_address(site: Site[OpenId]) -> None:
    async with site.serving() as context:
        told = await site.sign_in("0004")
        assert told["who"] is None
        assert "an account named 'admin' already" in told["said"]
        assert [user.username for user in await access.list_users(context, ROOT)] == ["admin"]
    async with site.serving(username_claim="email"):
        assert (await site.sign_in("0001"))["who"]["username"] == "mira@example.com"
        assert "has not made sure that 'noah@example.com' is your address" in (await site.sign_in("0002"))["said"]
        assert "has no claim 'email'" in (await site.sign_in("0003"))["said"]


async def test_the_provider_can_not_take_the_last_administrator_away(site: Site[OpenId]) -> None:
    """Who administrates by a group does not count: the group may be gone tomorrow."""
    async with site.serving() as context:
        await site.sign_in("0001")
        (rule,) = [r for r in await access.list_rules(context, ROOT) if r.created_by == "fairlead"]
        with pytest.raises(Exception, match="Nobody could administrate afterwards"):
            await access.delete_rule(context, ROOT, rule.id)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"secret": "another"}, "refuses the client secret of 'fairlead' (invalid_client)"),
        ({"issuer": "ISSUER/"}, "They differ by the slash at the end, which counts. server.oidc.issuer has to be"),
        ({"issuer": "ISSUER/realms/none"}, "it answered 404 to /realms/none/.well-known/openid-configuration"),
        ({"ca_file": ""}, "its certificate is not trusted"),
        ({"username_claim": "upn"}, "It has aud, "),
    ],
)
async def test_what_is_set_wrongly_is_said_on_the_page_and_no_secret_in_the_log(
    site: Site[OpenId], capsys: pytest.CaptureFixture[str], changed: dict[str, str], said: str
) -> None:
    changed = {key: value.replace("ISSUER", site.provider.issuer) for key, value in changed.items()}
    async with site.serving(**changed) as context:
        told = await site.sign_in("0001")
        assert (told["who"], said in told["said"]) == (None, True), told
        user = await accounts.password_login(context, "admin", PASSWORD)
        assert user.username == "admin", "the local administrator gets in all the same"
    written = "".join(capsys.readouterr())
    assert "sign_in.failed" in written
    assert not any(word in written for word in (SECRET, changed.get("secret", SECRET), "id_token", "code="))


async def test_a_provider_that_is_away_is_said_and_found_again(site: Site[OpenId]) -> None:
    async with site.serving():
        site.provider.stop()
        told = await site.sign_in("0001")
        assert f"localhost:{site.provider.port} cannot be reached: connect call failed" in told["said"], told
        assert "The local administrator signs in with the password all the same" in told["said"]
        site.provider.start()
        assert (await site.sign_in("0001"))["who"] is not None


@pytest.mark.parametrize("wrong_by", [-3600.0, 7200.0])
async def test_clocks_that_differ_are_said_with_the_difference(site: Site[OpenId], wrong_by: float) -> None:
    site.clock.wrong_by = wrong_by
    async with site.serving():
        told = await site.sign_in("0001")
        assert told["who"] is None
        assert "The clocks of this server and the provider differ" in told["said"]
        assert " 3" in told["said"], "an hour ahead, or an hour after the token ended"


async def test_new_keys_are_read_once_and_not_for_every_token(site: Site[OpenId]) -> None:
    async with site.serving():
        assert (await site.sign_in("0001"))["who"] is not None
        site.provider.stop()
        site.provider.start(jwks=an_rsa_key("second"))
        before = site.provider.asked("GET /jwks")
        assert "signed with a key that is not among those" in (await site.sign_in("0001"))["said"]
        assert site.provider.asked("GET /jwks") == before, "not within ten seconds"
        site.clock.wrong_by = 11
        assert (await site.sign_in("0001"))["who"] is not None
        assert (await site.sign_in("0001"))["who"] is not None
        assert site.provider.asked("GET /jwks") == before + 1


async def test_it_gets_on_with_other_ways_of_providers(site: Site[OpenId]) -> None:
    """Claims by userinfo, the secret in the body, no secret at all, another signature."""
    (client,) = site.provider.settings["clients"]
    other = {
        "claims_by_userinfo": True,
        "algorithms": ["ES256"],
        "jwks": an_elliptic_key("e"),
    }
    for methods in ("client_secret_post", "none"):
        site.provider.stop()
        told_client = {**client, "token_endpoint_auth_method": methods, "id_token_signed_response_alg": "ES256"}
        site.provider.start(**other, clients=[told_client], methods=[methods])
        alone = {"client_secret_file": ""} if methods == "none" else {}
        async with site.serving(**alone):
            told = await site.sign_in("0001")
            assert told["who"] == {"username": "mira", "role": "administrator"}, (methods, told)


async def test_what_is_signed_with_the_shared_secret_is_refused(site: Site[OpenId]) -> None:
    (client,) = site.provider.settings["clients"]
    site.provider.stop()
    site.provider.start(clients=[{**client, "id_token_signed_response_alg": "HS256"}], algorithms=["HS256", "RS256"])
    async with site.serving():
        assert "signs with 'HS256', which is not accepted" in (await site.sign_in("0001"))["said"]


async def test_only_the_browser_that_began_can_come_back_and_only_once(site: Site[OpenId]) -> None:
    async with site.serving(), site.browser() as mine, site.browser() as other:
        await mine.sign_in("0001")
        (callback,) = [place for place in mine.places if place.startswith(f"{site.url}/oidc/callback")]
        await other.follow(callback)
        told = await other.told()
        assert (told["who"], "not begun in this browser" in told["said"]) == (None, True)
        await mine.sign_out()
        await mine.follow(callback)
        assert "not begun in this browser" in (await mine.told())["said"]
        forged = f"{site.url}/oidc/callback?error=access_denied&error_description=Call+0900&state=s"
        await other.follow(forged)
        assert "0900" not in (await other.told())["said"], "nobody puts words into the page by a link"


async def test_who_turns_back_at_the_provider_is_told_so(site: Site[OpenId]) -> None:
    async with site.serving(), site.browser() as browser:
        await browser.follow(f"{site.url}/oidc/sign-in")
        page = browser.places[-1]
        await browser.follow(f"{page}/abort")
        told = await browser.told()
        assert "The provider did not sign you in: End-User aborted interaction" in told["said"], told


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/%5cevil.example",
        "workloads",
        "/workloads\r\nSet-Cookie: a=b",
        "/api/v1/users",
        "/oidc/sign-in",
        "javascript:alert(1)",
        "/workloads#@evil.example",
        "/workloads" + "x" * 2000,
    ],
)
async def test_nobody_is_sent_to_another_site(site: Site[OpenId], place: str) -> None:
    async with site.serving(), site.browser() as browser:
        told = await browser.sign_in("0001", place)
        assert told["who"] is not None
        assert browser.places[-1] == f"{site.url}/"


async def test_it_goes_through_a_proxy_with_credentials(site: Site[OpenId]) -> None:
    file = site.folder / "proxy-credentials"
    file.write_text("fairlead:word\n")
    with tinyproxy(site.folder, [site.provider.port], "fairlead:word") as port:
        way = {"proxy": f"http://127.0.0.1:{port}", "proxy_credentials_file": str(file)}
        async with site.serving(**way):
            assert (await site.sign_in("0001"))["who"] is not None
        assert f"CONNECT localhost:{site.provider.port}" in (site.folder / "tinyproxy.log").read_text()
        file.write_text("fairlead:wrong\n")
        async with site.serving(**way):
            said = (await site.sign_in("0001"))["said"]
            assert f"through the proxy http://127.0.0.1:{port}: the proxy answered 40" in said
            assert "wrong" not in said


async def test_a_session_of_a_provider_ends_sooner_and_a_password_has_no_way_in(site: Site[OpenId]) -> None:
    async with site.serving() as context:
        async with site.browser() as browser:
            await browser.sign_in("0001")
            site.clock.wrong_by = 12 * 3600 + 1
            assert (await browser.told())["who"] is None
        body = {"username": "mira", "password": ""}
        asked = f"{site.url}/api/fairlead/v1/session"
        async with aiohttp.ClientSession() as session, session.post(asked, json=body) as answer:
            assert answer.status == 403
        mira = next(user for user in await access.list_users(context, ROOT) if user.username == "mira")
        who = administrator("mira", mira.id)
        with pytest.raises(Exception, match="no password here"):
            await accounts.change_password(context, who, "", "a new password")


async def test_without_a_provider_the_page_offers_none(site: Site[OpenId]) -> None:
    async with site.serving(issuer=""), site.browser() as browser:
        assert (await browser.told())["provider"] is None
        await browser.follow(f"{site.url}/oidc/sign-in")
        assert "connected to no sign-in provider" in (await browser.told())["said"]
