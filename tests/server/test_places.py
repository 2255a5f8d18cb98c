"""The place in line that lists tell: as the scheduler serves work of one project and node pool."""

from __future__ import annotations

from typing import Any

from tests.server.agent_double import AgentDouble, connect
from tests.server.conftest import CLUSTER_SECRET, Plane

from fairlead.wire.agent import WorkloadRow


async def _project(plane: Plane, name: str) -> str:
    body = {"name": name, "clusterId": plane.cluster_id, "resources": []}
    return str((await plane.ok("POST", "/api/v1/org-unit/projects", body))["id"])


async def _waits(plane: Plane, agent: AgentDouble, project: tuple[str, str], name: str, **more: Any) -> str:
    body = {"name": name, "projectId": project[1], "clusterId": plane.cluster_id, "spec": {"image": "x"}}
    made = await plane.ok("POST", "/api/v1/workloads/trainings", body)
    row = {"kind": "Training", "namespace": f"runai-{project[0]}", "phase": "Pending", "pool": "default"} | more
    await agent.report(WorkloadRow(id=made["workloadId"], name=name, **row))
    return str(made["workloadId"])


async def test_places_follow_priority_then_age_within_project_and_pool(plane: Plane) -> None:
    vision, speech = ("vision", await _project(plane, "vision")), ("speech", await _project(plane, "speech"))
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        await _waits(plane, agent, vision, "late", queued=30.0, queued_as="a")
        await _waits(plane, agent, vision, "twin-b", queued=20.0, queued_as="b")
        await _waits(plane, agent, vision, "twin-a", queued=20.0, queued_as="a")
        one = await _waits(plane, agent, vision, "first", queued=40.0, priority=100)
        await _waits(plane, agent, vision, "elsewhere", queued=1.0, pool="h100")
        await _waits(plane, agent, vision, "backs-off", queued=1.0, next_try=99.0)
        await _waits(plane, agent, vision, "runs", phase="Running")
        await _waits(plane, agent, speech, "alone", queued=1.0)
    found = {w["name"]: (w["place"], w["waiting"]) for w in (await plane.ok("GET", "/api/v1/workloads"))["workloads"]}
    assert found == {
        "first": (1, 4),
        "twin-a": (2, 4),
        "twin-b": (3, 4),
        "late": (4, 4),
        "elsewhere": (1, 1),
        "backs-off": (0, 0),
        "runs": (0, 0),
        "alone": (1, 1),
    }
    shown = await plane.ok("GET", f"/api/v1/workloads/{one}")
    assert (shown["place"], shown["waiting"]) == (1, 4)
