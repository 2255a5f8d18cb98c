"""Addresses beside the lists: what happened to a workload, health, the API's own description, and what is not there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from tests.server.agent_double import connect
from tests.server.conftest import CLUSTER_SECRET, Plane

from fairlead.server.api.application import create_app, create_context
from fairlead.server.config import ServerConfig
from fairlead.wire.agent import HistoryEntry, WorkloadRow


async def _submit(plane: Plane, kind: str = "trainings", **more: Any) -> tuple[int, Any]:
    body = {"name": "vision", "clusterId": plane.cluster_id, "resources": []}
    project = await plane.ok("POST", "/api/v1/org-unit/projects", body)
    asked = {"name": "t", "projectId": project["id"], "clusterId": plane.cluster_id, "spec": {"image": "x"}}
    return await plane.call("POST", f"/api/v1/workloads/{kind}", asked | more)


async def test_what_happened_to_a_workload_is_told_as_events_and_as_records(plane: Plane) -> None:
    made = (await _submit(plane))[1]
    history = (
        HistoryEntry(time=1.0, type="asked", message="Asked"),
        HistoryEntry(time=2.0, type="evicted", message="Stopped for others"),
        HistoryEntry(time=3.0, type="failed", message="Failed. Exit code 1"),
    )
    row = WorkloadRow(
        id=made["workloadId"], kind="Training", namespace="runai-vision", name="t", phase="Failed", history=history
    )
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        await agent.report(row)
    path = f"/api/v1/workloads/{made['workloadId']}"
    events = (await plane.ok("GET", f"{path}/events"))["events"]
    assert [(e["type"], e["reason"], e["message"]) for e in events] == [
        ("Normal", "Asked", "Asked"),
        ("Warning", "Evicted", "Stopped for others"),
        ("Warning", "Failed", "Failed. Exit code 1"),
    ]
    assert events[0]["involvedObject"]["name"] == "t"
    page = await plane.ok("GET", f"{path}/events", sortOrder="desc", limit=1)
    assert (page["events"][0]["reason"], page["next"]) == ("Failed", 1)
    records = (await plane.ok("GET", f"{path}/history"))["records"]
    assert [r["meta"]["type"] for r in records] == ["Event", "Event", "PhaseUpdate"]
    assert records[2]["spec"]["phaseUpdate"] == {"phase": "Failed", "phaseMessage": "Exit code 1"}
    assert (await plane.call("GET", "/api/v1/workloads/none/events"))[1]["message"] == "There is no workload 'none'."


async def test_what_is_not_served_says_so_and_does_not_look_for_a_workload_of_that_name(plane: Plane) -> None:
    status, problem = await plane.call("GET", "/api/v1/workloads/some-id/metrics")
    assert (status, problem["code"], "not served" in problem["message"]) == (501, 501, True)
    status, problem = await plane.call("GET", "/api/v1/workloads/some-id/colour")
    assert (status, problem["message"]) == (404, "GET /api/v1/workloads/some-id/colour: no such path.")


async def test_a_field_is_never_said_to_be_meant_by_itself(plane: Plane) -> None:
    body = {"name": "a", "clusterId": plane.cluster_id, "resources": [], "key": "x"}
    status, problem = await plane.call("POST", "/api/v1/org-unit/projects", body)
    assert (status, problem["details"]) == (422, "key: no such field here; another request has it")


@pytest.mark.parametrize("body", [b"[" * 200_000, b"[" * 50_000 + b"]" * 50_000, b"\xff\xfe"])
async def test_a_body_no_reader_takes_is_refused_with_what_was_expected(plane: Plane, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    async with plane.session.post(f"{plane.url}/api/v1/org-unit/projects", data=body, headers=headers) as answer:
        problem = await answer.json()
    assert (answer.status, problem["reason"]) == (422, "malformed")
    assert problem["details"]
    assert problem["complianceIssues"]


async def test_a_master_of_its_own_is_refused_with_the_reason_and_one_like_the_workers_is_taken(plane: Plane) -> None:
    status, problem = await _submit(plane, "distributed", masterSpec={"image": "other"})
    assert (status, problem["reason"], "like pods" in problem["message"]) == (400, "master-not-supported", True)
    projects = (await plane.ok("GET", "/api/v1/org-unit/projects"))["projects"]
    body = {"name": "t", "projectId": projects[0]["id"], "clusterId": plane.cluster_id}
    alike = {**body, "spec": {"image": "x"}, "masterSpec": {"image": "x"}}
    assert (await plane.call("POST", "/api/v1/workloads/distributed", alike))[0] == 202


async def test_a_node_pool_tells_how_it_is_filled_and_refuses_what_it_would_not_do(plane: Plane) -> None:
    pool = (await plane.ok("GET", "/api/v1/node-pools"))["nodepools"][0]
    assert (pool["placementStrategy"], pool["placement"]) == ({"gpu": "binpack", "cpu": "binpack"}, "fit")
    body = {"name": "p", "labelKey": "a", "labelValue": "b", "clusterId": plane.cluster_id}
    assert (await plane.call("POST", "/api/v1/node-pools", {**body, "placementStrategy": {"gpu": "spread"}}))[0] == 422
    assert (await plane.call("POST", "/api/v1/node-pools", {**body, "placementStrategy": {"gpu": "binpack"}}))[0] == 201


async def test_pages_health_and_description_are_told_apart_from_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<title>Fairlead</title>")
    config = ServerConfig(
        database_url=f"sqlite+aiosqlite:///{tmp_path}/fairlead.db", signing_key=b"k" * 32, web_folder=tmp_path
    )
    context = create_context(config, lambda: 0.0)
    app = create_app(context)
    assert orjson.loads((await _get(app, "/healthz"))[2])["status"] == "ok"
    assert (await _get(app, "/openapi.json"))[2] == (await _get(app, "/api/openapi.json"))[2]
    for page in ("/", "/workloads", "/projects", "/nodes", "/nodes/n1"):
        status, _, body = await _get(app, page)
        assert (status, b"Fairlead" in body) == (200, True), page
    for path in ("/api", "/api/", "/api/nope", "/api/v1/nope", "/nope.js", "/metrics"):
        assert (await _get(app, path))[:2] == (404, "application/json"), path
    assert (await _get(app, "/nonsense"))[0] == 404
    await context.database.close()


async def _get(app: FastAPI, path: str) -> tuple[int, str, bytes]:
    """Status, content type and body of a GET."""
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()  # nothing comes, and nobody goes away

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"headers": [], "http_version": "1.1", "scheme": "http", "server": ("x", 80), "root_path": ""}
    await app(scope, receive, send)
    headers = dict(sent[0]["headers"])
    return sent[0]["status"], headers[b"content-type"].decode(), b"".join(m.get("body", b"") for m in sent[1:])
