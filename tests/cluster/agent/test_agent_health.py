"""How the cluster stands, as its agent tells it: with everything at first, then only where it is another."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.cluster.build import Bench

from fairlead.cluster.agent.health import health_of
from fairlead.cluster.agent.observe import Observer
from fairlead.objects import kinds
from fairlead.objects.meta import Condition, ObjectMeta
from fairlead.objects.organisation import (
    CheckedPrerequisite,
    ClusterConfig,
    ClusterConfigStatus,
    PrerequisitesReport,
)
from fairlead.wire.agent import ClusterCondition, ClusterFinding, ClusterHealth

STATUS: Any = {
    "conditions": [{"type": "Prerequisites", "status": "False", "reason": "NodeHealth", "message": "node-health: n1"}]
}


def test_it_is_told_once_and_again_where_it_changed() -> None:
    bench = Bench()

    async def story() -> list[ClusterHealth | None]:
        observer = Observer(bench.client)
        task = asyncio.create_task(observer.configs.run())
        await observer.configs.synced.wait()
        told = [observer.everything(1).health, observer.delta(2).health]
        await bench.client.create(kinds.CLUSTER_CONFIG, ClusterConfig(metadata=ObjectMeta(name="fairlead")))
        await bench.client.patch_status(kinds.CLUSTER_CONFIG, "fairlead", STATUS)
        await bench.clock.sleep(1)
        assert observer.changed.is_set()
        told += [observer.delta(3).health, observer.delta(4).health]
        told.append(observer.everything(5).health)
        task.cancel()
        return told

    lacks = ClusterHealth(
        conditions=(
            ClusterCondition(type="Prerequisites", status="False", reason="NodeHealth", message="node-health: n1"),
        )
    )
    assert bench.run(story) == [ClusterHealth(), None, lacks, None, lacks]


def test_only_what_is_no_pass_is_told_and_a_time_that_is_none_is_left_out() -> None:
    report = PrerequisitesReport(
        at="2026-01-01T00:00:00Z",
        checks=(
            CheckedPrerequisite(code="inbound", verdict="pass", counts="pass"),
            CheckedPrerequisite(code="gpu-driver", verdict="unknown", counts="pass"),
            CheckedPrerequisite(code="node-health", verdict="fail", counts="fail", since="soon", nodes={"n1": "fail"}),
        ),
    )
    conditions = (Condition(type="Prerequisites", status="False", last_transition_time="2026-01-01T00:00:00Z"),)
    status = ClusterConfigStatus(conditions=conditions, prerequisites=report)
    found = health_of(ClusterConfig(status=status))
    assert found.findings == (ClusterFinding(code="node-health", verdict="fail", counts="fail", nodes=("n1",)),)
    assert found.conditions == (ClusterCondition(type="Prerequisites", status="False", since=1767225600.0),)
    assert found.checked == 1767225600.0
    assert health_of(None) == ClusterHealth()
