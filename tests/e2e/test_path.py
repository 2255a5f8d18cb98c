"""The whole path, from a REST call to a process and back, on the embedded store and on a real API server alike."""

from __future__ import annotations

import asyncio
import contextlib
import json
from random import Random
from typing import Any

from tests.e2e.path import ROLES, Path
from tests.parts.apiserver import ApiServer

from fairlead.kube.client import Client
from fairlead.objects import fields, kinds
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import Container, Pod, PodSpec, ResourceRequirements
from fairlead.runtime.errors import NotFound


async def test_a_training_completes_and_its_log_is_read(path: Path) -> None:
    team = await path.project("team", 2)
    job = await path.submit("trainings", "job", team, "sh -c 'echo begun; echo $RUNAI_PROJECT; exit 0'", gpu=1)
    seen = await path.phase(job, "Completed", "Failed")
    assert (seen["phase"], seen["exitCode"], seen["evictions"]) == ("Completed", 0, 0)
    assert await path.log(job) == "begun\nteam\n"


async def test_a_workspace_is_suspended_and_resumed_under_its_name(path: Path) -> None:
    team = await path.project("team", 2)
    work = await path.submit("workspaces", "desk", team, "sleep 300", gpu=1)
    await path.phase(work, "Running")
    first = (await path.pods(work))[0]["id"]
    await path.call("POST", f"/api/v1/workloads/workspaces/{work}/suspend")
    assert (await path.phase(work, "Stopped"))["allocatedGpus"] == 0
    await path.call("POST", f"/api/v1/workloads/workspaces/{work}/resume")
    seen = await path.phase(work, "Running")
    assert (seen["name"], seen["allocatedGpus"]) == ("desk", 1)
    assert (await path.pods(work))[0]["id"] != first


async def test_a_gang_of_four_starts_whole(path: Path) -> None:
    team = await path.project("team", 4)
    other = await path.submit("trainings", "other", team, "sleep 300", gpu=1)
    await path.phase(other, "Running")
    gang = await path.submit("distributed", "gang", team, "sleep 300", gpu=1, numWorkers=4)
    await path.phase(gang, "Pending")
    assert {p["nodeName"] for p in await path.pods(gang)} <= {None, ""}
    await path.call("DELETE", f"/api/v1/workloads/trainings/{other}")
    seen = await path.phase(gang, "Running")
    pods = await path.pods(gang)
    assert (seen["runningPods"], len({d for p in pods for d in p["devices"]})) == (4, 4)


async def test_two_halves_share_a_device(path: Path) -> None:
    team = await path.project("team", 1)
    halves = [await path.submit("trainings", f"half-{i}", team, "sleep 300", gpu=0.5) for i in (1, 2)]
    for half in halves:
        await path.phase(half, "Running")
    devices = [(await path.pods(half))[0]["devices"] for half in halves]
    assert devices[0] == devices[1] == [devices[0][0]]


async def test_a_borrower_makes_room_for_the_owner_and_is_told_for_whom(path: Path) -> None:
    owner, borrower = await path.project("owner", 3), await path.project("borrower", 1)
    lent = [await path.submit("trainings", f"lent-{i}", borrower, "sleep 300", gpu=1) for i in range(4)]
    for one in lent:
        await path.phase(one, "Running")
    asked = await path.submit("trainings", "asked", owner, "sleep 300", gpu=1)
    await path.phase(asked, "Running")
    seen = [await path.get(one) for one in lent]
    evicted = [w for w in seen if w["evictions"]]
    assert [w["phase"] for w in evicted] == ["Pending"]
    assert "asked" in str(evicted[0]["history"])
    explained = await path.call("GET", f"/api/fairlead/v1/workloads/{evicted[0]['id']}/explain")
    assert "gpu" in json.dumps(explained).lower()


async def test_pods_that_others_made_are_listed_explained_and_gone_with_them(path: Path) -> None:
    await path.project("hand", 1)
    for name, gpus in (("by-hand", 1), ("too-large", 9)):
        await _made(path, name, gpus)
    runs, waits = [
        await _listed(path, name, phase) for name, phase in (("by-hand", "Running"), ("too-large", "Pending"))
    ]
    assert (runs["type"], runs["projectName"], runs["allocatedGpus"], runs["source"]) == (
        "Pod",
        "hand",
        1,
        "Kubernetes",
    )
    assert [p["name"] for p in await path.pods(runs["id"])] == ["by-hand"]
    explained = await path.call("GET", f"/api/fairlead/v1/workloads/{waits['id']}/explain")
    assert (explained["result"], bool(explained["reasons"])) == ("waiting", True)
    assert waits["phaseMessage"] == explained["reasons"][0]["message"]
    for name in ("by-hand", "too-large"):
        await path.roles.client.delete(kinds.POD, name, "runai-hand")
    async with asyncio.timeout(90):
        while (await path.call("GET", "/api/v1/workloads"))["workloads"]:  # noqa: ASYNC110  # lists have no event
            await asyncio.sleep(0.1)


async def _made(path: Path, name: str, gpus: int) -> None:
    """A pod of the project `hand`, as `kubectl run` makes it."""
    amounts: dict[str, Any] = {fields.GPU_RESOURCE: str(gpus)}
    resources = ResourceRequirements(requests=amounts, limits=amounts)
    container = Container(name="c", image="any", command=("sleep", "300"), resources=resources)
    pod = Pod(metadata=ObjectMeta(name=name), spec=PodSpec(containers=(container,), scheduler_name="fairlead"))
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(NotFound):  # its namespace is being made
                await path.roles.client.create(kinds.POD, pod, "runai-hand")
                return
            await asyncio.sleep(0.1)


async def _listed(path: Path, name: str, phase: str) -> Any:
    async with asyncio.timeout(90):
        while True:
            listed = {w["name"]: w for w in (await path.call("GET", "/api/v1/workloads"))["workloads"]}
            if name in listed and listed[name]["phase"] == phase and (phase != "Pending" or listed[name]["reasons"]):
                return listed[name]
            await asyncio.sleep(0.1)


async def test_a_deleted_workload_is_gone_with_its_pods(path: Path) -> None:
    team = await path.project("team", 2)
    work = await path.submit("trainings", "short-lived", team, "sleep 300", gpu=1)
    await path.phase(work, "Running")
    await path.call("DELETE", f"/api/v1/workloads/trainings/{work}")
    client = path.roles.client
    async with asyncio.timeout(90):
        while await _is_there(path, client, work):  # noqa: ASYNC110  # neither lists nor processes have an event
            await asyncio.sleep(0.05)


async def _is_there(path: Path, client: Client, work: str) -> bool:
    listed = (await path.call("GET", "/api/v1/workloads"))["workloads"]
    pods = (await client.list(kinds.POD, "runai-team")).items
    return bool(pods or path.roles.runtime.known() or work in [w["id"] for w in listed])


async def test_everything_settles_when_roles_are_killed_at_random_moments(path: Path) -> None:
    team = await path.project("team", 4)
    rng = Random(23)
    jobs = []
    for number in range(12):
        kind, more = ("distributed", {"numWorkers": 2}) if number % 4 == 3 else ("trainings", {})
        jobs.append(await path.submit(kind, f"job-{number}", team, "sleep 0.3", gpu=1, **more))
        role = rng.choice(ROLES)
        await path.roles.kill(role)
        await asyncio.sleep(rng.random() * 0.2)
        path.roles.start(role)
    for job in jobs:
        seen = await path.phase(job, "Completed", "Failed")
        assert (seen["phase"], seen["evictions"]) == ("Completed", 0), seen


async def test_placing_a_single_pod_takes_two_writes(path: Path, real: ApiServer | None) -> None:
    team = await path.project("counted", 4)
    jobs = [await path.submit("trainings", f"job-{i}", team, "true", gpu=1) for i in range(3)]
    for job in jobs:
        await path.phase(job, "Completed")
    if real is None or real.audit_log is None:
        events = (await path.roles.client.list(kinds.EVENT, "runai-counted")).items
        assert sorted(e.involved_object.name for e in events) == ["job-0-0", "job-1-0", "job-2-0"]
        return
    calls = [json.loads(line) for line in real.audit_log.read_text().splitlines()]
    for name in ("job-0-0", "job-1-0", "job-2-0"):
        assert _writes_to_place(calls, name) == ["pods/binding", "events/"]


def _writes_to_place(calls: list[Any], pod: str) -> list[str]:
    """Writes about a pod from its creation to the event that says where it was placed."""
    found: list[str] = []
    for call in calls:
        about = call.get("objectRef") or {}
        if about.get("namespace") != "runai-counted" or call["verb"] in ("get", "list", "watch"):
            continue
        what = f"{about['resource']}/{about.get('subresource', '')}"
        mine = about.get("name", "") == pod or about.get("name", "").startswith(f"{pod}.")
        placing = call["verb"] == "create" and what != "pods/"
        before = what == "pods/status" and "pods/binding" not in found
        if mine and (placing or before):
            found.append(what)
    return found
