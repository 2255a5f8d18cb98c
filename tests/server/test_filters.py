"""`filterBy`: every operator that clients know, on every list, and a refusal that says what there is."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.conftest import Plane


async def _project(plane: Plane, name: str, department: str = "default") -> str:
    body = {"name": name, "clusterId": plane.cluster_id, "resources": [], "parentId": department}
    return str((await plane.ok("POST", "/api/v1/org-unit/projects", body))["id"])


async def _submit(plane: Plane, project: str, name: str, kind: str = "trainings") -> Any:
    body = {"name": name, "projectId": project, "clusterId": plane.cluster_id, "spec": {"image": "x"}}
    return await plane.ok("POST", f"/api/v1/workloads/{kind}", body)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ("name==alpha", ["alpha"]),
        ("name!=alpha", ["beta", "gamma"]),
        ("name=@ET", ["beta"]),
        ("name!@a_", ["alpha", "beta", "gamma"]),
        ("name=^al", ["alpha"]),
        ("name=$ma", ["gamma"]),
        ("name>=beta,name<=beta", ["beta"]),
        ("name != alpha,name=$a", ["beta", "gamma"]),
        ("projectName=^vis", ["alpha", "beta"]),
        ("projectName!=vision", ["gamma"]),
        ("departmentName==default", ["alpha", "beta", "gamma"]),
        ("type==Workspace", ["beta"]),
        ("type!@Work", ["alpha", "gamma"]),
        ("createdAt>=2020-01-01T00:00:00Z", ["alpha", "beta", "gamma"]),
        ("createdAt<=2020-01-01", []),
        ("submittedBy==admin,phase==Creating", ["alpha", "beta", "gamma"]),
        ("clusterId!=x,namespace=@runai", ["alpha", "beta", "gamma"]),
    ],
)
async def test_every_operator_filters_workloads(plane: Plane, filters: str, names: list[str]) -> None:
    vision, speech = await _project(plane, "vision"), await _project(plane, "speech")
    await _submit(plane, vision, "alpha")
    await _submit(plane, vision, "beta", "workspaces")
    await _submit(plane, speech, "gamma")
    found = await plane.ok("GET", "/api/v1/workloads", filterBy=filters, sortBy="name", sortOrder="asc")
    assert [w["name"] for w in found["workloads"]] == names
    assert (await plane.ok("GET", "/api/v1/workloads/count", filterBy=filters))["count"] == len(names)


async def test_a_time_as_it_was_told_finds_its_workload(plane: Plane) -> None:
    made = await _submit(plane, await _project(plane, "vision"), "alpha")
    for operator, count in (("==", 1), ("!=", 0), ("<=", 1), (">=", 1)):
        filters = f"createdAt{operator}{made['createdAt']}"
        assert (await plane.ok("GET", "/api/v1/workloads/count", filterBy=filters))["count"] == count, operator


async def test_other_lists_take_filters_too(plane: Plane) -> None:
    for name in ("vision", "speech"):
        await _project(plane, name)
    found = await plane.ok("GET", "/api/v1/org-unit/projects", filterBy="name=^sp,createdAt>=2020-01-01")
    assert [p["name"] for p in found["projects"]] == ["speech"]
    assert (await plane.ok("GET", "/api/v1/org-unit/projects/count", filterBy="name!=speech"))["count"] == 1
    assert (await plane.ok("GET", "/api/v1/org-unit/departments/count", filterBy="name==default"))["count"] == 1
    assert (await plane.ok("GET", "/api/v1/node-pools", filterBy="isDefault==true"))["nodepools"] != []
    assert (await plane.ok("GET", "/api/v1/node-pools", filterBy="isDefault!=true"))["nodepools"] == []
    assert (await plane.ok("GET", "/api/v1/nodes", filterBy="name==none"))["nodes"] == []
    assert [u["username"] for u in await plane.ok("GET", "/api/v1/users", filterBy="username=@dmi")] == ["admin"]


@pytest.mark.parametrize(
    ("path", "filters", "words"),
    [
        ("/api/v1/workloads", "colour==red", ["colour", "projectName", "departmentName"]),
        ("/api/v1/org-unit/projects", "colour==red", ["colour", "requestedNamespace"]),
        ("/api/v1/nodes", "colour=@red", ["colour", "nodePool"]),
        ("/api/v1/workloads", "name", ["no filter", "=@"]),
        ("/api/v1/workloads", "createdAt=@2020", ["createdAt is a time", "<="]),
        ("/api/v1/workloads", "createdAt>=yesterday", ["no time", "2026-01-31T09:00:00Z"]),
    ],
)
async def test_what_cannot_be_filtered_by_is_refused_with_what_can(
    plane: Plane, path: str, filters: str, words: list[str]
) -> None:
    status, problem = await plane.call("GET", path, filterBy=filters)
    assert (status, problem["reason"]) == (400, "bad-filter")
    said = problem["message"] + problem["details"]
    assert all(word in said for word in words), said
