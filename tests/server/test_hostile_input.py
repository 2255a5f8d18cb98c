"""What one caller or one cluster sends never takes the lists away from everybody else."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.agent_double import connect
from tests.server.conftest import CLUSTER_SECRET, Plane

from fairlead.server.auth.permissions import administrator
from fairlead.server.services import clusters
from fairlead.wire.agent import Desired, Gone, PodRow, WorkloadRow


async def _project(plane: Plane) -> Any:
    body = {"name": "vision", "clusterId": plane.cluster_id, "resources": [{"gpu": {"deserved": 2}}]}
    return await plane.ok("POST", "/api/v1/org-unit/projects", body)


async def _submit(plane: Plane, project: Any, **spec: Any) -> tuple[int, Any]:
    body = {"name": "t", "projectId": project["id"], "clusterId": plane.cluster_id, "spec": {"image": "x", **spec}}
    return await plane.call("POST", "/api/v1/workloads/distributed", body)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"compute": {"cpuMemoryRequest": "-1G"}}, "spec.compute.cpuMemoryRequest"),
        ({"compute": {"cpuMemoryLimit": "-1"}}, "spec.compute.cpuMemoryLimit"),
        ({"compute": {"cpuMemoryRequest": "1e999999999"}}, "spec.compute.cpuMemoryRequest"),
        ({"compute": {"cpuMemoryRequest": "9" * 30}}, "spec.compute.cpuMemoryRequest"),
        ({"compute": {"gpuDevicesRequest": 10**20}}, "spec.compute.gpuDevicesRequest"),
        ({"compute": {"cpuCoreRequest": 1e300}}, "spec.compute.cpuCoreRequest"),
        ({"numWorkers": 10**12}, "spec.numWorkers"),
        ({"backoffLimit": 10**20}, "spec.backoffLimit"),
    ],
)
async def test_an_amount_no_cluster_could_hold_is_refused_and_the_list_stays(
    plane: Plane, spec: dict[str, Any], field: str
) -> None:
    status, problem = await _submit(plane, await _project(plane), **spec)
    assert (status, [i["field"] for i in problem["complianceIssues"]]) == (400, [field])
    assert (await plane.ok("GET", "/api/v1/workloads"))["workloads"] == []


@pytest.mark.parametrize("field", ["gpuPortionRequest", "cpuCoreRequest", "cpuCoreLimit"])
@pytest.mark.parametrize("amount", ["NaN", "Infinity", "1e999"])
async def test_an_amount_that_is_no_figure_is_refused_by_its_field(plane: Plane, field: str, amount: str) -> None:
    project = (await _project(plane))["id"]
    spec = f'{{"image": "x", "compute": {{"{field}": {amount}}}}}'
    text = f'{{"name": "t", "projectId": "{project}", "clusterId": "{plane.cluster_id}", "spec": {spec}}}'
    headers = {"Content-Type": "application/json"}
    async with plane.session.post(f"{plane.url}/api/v1/workloads/trainings", data=text, headers=headers) as answer:
        problem = await answer.json()
    assert (answer.status, [i["field"] for i in problem["complianceIssues"]]) == (422, [f"spec.compute.{field}"])


@pytest.mark.parametrize(
    ("amount", "refusal"), [("NaN", 422), ("Infinity", 422), ("1e999", 422), ("1e30", 400), ("-5", 400)]
)
async def test_a_quota_that_is_no_amount_is_refused(plane: Plane, amount: str, refusal: int) -> None:
    for quota in (f'{{"deserved": {amount}}}', f'{{"deserved": 1, "limit": {amount}}}'):
        text = f'{{"name": "v", "clusterId": "{plane.cluster_id}", "resources": [{{"gpu": {quota}}}]}}'
        headers = {"Content-Type": "application/json"}
        async with plane.session.post(f"{plane.url}/api/v1/org-unit/projects", data=text, headers=headers) as answer:
            assert answer.status == refusal, await answer.text()
    assert (await plane.ok("GET", "/api/v1/org-unit/projects"))["projects"] == []


@pytest.mark.parametrize("weight", ["NaN", "Infinity", "1e30"])
async def test_a_weight_that_is_no_figure_is_refused(plane: Plane, weight: str) -> None:
    gpu = f'{{"deserved": 1, "overQuotaWeight": {weight}}}'
    text = f'{{"name": "v", "clusterId": "{plane.cluster_id}", "resources": [{{"gpu": {gpu}}}]}}'
    headers = {"Content-Type": "application/json"}
    async with plane.session.post(f"{plane.url}/api/v1/org-unit/projects", data=text, headers=headers) as answer:
        assert answer.status in (400, 422), await answer.text()


async def test_offsets_and_zero_bytes_that_no_database_takes_are_no_bug_of_ours(plane: Plane) -> None:
    for path in ("/api/v1/workloads", "/api/v1/org-unit/projects", "/api/v1/nodes"):
        assert (await plane.call("GET", path, offset=str(2**63)))[0] == 422
    for path in ("/api/v1/workloads?search=a%00", "/api/v1/workloads/a%00", "/api/v1/org-unit/projects/a%00"):
        assert (await plane.call("GET", path))[0] < 500
    body = {"name": "v", "clusterId": plane.cluster_id, "resources": [], "description": "a\0"}
    assert (await plane.call("POST", "/api/v1/org-unit/projects", body))[0] < 500


async def test_a_cluster_changes_and_removes_only_what_is_its_own(plane: Plane) -> None:
    _, made = await _submit(plane, await _project(plane))
    path = f"/api/v1/workloads/{made['workloadId']}"
    row = WorkloadRow(id=made["workloadId"], kind="Training", namespace="runai-vision", name="t", phase="Completed")
    pod = PodRow(uid="p", workload=made["workloadId"], namespace="runai-vision", name="t-0", phase="Running", node="n")
    root = administrator("test")
    other, _ = await clusters.create_cluster(plane.context, root, "other", secret="other-secret")
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        await agent.report(pod)
    async with connect(plane.url, other.id, "other-secret") as stranger:
        await stranger.report(row, PodRow(uid="p", workload="mine", namespace="x", name="x"))
        await stranger.report(PodRow(uid="q", workload=made["workloadId"], namespace="x", name="foreign"))
        await stranger.report(gone=(Gone(row="WorkloadRow", key=made["workloadId"]),))
        assert (await plane.ok("GET", path))["phase"] == "Creating"
        assert [p["name"] for p in (await plane.ok("GET", path + "/pods"))["pods"]] == ["t-0"]


async def test_a_binary_frame_is_read_as_text_or_turned_away(plane: Plane) -> None:
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        await agent.next(Desired)
        await agent.socket.send_bytes(b"\xff\xfe")
        async for _ in agent.socket:
            continue
        assert agent.socket.close_code == 4400
