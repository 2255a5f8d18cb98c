"""What is believed of an ID token, and what is said where it is not. Pure.

Source: OpenID Connect Core 1.0, section 3.1.3.7.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

from fairlead.runtime.errors import Denied

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures that only the provider can make: no `none`, and nothing that is checked with the client's own secret."""
LEEWAY_SECONDS: Final = 60
"""So much may the clocks of this server and the provider differ."""
_KINDS: Final[Mapping[str, type[RSAKey] | type[ECKey]]] = {"RSA": RSAKey, "EC": ECKey}
_REGISTRY: Final = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
"""Header fields that nobody here knows are no reason to refuse, unless they say that they are (`crit`)."""
_LONGEST: Final = 255


class UnknownKey(Exception):
    """The token is signed with a key that is not among those that were read."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Whose token for whom it has to be. `nonce`: what the sign-in it answers was begun with."""

    issuer: str
    client_id: str
    nonce: str


def keys_of(document: Mapping[str, Any]) -> KeySet:
    """The keys of a provider's document that sign; those nobody here can use are left out."""
    listed = document.get("keys")
    found = [_key(each) for each in (listed if isinstance(listed, list) else ()) if isinstance(each, dict)]
    return KeySet([key for key in found if key is not None])


def verified(token: str, keys: KeySet, expected: Expected, now: float) -> dict[str, Any]:
    """The claims of a token that is signed by the provider, for this client, for this sign-in, and for now.

    Raises: UnknownKey where other keys may help; Denied with what is wrong.
    """
    claims = _signed(token, keys)
    _check_parties(claims, expected)
    _check_times(claims, now)
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), expected.nonce.encode()):
        raise Denied(
            "The provider's token answers another sign-in than this one.", hint="Sign in again.", code="wrong-nonce"
        )
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST:
        raise _malformed("`sub` is no text of 1 to 255 characters")
    return claims


def _key(document: dict[str, Any]) -> RSAKey | ECKey | None:
    kind = _KINDS.get(str(document.get("kty")))
    if kind is None or document.get("use", "sig") != "sig":
        return None
    try:
        return kind.import_key(document)
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def _signed(token: str, keys: KeySet) -> dict[str, Any]:
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError) as error:
        raise _malformed("it is no signed token") from error
    if header.get("alg") not in ALGORITHMS:
        raise Denied(
            f"The provider signs with {str(header.get('alg'))[:20]!r}, which is not accepted.",
            hint=f"Set it to one of {', '.join(ALGORITHMS)} for this client; RS256 is the usual one.",
            code="algorithm",
        )
    fitting = [key for key in keys.keys if header.get("kid") is None or key.kid == header["kid"]]
    for key in fitting:
        try:
            return dict(jwt.decode(token, key, registry=_REGISTRY).claims)
        except (JoseError, ValueError, TypeError):
            continue
    raise UnknownKey


def _check_parties(claims: Mapping[str, Any], expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise differs(str(claims.get("iss", "")), expected.issuer, "the provider's token")
    audience = claims.get("aud")
    audience = audience if isinstance(audience, list) else [audience]
    party = claims.get("azp", expected.client_id if len(audience) == 1 else None)
    if expected.client_id not in audience or party != expected.client_id:
        raise Denied(
            "The provider's token is meant for another application.",
            hint="server.oidc.clientId has to be the id of this application there.",
            code="audience",
        )


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    issued, ends, begins = (claims.get(name, default) for name, default in (("iat", None), ("exp", None), ("nbf", 0)))
    if not all(isinstance(each, int | float) for each in (issued, ends, begins)):
        raise _malformed("`iat` and `exp` are no times")
    assert isinstance(issued, int | float)
    assert isinstance(ends, int | float)
    assert isinstance(begins, int | float)
    ahead = max(issued, begins) - now
    if ahead > LEEWAY_SECONDS:
        raise _clock(f"the provider's token begins in {ahead:.0f} s by this server's clock")
    if now - ends >= LEEWAY_SECONDS:
        raise _clock(f"the provider's token, made just now, ended {now - ends:.0f} s ago by this server's clock")


def differs(said: str, wanted: str, where: str) -> Denied:
    """The issuer is not the one that was set, and nothing else is good enough."""
    slash = " They differ by the slash at the end, which counts." if said.rstrip("/") == wanted.rstrip("/") else ""
    return Denied(
        f"{where[:1].upper()}{where[1:]} names the issuer {said[:200]!r}, and this server is set to {wanted!r}.{slash}",
        hint="server.oidc.issuer has to be what the provider says, character by character.",
        code="issuer",
    )


def _clock(what: str) -> Denied:
    return Denied(
        f"The clocks of this server and the provider differ: {what}.",
        hint=f"Up to {LEEWAY_SECONDS} s are allowed for. Let both machines take the time from a time server.",
        code="clock",
    )


def _malformed(what: str) -> Denied:
    return Denied(
        f"The provider's token cannot be read: {what}.", hint="Is it an OpenID Connect provider?", code="bad-token"
    )
