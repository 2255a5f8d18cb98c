"""All checks, in the order in which they are told: one table."""

from __future__ import annotations

from typing import Final

from fairlead.preflight.check import Check
from fairlead.preflight.checks import (
    access,
    cluster,
    egress,
    gpu,
    monitoring,
    network,
    nodes,
    pod_network,
    registry,
    security,
    serving,
    storage,
    system_nodes,
)

CHECKS: Final[tuple[Check, ...]] = (
    *access.CHECKS,
    *cluster.CHECKS,
    *security.CHECKS,
    *nodes.CHECKS,
    *system_nodes.CHECKS,
    *gpu.CHECKS,
    *monitoring.CHECKS,
    *storage.CHECKS,
    *registry.CHECKS,
    *pod_network.CHECKS,
    *network.CHECKS,
    *egress.CHECKS,
    *serving.CHECKS,
)
BY_CODE: Final = {check.code: check for check in CHECKS}
