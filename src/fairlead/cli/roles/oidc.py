"""The settings of sign-in with an external provider, looked at when the control plane starts."""

from __future__ import annotations

import ssl
from typing import Final
from urllib.parse import urlsplit

from fairlead.cli.roles.files import credentials_in, secret_in
from fairlead.cli.roles.settings import GroupRoleSettings, OidcSettings
from fairlead.runtime.errors import Invalid
from fairlead.runtime.proxies import Proxy, Way, proxy_for
from fairlead.runtime.settings import environment
from fairlead.runtime.trust import trusting
from fairlead.server.api.sign_in import CALLBACK
from fairlead.server.auth.oidc.asking import Line
from fairlead.server.auth.oidc.provider import Client, is_secure
from fairlead.server.auth.permissions import ADMINISTRATOR, PERMISSIONS
from fairlead.server.config import GroupRole, OidcConfig

_NAMES_IN: Final = {"system": 0, "cluster": 1, "department": 2, "project": 2}
"""How many names stand behind the word of a scope."""


def oidc_of(mine: OidcSettings, public_url: str) -> OidcConfig | None:
    """Sign-in as it was set; None where no issuer is. Raises: Invalid for what cannot be."""
    if not mine.issuer:
        return None
    _check_addresses(mine, public_url)
    client = Client(
        issuer=mine.issuer,
        client_id=mine.client_id,
        client_secret=_client_secret(mine.client_secret_file),
        redirect_uri=public_url.rstrip("/") + CALLBACK,
        scopes=mine.scopes,
    )
    return OidcConfig(
        client=client,
        line=_line(mine),
        name=mine.name or urlsplit(mine.issuer).hostname or mine.issuer,
        username_claim=mine.username_claim,
        groups_claim=mine.groups_claim,
        group_roles=tuple(_group_role(each) for each in mine.group_roles),
    )


def _check_addresses(mine: OidcSettings, public_url: str) -> None:
    if not is_secure(mine.issuer) or urlsplit(mine.issuer).query:
        raise Invalid(
            f"server.oidc.issuer is {mine.issuer!r}, which is no address of a provider.",
            hint="Expected https://HOST and what follows in the provider's own document; http only on this machine.",
        )
    if not public_url:
        raise Invalid(
            "server.oidc.issuer is set and server.publicUrl is not.",
            hint="The provider sends browsers back to server.publicUrl: give the address people use.",
        )
    if not mine.client_id:
        raise Invalid(
            "server.oidc.issuer is set and server.oidc.clientId is not.",
            hint="It is the id this application got where it was registered with the provider.",
        )
    if "openid" not in mine.scopes:
        raise Invalid(
            f"server.oidc.scopes are {' '.join(mine.scopes)!r}, without openid.", hint="Expected: openid and more."
        )


def _client_secret(file: str) -> str:
    return secret_in(file, "server.oidc.clientSecretFile") if file else ""


def _line(mine: OidcSettings) -> Line:
    credentials = credentials_in(mine.proxy_credentials_file, "server.oidc.proxyCredentialsFile")
    way = Way(proxy=mine.proxy, credentials=credentials, no_proxy=mine.no_proxy)
    env = environment()

    def find(url: str) -> Proxy | None:
        return proxy_for(url, way, env, "server.oidc.proxy")

    find(mine.issuer)
    return Line(tls=_tls(mine.ca_file) if mine.ca_file else None, proxy_for=find)


def _tls(file: str) -> ssl.SSLContext:
    try:
        return trusting(file)
    except OSError as error:
        raise Invalid(
            f"server.oidc.caFile is {file!r}, which cannot be read as certificates.", hint="Name a file in PEM form."
        ) from error


def _group_role(mine: GroupRoleSettings) -> GroupRole:
    what, *names = mine.scope.split("/")
    if mine.role not in PERMISSIONS:
        raise Invalid(
            f"server.oidc.groupRoles gives {mine.group!r} the role {mine.role!r}, which there is not.",
            hint=f"Roles: {', '.join(PERMISSIONS)}.",
        )
    if _NAMES_IN.get(what) != len(names) or not all(names):
        raise Invalid(
            f"server.oidc.groupRoles gives {mine.group!r} a role in {mine.scope!r}, which is no scope.",
            hint="Scopes: system, cluster/NAME, department/CLUSTER/NAME, project/CLUSTER/NAME.",
        )
    if mine.role == ADMINISTRATOR and what != "system":
        raise Invalid(
            f"server.oidc.groupRoles gives {mine.group!r} the role {ADMINISTRATOR} in {mine.scope!r}.",
            hint=f"The role {ADMINISTRATOR} holds in the whole system only: leave `scope` out.",
        )
    return GroupRole(group=mine.group, role=mine.role, scope=mine.scope)
