"""The REST API at its edges: shapes existing clients rely on, and refusals that say what was wrong and what helps."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import aiohttp
import pytest
from tests.server.conftest import PASSWORD, Plane

from fairlead.server.services import accounts, agents
from fairlead.wire.agent import NodeRow, Observed


def _project(plane: Plane, name: str, **gpu: Any) -> dict[str, Any]:
    return {"name": name, "clusterId": plane.cluster_id, "resources": [{"gpu": gpu or {"deserved": 2}}]}


async def _training(plane: Plane, project_id: str, name: str = "t", **spec: Any) -> tuple[int, Any]:
    body = {"name": name, "projectId": project_id, "clusterId": plane.cluster_id, "spec": {"image": "x", **spec}}
    return await plane.call("POST", "/api/v1/workloads/trainings", body)


async def test_quota_comes_back_in_the_units_it_was_given(plane: Plane) -> None:
    resources = [
        {
            "gpu": {"deserved": 1.5, "limit": 4, "overQuotaWeight": 3},
            "cpu": {"deserved": 2000, "limit": -1},
            "memory": {"deserved": 2048, "units": "Mib"},
        }
    ]
    body = {"name": "vision", "clusterId": plane.cluster_id, "resources": resources}
    made = await plane.ok("POST", "/api/v1/org-unit/projects", body)
    found = (await plane.ok("GET", f"/api/v1/org-unit/projects/{made['id']}"))["resources"][0]
    assert found["gpu"] == {"deserved": 1.5, "limit": 4, "overQuotaWeight": 3}
    assert (found["cpu"]["deserved"], found["memory"]["deserved"], found["memory"]["units"]) == (2000, 2048, "Mib")
    assert (made["parent"]["name"], made["requestedNamespace"]) == ("default", "runai-vision")
    changed = {"resources": [{"gpu": {"deserved": 3}}]}
    assert (await plane.ok("PUT", f"/api/v1/org-unit/projects/{made['id']}", changed))["resources"][0]["gpu"][
        "deserved"
    ] == 3


async def test_names_are_unique_and_what_is_in_use_stays(plane: Plane) -> None:
    made = await plane.ok("POST", "/api/v1/org-unit/projects", _project(plane, "vision"))
    assert (await plane.call("POST", "/api/v1/org-unit/projects", _project(plane, "vision")))[0] == 409
    assert (await _training(plane, made["id"]))[0] == 202
    status, problem = await _training(plane, made["id"])
    assert (status, problem["reason"]) == (409, "name-taken")
    status, problem = await plane.call("DELETE", f"/api/v1/org-unit/projects/{made['id']}")
    assert (status, problem["message"]) == (409, "The project 'vision' still has 1 workload.")
    department = (await plane.ok("GET", "/api/v1/org-unit/departments"))["departments"][0]
    assert (await plane.call("DELETE", f"/api/v1/org-unit/departments/{department['id']}"))[0] == 409


@pytest.mark.parametrize(
    ("spec", "field", "hint"),
    [
        ({"compute": {"gpuPortionRequest": 1.5}}, "spec.compute.gpuPortionRequest", "1 or 2 whole GPUs"),
        ({"compute": {"gpuPortionRequest": 0.0001}}, "spec.compute.gpuPortionRequest", "0.001 to 0.999"),
        ({"compute": {"gpuPortionRequest": 0.9999}}, "spec.compute.gpuPortionRequest", "0.001 to 0.999"),
        ({"compute": {"gpuMemoryRequest": "2XB"}}, "spec.compute.gpuMemoryRequest", "20G"),
        (
            {"compute": {"gpuPortionRequest": 0.5, "gpuMemoryRequest": "2G"}},
            "spec.compute.gpuMemoryRequest",
            "not both",
        ),
        ({"command": "python 'x"}, "spec.command", "as a shell reads them"),
        ({"priorityClass": "urgent"}, "spec.priorityClass", "train"),
        ({"priorityClass": "-5"}, "spec.priorityClass", "from 0 to"),
        ({"storage": {"pvc": []}}, "spec.storage", "not supported"),
        ({"image": ""}, "spec.image", "python:3.12"),
    ],
)
async def test_a_submission_that_cannot_run_names_the_field_and_what_helps(
    plane: Plane, spec: dict[str, Any], field: str, hint: str
) -> None:
    made = await plane.ok("POST", "/api/v1/org-unit/projects", _project(plane, "vision"))
    status, problem = await _training(plane, made["id"], **spec)
    assert status == 400
    issues = {issue["field"]: issue["details"] for issue in problem["complianceIssues"]}
    assert hint in issues[field]
    assert (await plane.ok("GET", "/api/v1/workloads"))["workloads"] == []


async def test_malformed_requests_get_the_problem_document_and_nothing_else_stops(plane: Plane) -> None:
    status, problem = await plane.call("POST", "/api/v1/org-unit/projects", {**_project(plane, "a"), "resorces": []})
    assert (status, "did you mean `resources`?" in problem["details"]) == (422, True)
    async with plane.session.post(
        plane.url + "/api/v1/org-unit/projects", data=b'{\n  "name": }', headers={"Content-Type": "application/json"}
    ) as answer:
        problem = await answer.json()
        assert (answer.status, problem["reason"]) == (422, "malformed")
        assert problem["message"] == "The body is no JSON, from line 2, column 11 on."
        assert problem["complianceIssues"] == [{"field": "body", "details": "line 2, column 11: Expecting value"}]
    for path, code in (("/api/v1/nothing", 404), ("/api/v1/workloads/none", 404), ("/api/v1/clusters/none", 404)):
        status, problem = await plane.call("GET", path)
        assert (status, problem["code"]) == (code, code)
    assert (await plane.call("GET", "/api/v1/workloads", filterBy="colour==red"))[0] == 400
    assert (await plane.call("GET", "/api/v1/workloads", sortBy="colour"))[0] == 400
    assert (await plane.call("GET", "/api/v1/workloads", limit="0"))[0] == 422
    assert (await plane.call("GET", "/api/v1/workloads"))[0] == 200


async def test_lists_are_paged_filtered_sorted_and_searched(plane: Plane) -> None:
    made = await plane.ok("POST", "/api/v1/org-unit/projects", _project(plane, "vision"))
    for name in ("alpha", "beta", "gamma"):
        assert (await _training(plane, made["id"], name))[0] == 202
    page = await plane.ok("GET", "/api/v1/workloads", limit=2, sortBy="name", sortOrder="asc")
    assert ([w["name"] for w in page["workloads"]], page["next"]) == (["alpha", "beta"], 2)
    rest = await plane.ok("GET", "/api/v1/workloads", limit=2, offset=2, sortBy="name", sortOrder="asc")
    assert ([w["name"] for w in rest["workloads"]], rest["next"]) == (["gamma"], None)
    found = await plane.ok("GET", "/api/v1/workloads", filterBy="name==beta,projectName==vision")
    assert [w["name"] for w in found["workloads"]] == ["beta"]
    assert (await plane.ok("GET", "/api/v1/workloads/count", search="a"))["count"] == 3
    assert [w["name"] for w in (await plane.ok("GET", "/api/v1/workloads", search="amm"))["workloads"]] == ["gamma"]


async def test_the_last_page_says_that_it_is_the_last_also_when_it_is_full(plane: Plane) -> None:
    made = await plane.ok("POST", "/api/v1/org-unit/projects", _project(plane, "vision"))
    for name in ("a", "b", "c", "d"):
        await _training(plane, made["id"], name)
    first = await plane.ok("GET", "/api/v1/workloads", limit=2, sortBy="name", sortOrder="asc")
    last = await plane.ok("GET", "/api/v1/workloads", limit=2, offset=first["next"], sortBy="name", sortOrder="asc")
    assert ([w["name"] for w in first["workloads"]], first["next"]) == (["a", "b"], 2)
    assert ([w["name"] for w in last["workloads"]], last.get("next")) == (["c", "d"], None)


async def test_tokens_are_plain_base64_and_live_longer_than_a_renewal(plane: Plane) -> None:
    body = {"grantType": "password", "username": "admin", "password": PASSWORD}
    token = (await plane.ok("POST", "/api/v1/token", body))["accessToken"]
    payload = json.loads(base64.b64decode(token.split(".")[1] + "=="))
    assert payload["exp"] - payload["iat"] > 60
    async with aiohttp.ClientSession() as anyone:
        for bad in ({**body, "password": "no"}, {**body, "username": "nobody"}):
            async with anyone.post(plane.url + "/api/v1/token", json=bad) as answer:
                assert (answer.status, (await answer.json())["reason"]) == (403, "wrong-password")
        for headers in ({}, {"Authorization": "Bearer x.y.z"}):
            async with anyone.get(plane.url + "/api/v1/workloads", headers=headers) as answer:
                assert answer.status == 401


async def test_a_cookie_serves_our_own_pages_only_and_ends_when_signed_out(plane: Plane) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.post(
            plane.url + "/api/fairlead/v1/session", json={"username": "admin", "password": PASSWORD}
        ) as answer:
            assert answer.status == 200
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "samesite=strict" in cookie.lower()
        path = plane.url + "/api/v1/access-keys"
        async with browser.post(path, json={"name": "k"}, headers={"Origin": "http://evil.example"}) as answer:
            assert (answer.status, (await answer.json())["reason"]) == (403, "other-site")
        async with browser.post(path, json={"name": "k"}, headers={"Origin": plane.url}) as answer:
            assert answer.status == 201
        async with browser.delete(plane.url + "/api/fairlead/v1/session") as answer:
            assert answer.status == 204
        async with browser.get(path) as answer:
            assert answer.status == 401


async def test_a_sign_in_key_works_once(plane: Plane) -> None:
    key = (await plane.ok("POST", "/api/fairlead/v1/session/keys"))["key"]
    assert (await accounts.one_time_login(plane.context, key)).username == "admin"
    assert (await plane.call("POST", "/api/fairlead/v1/session/key", {"key": key}))[0] == 403


async def test_the_stream_tells_changes_and_can_be_taken_up_again(plane: Plane) -> None:
    address = f"{plane.url}/api/fairlead/v1/watch"
    async with plane.session.get(address, params={"topics": "nodes"}) as stream:
        assert (await _event(stream))["event"] == "bookmark"
        await agents.observed(plane.context, plane.cluster_id, Observed(seq=1, rows=(NodeRow(name="n1"),)))
        first = await _event(stream)
        assert (first["event"], json.loads(first["data"])["row"]["name"]) == ("upsert", "n1")
    await agents.observed(plane.context, plane.cluster_id, Observed(seq=2, rows=(NodeRow(name="n2"),)))
    async with plane.session.get(address, params={"topics": "nodes"}, headers={"Last-Event-ID": first["id"]}) as stream:
        await _event(stream)
        assert json.loads((await _event(stream))["data"])["key"] == f"{plane.cluster_id}/n2"
    async with plane.session.get(address, params={"topics": "nodes", "since": 10**9}) as stream:
        await _event(stream)
        assert (await _event(stream))["event"] == "reset"


async def test_openapi_is_served_and_names_the_paths_of_existing_clients(plane: Plane) -> None:
    paths = (await plane.ok("GET", "/api/openapi.json"))["paths"]
    assert {
        "/api/v1/token",
        "/api/v1/clusters",
        "/api/v1/clusters/{cluster_id}",
        "/api/v1/node-pools",
        "/api/v1/nodes",
        "/api/v1/org-unit/projects",
        "/api/v1/org-unit/projects/{unit_id}",
        "/api/v1/org-unit/departments",
        "/api/v1/workloads",
        "/api/v1/workloads/{workload_id}",
        "/api/v1/workloads/{workload_id}/pods",
    } <= set(paths)


async def _event(stream: aiohttp.ClientResponse) -> dict[str, str]:
    found: dict[str, str] = {}
    async with asyncio.timeout(90):
        while line := (await stream.content.readline()).decode().strip():
            name, _, value = line.partition(": ")
            found[name] = value
    return found
