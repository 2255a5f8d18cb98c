"""Passwords hashed quickly, for tests that are about something else and sign in hundreds of times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from argon2 import PasswordHasher

_QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@contextmanager
def quick_hashes() -> Iterator[None]:
    """Within it a hash takes no time; everything else of it is as it is."""
    with mock.patch("fairlead.server.auth.secrets._hasher", _QUICK):
        yield
