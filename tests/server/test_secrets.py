"""How passwords and secrets are kept."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fairlead.server.auth import secrets

_HASHES = """
import asyncio
from fairlead.server.auth.secrets import hash_secret
print(asyncio.run(hash_secret("correct horse")))
"""


def test_a_password_is_hashed_slowly_outside_these_tests() -> None:
    """As RFC 9106 recommends where memory is scarce: argon2id, 64 MiB, three passes, four lanes."""
    done = subprocess.run([sys.executable, "-c", _HASHES], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


async def test_a_random_secret_is_kept_as_a_hash_that_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs show theirs with each command; nobody guesses 256 random bits at any speed."""
    monkeypatch.delattr(secrets, "_hasher")
    made = secrets.new_secret()
    kept = secrets.token_hash(made)
    assert made not in kept
    assert await secrets.is_token(kept, made)
    assert not await secrets.is_token(kept, secrets.new_secret())
    assert not await secrets.is_token(None, made)


async def test_a_random_secret_that_was_hashed_slowly_is_still_known() -> None:
    """As those of access keys and clusters once were."""
    made = secrets.new_secret()
    kept = await secrets.hash_secret(made)
    assert await secrets.is_token(kept, made)
    assert not await secrets.is_token(kept, secrets.new_secret())
