"""ID tokens: one that is right is believed, and each that is wrong in one thing is refused for that."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from tests.parts.openid import an_elliptic_key, an_rsa_key

from fairlead.runtime.errors import Denied
from fairlead.server.auth.oidc.id_tokens import Expected, UnknownKey, keys_of, verified

NOW = 1_000_000.0
EXPECTED = Expected(issuer="https://id.example/", client_id="fairlead", nonce="n")
RIGHT: dict[str, Any] = {
    "iss": "https://id.example/",
    "sub": "0001",
    "aud": "fairlead",
    "iat": NOW,
    "exp": NOW + 300,
    "nonce": "n",
}
KEYS = an_rsa_key("a")
OTHERS = an_rsa_key("a")
ELLIPTIC = an_elliptic_key("e")


def signed(claims: dict[str, Any], keys: dict[str, Any] = KEYS, alg: str = "RS256", **header: Any) -> str:
    (document,) = keys["keys"]
    key = next(iter(KeySet.import_key_set({"keys": [document]}).keys))
    return jwt.encode({"alg": alg, "kid": document["kid"], **header}, claims, key, algorithms=[alg])


def _part(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def public(*sets: dict[str, Any]) -> KeySet:
    """The keys as a provider publishes them."""
    return keys_of({"keys": [each for found in sets for each in found["keys"]]})


@pytest.mark.parametrize(("keys", "alg"), [(KEYS, "RS256"), (KEYS, "PS512"), (ELLIPTIC, "ES256")])
def test_a_token_that_is_right_is_believed(keys: dict[str, Any], alg: str) -> None:
    assert verified(signed(RIGHT, keys, alg), public(KEYS, ELLIPTIC), EXPECTED, NOW)["sub"] == "0001"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"iss": "https://id.example"}, "issuer"),
        ({"iss": "https://ID.example/"}, "issuer"),
        ({"aud": "another"}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": ["fairlead", "another"]}, "audience"),
        ({"aud": ["fairlead", "another"], "azp": "another"}, "audience"),
        ({"azp": "another"}, "audience"),
        ({"nonce": "m"}, "wrong-nonce"),
        ({"nonce": None}, "wrong-nonce"),
        ({"iat": NOW + 61}, "clock"),
        ({"nbf": NOW + 61}, "clock"),
        ({"exp": NOW - 60}, "clock"),
        ({"exp": "soon"}, "bad-token"),
        ({"iat": None}, "bad-token"),
        ({"sub": ""}, "bad-token"),
        ({"sub": 1}, "bad-token"),
        ({"sub": "x" * 256}, "bad-token"),
    ],
)
def test_one_wrong_claim_is_enough_to_refuse(changed: dict[str, Any], code: str) -> None:
    with pytest.raises(Denied) as refused:
        verified(signed(RIGHT | changed), public(KEYS), EXPECTED, NOW)
    assert refused.value.code == code


@pytest.mark.parametrize("changed", [{"iat": NOW + 59}, {"exp": NOW - 59}, {"aud": ["fairlead"], "azp": "fairlead"}])
def test_clocks_may_differ_a_little_and_an_audience_may_be_a_list(changed: dict[str, Any]) -> None:
    assert verified(signed(RIGHT | changed), public(KEYS), EXPECTED, NOW)


def test_a_slash_at_the_end_is_pointed_out() -> None:
    with pytest.raises(Denied, match="the slash at the end, which counts"):
        verified(signed(RIGHT | {"iss": "https://id.example"}), public(KEYS), EXPECTED, NOW)


def test_keys_of_others_are_not_taken_for_the_provider_s() -> None:
    for token, keys in (
        (signed(RIGHT, OTHERS), public(KEYS)),
        (signed(RIGHT), public()),
        (signed(RIGHT, kid="b"), public(KEYS)),
        (signed(RIGHT, ELLIPTIC, "ES256", kid="a"), public(KEYS)),
    ):
        with pytest.raises(UnknownKey):
            verified(token, keys, EXPECTED, NOW)


def test_a_changed_token_is_no_token_of_the_provider() -> None:
    head, _, signature = signed(RIGHT).split(".")
    with pytest.raises(UnknownKey):
        verified(f"{head}.{_part(RIGHT | {'sub': '0002'})}.{signature}", public(KEYS), EXPECTED, NOW)


def test_what_anybody_could_sign_is_refused() -> None:
    """Without a signature, or with the provider's public key as a shared secret."""
    none, shared, body = (_part(each) for each in ({"alg": "none"}, {"alg": "HS256", "kid": "a"}, RIGHT))
    public_key = RSAKey.import_key(KEYS["keys"][0]).as_pem(private=False)
    mark = hmac.digest(public_key, f"{shared}.{body}".encode(), "sha256")
    confused = f"{shared}.{body}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"
    for token in (f"{none}.{body}.", confused):
        with pytest.raises(Denied) as refused:
            verified(token, public(KEYS), EXPECTED, NOW)
        assert refused.value.code == "algorithm"
    for nonsense in ("", "a.b", "a.b.c", signed(RIGHT)[:50]):
        with pytest.raises(Denied) as refused:
            verified(nonsense, public(KEYS), EXPECTED, NOW)
        assert refused.value.code == "bad-token"


def test_keys_nobody_here_can_use_are_left_out() -> None:
    (good,) = KEYS["keys"]
    odd = [
        {"kty": "oct", "k": "c2VjcmV0"},
        {**good, "use": "enc"},
        {"kty": "RSA", "n": "?"},
        {"kty": "new"},
        "text",
        good,
    ]
    assert [key.kid for key in keys_of({"keys": odd}).keys] == ["a"]
    assert list(keys_of({}).keys) == []
