"""Channel grants: signed here, with a key whose public part each agent is told, and read again when the agent dials."""

from __future__ import annotations

from typing import Any, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from msgspec.structs import replace

from fairlead.runtime.errors import Denied
from fairlead.wire.agent import Open
from fairlead.wire.grants import ALGORITHM, USE, claims

_CURVE: Final = ec.SECP256R1()
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of that curve's group: a private key is a number from 1 to below it. Source: FIPS 186-4, D.1.2.3."""


class Grants:
    """Signs grants. The key follows from the signing key of the installation, so that every process of it has the same."""

    def __init__(self, signing_key: bytes) -> None:
        self._key = _key_of(signing_key)

    @property
    def public(self) -> dict[str, Any]:
        """The public part, as a JSON Web Key."""
        return dict(self._key.as_dict(private=False))

    def sign(self, ask: Open, *, cluster: str, connection: str, user: str, now: float) -> Open:
        """`ask` with its grant."""
        made = claims(ask, cluster=cluster, connection=connection, user=user, now=now)
        return replace(ask, grant=jwt.encode({"alg": ALGORITHM}, made, self._key))

    def channel_of(self, token: str, *, now: float) -> tuple[str, str]:
        """(cluster id, channel) a grant was made for.

        Raises: Denied where it is not ours, or over.
        """
        try:
            found = jwt.decode(token, self._key, algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError) as error:
            raise Denied("The grant is not one of this server's.", code="grant") from error
        if found.get("use") != USE or found.get("exp", 0) <= now:
            raise Denied("The grant is no longer valid.", code="grant")
        return str(found["cluster"]), str(found["jti"])


def _key_of(signing_key: bytes) -> ECKey:
    seed = HKDF(algorithm=hashes.SHA256(), length=48, salt=None, info=b"fairlead channel grants").derive(signing_key)
    made = ec.derive_private_key(int.from_bytes(seed, "big") % (_ORDER - 1) + 1, _CURVE)
    return ECKey.import_key(
        made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
