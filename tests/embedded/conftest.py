"""A store, and a client straight into it."""

from __future__ import annotations

from random import Random

import pytest
from tests.embedded.worlds import World

from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.kube.client import Client
from fairlead.runtime.clock import VirtualClock


@pytest.fixture
def world() -> World:
    """A store in memory, with a client and a simulated clock."""
    clock = VirtualClock()
    store = Store(clock, Random(5))
    return World(clock, store, Client(EmbeddedTransport(store), clock, Random(6)))
