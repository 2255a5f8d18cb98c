"""The rights of the chart's accounts on a real cluster, where its kubelets and controllers do their part.

Of the node's agent both ways: it is refused nothing, and has nothing that it does not use. Of the others, whose second half
`tests/kubernetes/test_rights.py` holds: in all that the tests before this one did, they were refused nothing that is not theirs.
An API server that has just started refuses for a moment what it is about to learn that it may allow.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.kubernetes.processes import until
from tests.kubernetes.rights import granted, used
from tests.parts.cluster.cluster import Cluster
from tests.parts.cluster.controlplane import AUDITED
from tests.realcluster.product import Installed

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200)]

BESIDE = {"controllers": ("daily",)}
"""Roles that an account has beside that of its name."""


def test_the_nodes_agent_may_do_what_it_does_and_nothing_else(installed: Installed, real_cluster: Cluster) -> None:
    _shares_a_gpu(installed)
    did, refused = used(real_cluster.control_plane.audit_log, AUDITED[0])
    may = granted(real_cluster.kubeconfig, ["node"])["node"]
    assert (refused.keys() - may, may - did) == (set(), set())


@pytest.mark.parametrize("user", AUDITED[1:])
def test_no_account_needs_what_it_does_not_have(installed: Installed, real_cluster: Cluster, user: str) -> None:
    did, refused = used(real_cluster.control_plane.audit_log, user)
    role = user.rpartition("fairlead-")[2]
    assert did, f"{user} asked nothing, so nothing is shown"
    may = granted(real_cluster.kubeconfig, [role, *BESIDE.get(role, ())])
    assert sorted(refused.keys() - set().union(*may.values())) == []


def _shares_a_gpu(installed: Installed) -> None:
    """A reservation pod is told its device, and the node's report, written before, says for whom it is."""
    installed.submit("part", "-g", "0.25")
    until(lambda: installed.product.phase("part") == "Running", 90)
    until(lambda: any("gpuGroups" in device for device in _reported(installed)))
    assert installed.product.run("delete", "part", "-p", "team").returncode == 0
    until(lambda: not installed.objects("pods", "fairlead-reservation"), 90)


def _reported(installed: Installed) -> list[dict[str, Any]]:
    """Devices of all nodes, as their agents report them; an agent that just started knows of none yet."""
    reports = installed.objects("nodereports", "default")
    return [device for report in reports for device in report["status"].get("devices", ())]
