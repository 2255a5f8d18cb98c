"""Settings of sign-in that cannot be: each a sentence with what to do, when the control plane starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fairlead.cli.roles.oidc import oidc_of
from fairlead.cli.roles.settings import GroupRoleSettings, OidcSettings, RoleTree
from fairlead.runtime.errors import Invalid
from fairlead.runtime.settings import load

GOOD: dict[str, Any] = {"issuer": "https://id.example/realms/corp", "client_id": "fairlead"}
URL = "https://fairlead.example"


def test_no_issuer_is_no_provider_and_the_rest_has_defaults() -> None:
    assert oidc_of(OidcSettings(), "") is None
    found = oidc_of(OidcSettings(**GOOD), f"{URL}/")
    assert found is not None
    assert (found.name, found.client.redirect_uri) == ("id.example", f"{URL}/oidc/callback")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"issuer": "id.example"}, "which is no address of a provider"),
        ({"issuer": "http://id.example"}, "which is no address of a provider"),
        ({"issuer": "https://id.example?a=b"}, "which is no address of a provider"),
        ({"client_id": ""}, "server.oidc.clientId is not"),
        ({"scopes": ("profile",)}, "without openid"),
        ({"client_secret_file": "/none/such"}, "/none/such cannot be read"),
        ({"client_secret_file": "EMPTY"}, "is empty"),
        ({"ca_file": "EMPTY"}, "cannot be read as certificates"),
        ({"proxy": "socks5://p"}, "server.oidc.proxy is 'socks5://p', which is no HTTP proxy"),
        ({"group_roles": (GroupRoleSettings(group="g", role="admin"),)}, "the role 'admin', which there is not"),
        ({"group_roles": (GroupRoleSettings(group="g", role="viewer", scope="project/a"),)}, "which is no scope"),
        ({"group_roles": (GroupRoleSettings(group="g", role="viewer", scope="cluster/"),)}, "which is no scope"),
        (
            {"group_roles": (GroupRoleSettings(group="g", role="administrator", scope="cluster/a"),)},
            "Expected|holds in the whole system only",
        ),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, changed: dict[str, Any], told: str) -> None:
    (tmp_path / "empty").write_text("")
    changed = {key: str(tmp_path / "empty") if value == "EMPTY" else value for key, value in changed.items()}
    with pytest.raises(Invalid) as refused:
        oidc_of(OidcSettings(**(GOOD | changed)), URL)
    assert any(each in str(refused.value) for each in told.split("|")), str(refused.value)


def test_the_address_people_use_has_to_be_known() -> None:
    with pytest.raises(Invalid, match=r"server\.publicUrl is not"):
        oidc_of(OidcSettings(**GOOD), "")


def test_it_is_read_from_a_file_and_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("server: {oidc: {clientId: a, groupRoles: [{group: 'cn=a,dc=b', role: viewer}], scopes: [openid]}}")
    found = load(RoleTree, file=file, env={"FAIRLEAD_SERVER_OIDC_CLIENT_ID": "b"}).server.oidc
    assert (found.client_id, found.scopes, found.group_roles[0].group) == ("b", ("openid",), "cn=a,dc=b")
