"""The published Python client of the API works against this server unchanged, sync and async."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from runai.api_client import ApiClient, AsyncApiClient
from runai.configuration import Configuration
from runai.models import (
    NonNullResource,
    ProjectCreationRequest,
    ResourcesNullable,
    TrainingCreationRequest,
    TrainingSpecSpec,
)
from runai.runai_client import RunaiClient
from tests.server.conftest import Plane


async def _key(plane: Plane) -> dict[str, Any]:
    found: dict[str, Any] = await plane.ok("POST", "/api/v1/access-keys", {"name": "ci"})
    return found


def _configuration(plane: Plane, key: dict[str, Any]) -> Configuration:
    return Configuration(client_id=key["clientId"], client_secret=key["clientSecret"], runai_base_url=plane.url)


def _project(plane: Plane, name: str) -> ProjectCreationRequest:
    gpu = NonNullResource(deserved=2, limit=4, overQuotaWeight=1)
    return ProjectCreationRequest(name=name, clusterId=plane.cluster_id, resources=[ResourcesNullable(gpu=gpu)])


def _training(plane: Plane, project_id: str) -> TrainingCreationRequest:
    spec = TrainingSpecSpec(image="python:3.12", command="python -c 'print(1)'", backoffLimit=0)
    return TrainingCreationRequest(name="train-1", projectId=project_id, clusterId=plane.cluster_id, spec=spec)


def _sync(plane: Plane, key: dict[str, Any]) -> dict[str, Any]:
    client = RunaiClient(ApiClient(_configuration(plane, key)))
    project = client.organizations.projects.create_project(_project(plane, "sync")).data
    listed = client.organizations.projects.get_projects(filter_by=["name==sync"]).data
    assert [p["id"] for p in listed["projects"]] == [project["id"]]
    made = client.workloads.trainings.create_training1(_training(plane, project["id"])).data
    found: dict[str, Any] = client.workloads.workloads.get_workload(made["workloadId"]).data
    assert client.workloads.pods.get_workload_pods(made["workloadId"]).data == {"pods": [], "next": None}
    assert client.organizations.clusters.get_clusters().data[0]["uuid"] == plane.cluster_id
    return found


async def test_the_sync_client_creates_a_project_submits_a_training_and_reads_it_back(plane: Plane) -> None:
    found = await asyncio.to_thread(_sync, plane, await _key(plane))
    assert (found["name"], found["type"], found["phase"], found["projectName"]) == (
        "train-1",
        "Training",
        "Creating",
        "sync",
    )


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # the client's own __del__ awaits nothing
async def test_the_async_client_whose_body_is_encoded_twice_does_the_same(plane: Plane) -> None:
    api = await asyncio.to_thread(lambda key: AsyncApiClient(_configuration(plane, key)), await _key(plane))
    client = RunaiClient(api)
    try:
        project = (await client.organizations.projects.create_project(_project(plane, "async"))).data
        made = (await client.workloads.trainings.create_training1(_training(plane, project["id"]))).data
        found = (await client.workloads.workloads.get_workload(made["workloadId"])).data
        assert (found["name"], found["projectName"]) == ("train-1", "async")
    finally:
        await api.close()


@pytest.mark.parametrize("grant", ["app_token", "client_credentials"])
async def test_both_spellings_of_an_access_key_are_accepted(plane: Plane, grant: str) -> None:
    key = await _key(plane)
    names = ("AppId", "AppSecret") if grant == "app_token" else ("clientID", "clientSecret")
    body = {"grantType": grant, names[0]: key["clientId"], names[1]: key["clientSecret"]}
    assert (await plane.ok("POST", "/api/v1/token", body))["accessToken"]
