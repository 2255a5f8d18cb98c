"""One stored row that cannot be read is shown as such or left out, and named in the log; everything else stays there."""

from __future__ import annotations

import json
from typing import Any

import pytest
import structlog
from sqlalchemy import text
from tests.server.agent_double import connect
from tests.server.conftest import CLUSTER_SECRET, Plane

from fairlead.server.services import agents
from fairlead.wire.agent import Desired, NodeRow, Observed, PodRow, QueueRow, WorkloadRow

GARBAGE = ('{"pods": "none"}', "[1, 2]", '"text"', "null", '{"spec": {"workers": "many"}, "row": "Other", "pools": 7}')
NOT_EVEN_JSON = ("", "{", "\ud7ff\x01", "[" * 100_000)


@pytest.fixture
async def filled(plane: Plane) -> dict[str, Any]:
    """Two of everything; those named `bad` get garbage."""
    made: dict[str, Any] = {}
    for name in ("good", "bad"):
        body = {"name": name, "clusterId": plane.cluster_id, "resources": [{"gpu": {"deserved": 2}}]}
        made[name] = await plane.ok("POST", "/api/v1/org-unit/projects", body)
        made[f"{name}-lab"] = await plane.ok("POST", "/api/v1/org-unit/departments", body | {"name": f"{name}-lab"})
    for name in ("good", "bad", "waits"):
        body = {"name": name, "projectId": made["good"]["id"], "clusterId": plane.cluster_id, "spec": {"image": "x"}}
        made[f"{name}-work"] = (await plane.ok("POST", "/api/v1/workloads/trainings", body))["id"]
    rows = [_workload(made[f"{n}-work"], n) for n in ("good", "bad")]
    pods = [PodRow(uid=n, workload=made["good-work"], namespace="n", name=n) for n in ("good", "bad")]
    nodes = [NodeRow(name=n) for n in ("good", "bad")]
    queues = [QueueRow(name=n, parent="default") for n in ("good", "bad")]
    await agents.observed(plane.context, plane.cluster_id, Observed(seq=1, rows=(*rows, *pods, *nodes, *queues)))
    return made


def _workload(workload_id: str, name: str) -> WorkloadRow:
    return WorkloadRow(id=workload_id, kind="Training", namespace="runai-good", name=name, phase="Running")


def _values(plane: Plane) -> tuple[str, ...]:
    return (*GARBAGE, *NOT_EVEN_JSON) if plane.context.database.is_sqlite else GARBAGE


async def _write(plane: Plane, table: str, column: str, value: str, where: str) -> None:
    cast = ":value" if plane.context.database.is_sqlite else "cast(:value as json)"
    async with plane.context.database.write() as c:
        await c.execute(text(f'update "{table}" set "{column}" = {cast} where {where}'), {"value": value})


async def test_a_workload_whose_row_cannot_be_read_is_listed_as_unknown(plane: Plane, filled: dict[str, Any]) -> None:
    for value in _values(plane):
        await _write(plane, "workload", "observed", value, "name = 'bad'")
        await _write(plane, "workload", "spec", value, "name = 'bad'")
        await _write(plane, "workload", "object", value, "name = 'waits'")
        with structlog.testing.capture_logs() as logs:
            listed = (await plane.ok("GET", "/api/v1/workloads", sortBy="name", sortOrder="asc"))["workloads"]
        assert [(w["name"], w["phase"]) for w in listed] == [
            ("bad", "Unknown"),
            ("good", "Running"),
            ("waits", "Unknown"),
        ], value
        assert "cannot be read" in listed[0]["phaseMessage"]
        named = {(log["table"], log["key"]) for log in logs if log["event"] == "stored row cannot be read"}
        assert named == {("workload", filled["bad-work"]), ("workload", filled["waits-work"])}
        assert (await plane.ok("GET", f"/api/v1/workloads/{filled['bad-work']}"))["phase"] == "Unknown"
    await agents.observed(
        plane.context, plane.cluster_id, Observed(seq=2, rows=(_workload(filled["bad-work"], "bad"),))
    )
    assert (await plane.ok("GET", f"/api/v1/workloads/{filled['bad-work']}"))["phase"] == "Running"


async def test_a_pod_a_node_or_a_queue_that_cannot_be_read_leaves_the_others(
    plane: Plane, filled: dict[str, Any]
) -> None:
    for value in _values(plane):
        for table, where in (
            ("pod", "uid = 'bad'"),
            ("node", "name = 'bad'"),
            ("queue", "key = 'project/default/bad'"),
        ):
            await _write(plane, table, "row", value, where)
        pods = (await plane.ok("GET", f"/api/v1/workloads/{filled['good-work']}/pods"))["pods"]
        assert [(p["name"], p["k8sPhase"]) for p in pods] == [("bad", "Unknown"), ("good", "Pending")]
        nodes = (await plane.ok("GET", "/api/v1/nodes"))["nodes"]
        assert [(n["name"], n["status"]) for n in nodes] == [("bad", "NotReady"), ("good", "Ready")]
        assert "cannot be read" in nodes[0]["conditions"][0]["reason"]
        queues = (await plane.ok("GET", "/api/fairlead/v1/queues"))["queues"]
        assert [q["name"] for q in queues] == ["good"]


async def test_a_quota_that_cannot_be_read_is_said_and_never_reaches_the_cluster(
    plane: Plane, filled: dict[str, Any]
) -> None:
    for value in _values(plane):
        await _write(plane, "project", "resources", value, "name = 'bad'")
        await _write(plane, "department", "resources", value, "name = 'bad-lab'")
        await _write(plane, "workload", "object", value, "name = 'waits'")
        for what, name in (("projects", "bad"), ("departments", "bad-lab")):
            units = (await plane.ok("GET", f"/api/v1/org-unit/{what}"))[what]
            bad = next(u for u in units if u["name"] == name)
            assert (bad["resources"], bad["status"]["phase"]) == ([], "Unknown")
            assert "save it again" in bad["status"]["phaseMessage"]
        async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
            await agent.report(*(_workload(filled[f"{n}-work"], n) for n in ("good", "bad")), full=True)
            frame = await agent.next(Desired)
            names = {(o.kind, o.name) for o in frame.objects}
            assert names == {
                ("NodePool", "default"),
                ("Department", "default"),
                ("Department", "good-lab"),
                ("Project", "good"),
            } | {("Training", "good"), ("Training", "bad")}
            assert not frame.full
    change = {"resources": [{"gpu": {"deserved": 2}}]}
    for what, name in (("projects", "bad"), ("departments", "bad-lab")):
        await plane.ok("PUT", f"/api/v1/org-unit/{what}/{filled[name]['id']}", change)
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        assert (await agent.next(Desired)).full


async def test_an_audit_event_whose_details_cannot_be_read_keeps_the_rest(plane: Plane, filled: dict[str, Any]) -> None:
    for value in _values(plane):
        await _write(plane, "audit", "details", value, "entity_type = 'workload'")
        logs = (await plane.ok("GET", "/api/v1/audit/log"))["audit_logs"]
        assert [e["entity_name"] for e in logs if e["entity_type"] == "workload"] == ["waits", "bad", "good"]


async def test_a_time_no_calendar_has_does_not_take_the_list_away(plane: Plane, filled: dict[str, Any]) -> None:
    for value in ('"created": 1e300', '"started": -1e300', '"phase_since": 1e18'):
        row = json.dumps({"row": "WorkloadRow", "id": "x", "kind": "Training", "namespace": "n", "name": "bad"})
        await _write(plane, "workload", "observed", f"{row[:-1]}, {value}}}", "name = 'bad'")
        assert len((await plane.ok("GET", "/api/v1/workloads"))["workloads"]) == 3


async def test_a_row_of_the_list_is_what_the_single_workload_says(plane: Plane, filled: dict[str, Any]) -> None:
    for row in (await plane.ok("GET", "/api/v1/workloads"))["workloads"]:
        one = await plane.ok("GET", f"/api/v1/workloads/{row['id']}")
        assert {"spec", "history"} == one.keys() - row.keys()
        assert {key: one[key] for key in row} == row
