"""How passwords and secrets are kept."""

from __future__ import annotations

import subprocess
import sys

_HASHES = """
import asyncio
from fairlead.server.auth.secrets import hash_secret
print(asyncio.run(hash_secret("correct horse")))
"""


def test_a_password_is_hashed_slowly_outside_these_tests() -> None:
    """As RFC 9106 recommends where memory is scarce: argon2id, 64 MiB, three passes, four lanes."""
    done = subprocess.run([sys.executable, "-c", _HASHES], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
