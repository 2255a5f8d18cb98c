"""Bearer tokens: JSON Web Tokens signed with the server's key.

Existing clients decode the payload with plain base64, so claims are ASCII words without `~`, `?` and `>`; the key's claims below are
ids and numbers only.
"""

from __future__ import annotations

from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from fairlead.runtime.errors import SignedOut

_ALGORITHM = "HS256"


class Tokens:
    """Signs and reads them."""

    def __init__(self, signing_key: bytes) -> None:
        self._key = OctKey.import_key(signing_key)

    def access(self, user_id: str, *, now: float, seconds: int) -> str:
        """A bearer token for the REST API."""
        return self._sign({"use": "access", "sub": user_id, "iat": int(now), "exp": int(now) + seconds})

    def user_of(self, token: str, *, now: float) -> str:
        """The user id a bearer token speaks for.

        Raises: SignedOut where it is not ours, or over.
        """
        return str(self._read(token, "access", now)["sub"])

    def _sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": _ALGORITHM}, claims, self._key)

    def _read(self, token: str, use: str, now: float) -> dict[str, Any]:
        try:
            claims = jwt.decode(token, self._key, algorithms=[_ALGORITHM]).claims
        except (JoseError, ValueError) as error:
            raise SignedOut("The token is not one of this server's.", hint="Sign in again.") from error
        if claims.get("use") != use or claims.get("exp", 0) <= now:
            raise SignedOut("The token is no longer valid.", hint="Sign in again.")
        return claims
