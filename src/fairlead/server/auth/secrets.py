"""Passwords and random secrets. Hashing a password takes tens of milliseconds on purpose, so it runs in a worker thread.

What `new_secret` makes cannot be guessed at any speed: programs that show it with each command are not kept waiting.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher()
_SLOW = "$argon2"
"""How the hash of a password begins, and that of keys made before they had a quick one."""


@lru_cache(maxsize=1)
def _decoy() -> str:
    """A hash to check against where the name is unknown, so that unknown and known names take equally long."""
    return _hasher.hash(secrets.token_urlsafe(16))


def new_secret(length: int = 32) -> str:
    """A random text of about 1.3 x `length` characters without `_`, safe in addresses and shells."""
    return secrets.token_urlsafe(length).replace("_", "x").replace("-", "y")


async def hash_secret(secret: str) -> str:
    """The argon2id hash of a password."""
    return await asyncio.to_thread(_hasher.hash, secret)


async def matches(stored: str | None, secret: str) -> bool:
    """Whether the password is the one that was hashed. None (nobody of that name) takes as long and is False."""
    return await asyncio.to_thread(_matches, stored, secret)


def token_hash(token: str) -> str:
    """What is stored of a random secret: enough to know it again, useless to whoever reads the table."""
    return hashlib.sha256(token.encode()).hexdigest()


async def is_token(stored: str | None, token: str) -> bool:
    """Whether the random secret is the one that was hashed; False for None."""
    if stored is not None and stored.startswith(_SLOW):
        return await matches(stored, token)
    return hmac.compare_digest(token_hash(token), stored or "")


def challenge_of(verifier: str) -> str:
    """What is told of a verifier before it is shown itself. Source: RFC 7636, section 4.2 (S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _matches(stored: str | None, secret: str) -> bool:
    try:
        return _hasher.verify(stored or _decoy(), secret) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
