"""One provider: what its documents say, kept for a while, and whom it vouches for.

Source: OpenID Connect Discovery 1.0, section 4; OpenID Connect Core 1.0, section 3.1; RFC 7636 (PKCE); RFC 9207 (`iss`).
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from joserfc.jwk import KeySet

from fairlead.runtime.errors import Denied
from fairlead.server.auth.oidc.asking import Answer, Line, ask, unreachable
from fairlead.server.auth.oidc.id_tokens import Expected, UnknownKey, differs, keys_of, verified
from fairlead.server.auth.secrets import challenge_of

_FRESH_SECONDS: Final = 300
"""So long documents and keys are taken as read."""
_FLOOR_SECONDS: Final = 10
"""Keys are read no more often than this, however many tokens are signed with unknown ones."""
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True, kw_only=True)
class Client:
    """This application, as the provider knows it."""

    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    """Empty for an application without one."""
    redirect_uri: str
    scopes: tuple[str, ...] = ("openid", "profile", "email")


@dataclass(frozen=True, kw_only=True)
class Begun:
    """What one sign-in is begun with, known to the browser that began it alone."""

    state: str
    nonce: str
    verifier: str = field(repr=False)


class Provider:
    """Asks it when somebody signs in; nothing is asked before."""

    def __init__(self, client: Client, line: Line, now: Callable[[], float]) -> None:
        self.client = client
        self._line = line
        self._now = now
        self._lock = asyncio.Lock()
        self._document: dict[str, Any] = {}
        self._document_read = float("-inf")
        self._keys = KeySet([])
        self._keys_read = float("-inf")

    async def sign_in_address(self, begun: Begun) -> str:
        """Where the browser is sent to.

        Raises: Unreachable, or Denied where the provider's document is not as it has to be.
        """
        endpoint = (await self._discovered())["authorization_endpoint"]
        asked = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": self.client.redirect_uri,
            "scope": " ".join(self.client.scopes),
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": challenge_of(begun.verifier),
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(asked)}"

    async def claims(self, answer: Mapping[str, str], begun: Begun, wanted: tuple[str, ...]) -> dict[str, Any]:
        """Of whoever came back from there. `wanted`: claims to ask for where the token has them not.

        Raises: Unreachable, or Denied with what was wrong.
        """
        document = await self._discovered()
        self._check_sender(answer, document)
        if error := answer.get("error"):
            said = _printable(answer.get("error_description", ""))
            raise Denied(
                f"The provider did not sign you in: {said or _printable(error)}.",
                hint="Sign in again; where that does not help, ask whoever runs the provider.",
                code="provider-refused",
            )
        tokens = await self._tokens(answer.get("code", ""), begun, document)
        found = await self._verified(str(tokens.get("id_token", "")), begun.nonce, document)
        if any(name not in found for name in wanted) and document.get("userinfo_endpoint"):
            return {**await self._user(str(tokens.get("access_token", "")), found, document), **found}
        return found

    async def _discovered(self) -> dict[str, Any]:
        async with self._lock:
            if self._now() - self._document_read >= _FRESH_SECONDS:
                self._document = await self._read_document()
                self._document_read = self._now()
            return self._document

    async def _read_document(self) -> dict[str, Any]:
        issuer = self.client.issuer
        url = issuer.removesuffix("/") + "/.well-known/openid-configuration"
        found = (await self._answered(url)).document
        if "issuer" not in found:
            raise Denied(
                f"{url} holds no document of an OpenID Connect provider.",
                hint="server.oidc.issuer has to be the address of one.",
                code="no-document",
            )
        if found["issuer"] != issuer:
            raise differs(str(found["issuer"]), issuer, "the provider's document")
        for name in _ENDPOINTS:
            if not _is_safe(str(found.get(name, "")), issuer):
                raise Denied(
                    f"The provider's document names no `{name}` with https.",
                    hint="Set up TLS there.",
                    code="no-document",
                )
        return found

    def _check_sender(self, answer: Mapping[str, str], document: Mapping[str, Any]) -> None:
        """That it was this provider that sent the browser back."""
        said = answer.get("iss")
        told = document.get("authorization_response_iss_parameter_supported") is True
        if said != self.client.issuer and (said is not None or told):
            raise differs(said or "", self.client.issuer, "the provider's answer")

    async def _tokens(self, code: str, begun: Begun, document: Mapping[str, Any]) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.client.redirect_uri,
            "code_verifier": begun.verifier,
        }
        headers = {}
        methods = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if not self.client.client_secret:
            form["client_id"] = self.client.client_id
        elif "client_secret_basic" in methods or "client_secret_post" not in methods:
            headers["Authorization"] = _basic(self.client.client_id, self.client.client_secret)
        else:
            form |= {"client_id": self.client.client_id, "client_secret": self.client.client_secret}
        answer = await ask(self._line, document["token_endpoint"], form=form, headers=headers)
        if answer.status != 200 or "id_token" not in answer.document:
            raise self._refused(answer)
        return answer.document

    def _refused(self, answer: Answer) -> Denied:
        error = _printable(str(answer.document.get("error", "")))
        if error == "invalid_client" or answer.status == 401:
            return Denied(
                f"The provider refuses the client secret of {self.client.client_id!r} ({error or answer.status}).",
                hint="server.oidc.clientSecretFile has to hold the secret this application has there; "
                "after a change there the server is started again.",
                code="client-secret",
            )
        if error == "invalid_grant":
            return Denied("This sign-in is over, or was used.", hint="Sign in again.", code="used-code")
        said = _printable(str(answer.document.get("error_description", ""))) or error
        return Denied(
            f"The provider gave no token: it answered {answer.status}{f', {said}' if said else ''}.",
            hint="Has this application the authorization code flow there?",
            code="no-token",
        )

    async def _verified(self, token: str, nonce: str, document: Mapping[str, Any]) -> dict[str, Any]:
        expected = Expected(issuer=self.client.issuer, client_id=self.client.client_id, nonce=nonce)
        for age in (_FRESH_SECONDS, _FLOOR_SECONDS):
            keys = await self._signing_keys(str(document["jwks_uri"]), age)
            try:
                return verified(token, keys, expected, self._now())
            except UnknownKey:
                continue
        raise Denied(
            "The provider's token is signed with a key that is not among those it publishes.",
            hint="Sign in again in a minute; where that does not help, its keys are broken.",
            code="unknown-key",
        )

    async def _signing_keys(self, url: str, age: float) -> KeySet:
        """Its keys, no older than that. Units: seconds."""
        async with self._lock:
            if self._now() - self._keys_read >= age:
                self._keys = keys_of((await self._answered(url)).document)
                self._keys_read = self._now()
            return self._keys

    async def _user(self, access_token: str, claims: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
        """What its userinfo says of the same person; nothing where it says nothing."""
        url = str(document["userinfo_endpoint"])
        if not _is_safe(url, self.client.issuer):
            return {}
        answer = await ask(self._line, url, headers={"Authorization": f"Bearer {access_token}"})
        return answer.document if answer.status == 200 and answer.document.get("sub") == claims["sub"] else {}

    async def _answered(self, url: str) -> Answer:
        answer = await ask(self._line, url)
        if answer.status != 200:
            path = urlsplit(url).path
            raise unreachable(url, self._line.proxy_for(url), f"it answered {answer.status} to {path}")
        return answer


def is_secure(url: str) -> bool:
    """Whether an address of a provider is https, or is on this machine, where nobody listens in."""
    parts = urlsplit(url)
    here = parts.hostname in ("127.0.0.1", "localhost", "::1")
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and here))


def _is_safe(url: str, issuer: str) -> bool:
    """Whether what a document names may be asked: nothing goes from https back to http."""
    return is_secure(url) and (url.startswith("https:") or issuer.startswith("http:"))


def _basic(name: str, secret: str) -> str:
    pair = f"{quote(name, safe='')}:{quote(secret, safe='')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _printable(text: str) -> str:
    """What the provider says, fit for a sentence."""
    return "".join(c for c in text if c.isprintable())[:200].rstrip(". ")
