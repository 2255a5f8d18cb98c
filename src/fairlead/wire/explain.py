"""How the agent asks the scheduler of its cluster why work waits."""

from __future__ import annotations

from typing import Final

PATH: Final = "/explain/v1"
"""Followed by `/NAMESPACE/WORKLOAD`."""
AUDIENCE: Final = "fairlead-scheduler"
"""What the agent's service account token is made for."""
LEASE: Final = "fairlead-scheduler"
"""Lease whose holder is `NAME_HOST:PORT` of the scheduler that acts."""
