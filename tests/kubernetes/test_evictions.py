"""What an eviction leaves on a pod of a real API server, which writes words of its own and counts by disruption budgets of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.kubernetes.roles import Team, a_team

from fairlead.cluster.scheduler.evictions import JOB_TRACKING, Kept, end
from fairlead.kube.transport import Transport
from fairlead.model import Action
from fairlead.objects import fields, kinds
from fairlead.objects.builtin import DisruptionBudgetSpec, PodDisruptionBudget
from fairlead.objects.json import JsonObject
from fairlead.objects.meta import Condition, LabelSelector, ObjectMeta
from fairlead.objects.pod import Pod
from fairlead.workloads.evictions import told

pytestmark = pytest.mark.kubernetes
TOLD = Condition(type="DisruptionTarget", status="True", reason="PreemptionByScheduler", message="Moved for somebody")


@pytest.fixture
async def team(real: Transport) -> AsyncIterator[Team]:
    """A project on a node with 4 GPUs."""
    async with a_team(real, 4) as found:
        yield found


async def a_running_pod(team: Team) -> Pod:
    """A pod on the node as its Job and its kubelet have written it."""
    await team.pod("runs", labels={"app": "a"})
    await team.places("runs")
    ready: JsonObject = {"type": "Ready", "status": "True"}
    await team.client.patch_status(kinds.POD, "runs", {"phase": "Running", "conditions": [ready]}, team.namespace)
    counted: JsonObject = {"metadata": {"finalizers": [JOB_TRACKING]}}
    return await team.client.patch(kinds.POD, "runs", counted, team.namespace)


@pytest.mark.parametrize("action", [Action.CONSOLIDATE, Action.RECLAIM])
async def test_the_pod_says_for_whom_it_ends_and_its_job_counts_it_no_more(team: Team, action: Action) -> None:
    await end(team.client, await a_running_pod(team), TOLD, action)
    left = await team.client.get(kinds.POD, "runs", team.namespace)
    (target,) = (c for c in left.status.conditions if c.type == "DisruptionTarget")
    assert (target.reason, target.message) == (TOLD.reason, TOLD.message)
    assert (bool(left.metadata.deletion_timestamp), left.metadata.finalizers) == (True, ())
    assert told(left) == TOLD.message


async def test_a_pod_that_a_budget_keeps_is_left_as_it_was(team: Team) -> None:
    selector = LabelSelector(match_labels={"app": "a"})
    budget = PodDisruptionBudget(
        metadata=ObjectMeta(name="stays"), spec=DisruptionBudgetSpec(min_available=1, selector=selector)
    )
    await team.client.create(kinds.DISRUPTION_BUDGET, budget, team.namespace)  # uncounted, it lets nobody go
    with pytest.raises(Kept, match=r"runs may not be moved: .*disruption budget"):
        await end(team.client, await a_running_pod(team), TOLD, Action.CONSOLIDATE)
    left = await team.client.get(kinds.POD, "runs", team.namespace)
    assert (left.metadata.deletion_timestamp, left.metadata.finalizers) == (None, (JOB_TRACKING,))
    assert not [c for c in left.status.conditions if c.type == "DisruptionTarget"]
    assert fields.EVICTION_REASON not in left.metadata.annotations
    await team.client.delete(kinds.DISRUPTION_BUDGET, "stays", team.namespace)
