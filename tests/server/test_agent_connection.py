"""The one connection of a cluster: what is wanted goes down, what is comes up, and both sides agree again after any break."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from tests.server.agent_double import connect
from tests.server.conftest import CLUSTER_SECRET, Plane

from fairlead.server.services import agents
from fairlead.server.services.channels import ChannelFailed, Channels, pump
from fairlead.wire.agent import ApplyError, Desired, Gone, Open, PodRow, WorkloadRow


async def _project(plane: Plane, name: str = "vision") -> Any:
    body = {"name": name, "clusterId": plane.cluster_id, "resources": [{"gpu": {"deserved": 2}}]}
    return await plane.ok("POST", "/api/v1/org-unit/projects", body)


async def _submit(plane: Plane, project: Any, name: str = "train-1") -> Any:
    body = {"name": name, "projectId": project["id"], "clusterId": plane.cluster_id, "spec": {"image": "python:3.12"}}
    return await plane.ok("POST", "/api/v1/workloads/trainings", body)


def _row(made: Any, **more: Any) -> WorkloadRow:
    return WorkloadRow(
        **{
            "id": made["workloadId"],
            "kind": "Training",
            "namespace": "runai-vision",
            "name": made["name"],
            "phase": "Running",
            **more,
        }
    )


async def test_everything_wanted_comes_first_and_then_what_changes(plane: Plane) -> None:
    await _project(plane)
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        first = await agent.next(Desired)
        assert first.full
        assert [(o.kind, o.name) for o in first.objects] == [
            ("NodePool", "default"),
            ("Department", "default"),
            ("Project", "vision"),
        ]
        await agent.applied(first)
        other = await _project(plane, "speech")
        change = await agent.next(Desired)
        assert (change.full, [(o.kind, o.name) for o in change.objects]) == (False, [("Project", "speech")])
        assert change.revision > first.revision
        await plane.ok("DELETE", f"/api/v1/org-unit/projects/{other['id']}")
        gone = await agent.next(Desired)
        assert [(o.name, o.object) for o in gone.objects] == [("speech", None)]


async def test_a_submission_travels_down_and_its_life_comes_back(plane: Plane) -> None:
    project = await _project(plane)
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        await agent.applied(await agent.next(Desired))
        made = await _submit(plane, project)
        frame = await agent.next(Desired)
        wanted = next(o for o in frame.objects if o.kind == "Training")
        assert (wanted.namespace, wanted.object["spec"]["workloadId"]) == ("runai-vision", made["workloadId"])
        await agent.applied(frame)
        await agent.report(_row(made, allocated_gpu_milli=1000, nodes=("n1",)))
        found = await plane.ok("GET", f"/api/v1/workloads/{made['workloadId']}")
        assert (found["phase"], found["nodes"], found["allocatedGpus"]) == ("Running", ["n1"], 1)
        await plane.ok("POST", f"/api/v1/workloads/trainings/{made['workloadId']}/suspend")
        assert (await agent.next(Desired)).objects[0].object["spec"]["suspended"] is True
        await plane.ok("DELETE", f"/api/v1/workloads/trainings/{made['workloadId']}")
        assert (await agent.next(Desired)).objects[0].object is None
        await agent.report(gone=(Gone(row="WorkloadRow", key=made["workloadId"]),))
        assert (await plane.ok("GET", "/api/v1/workloads"))["workloads"] == []
        assert len((await plane.ok("GET", "/api/v1/workloads", deleted="true"))["workloads"]) == 1


async def test_what_the_cluster_refuses_is_failed_with_its_words(plane: Plane) -> None:
    project = await _project(plane)
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        await agent.applied(await agent.next(Desired))
        made = await _submit(plane, project)
        error = ApplyError(
            kind="Training", namespace="runai-vision", name="train-1", code="invalid", message="no such thing"
        )
        await agent.applied(await agent.next(Desired), error)
        async with asyncio.timeout(90):
            while (found := await plane.ok("GET", f"/api/v1/workloads/{made['workloadId']}"))["phase"] != "Failed":  # noqa: ASYNC110  # asked as a client asks
                await asyncio.sleep(0.02)
        assert found["phaseMessage"] == "no such thing"


async def test_after_a_break_only_what_was_not_confirmed_is_sent_again(plane: Plane) -> None:
    project = await _project(plane)
    made = await _submit(plane, project)
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        first = await agent.next(Desired)
        await agent.applied(first)
        await agent.report(_row(made), full=True)
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET, applied=first.revision) as agent:
        again = await agent.next(Desired)
        assert [o.kind for o in again.objects] == ["NodePool", "Department", "Project"]
        await agent.report(full=True)
    assert (await plane.ok("GET", "/api/v1/workloads"))["workloads"] == []


async def test_what_was_removed_in_the_cluster_is_not_made_anew_by_an_agent_that_begins_afresh(plane: Plane) -> None:
    project = await _project(plane)
    kept, removed = await _submit(plane, project, "kept"), await _submit(plane, project, "removed")
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        await agent.applied(await agent.next(Desired))
        await agent.report(_row(kept), _row(removed), full=True)
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        await agent.report(_row(kept), full=True)
        wanted = [o.name for o in (await agent.next(Desired)).objects if o.kind == "Training"]
        assert wanted == ["kept"]


async def test_a_removal_is_not_told_again_once_its_name_is_taken_anew(plane: Plane) -> None:
    project = await _project(plane)
    first = await _submit(plane, project)
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        await agent.applied(await agent.next(Desired))
        await agent.report(_row(first), full=True)
        await plane.ok("DELETE", f"/api/v1/workloads/trainings/{first['workloadId']}")
        (told,) = (await agent.next(Desired)).objects
        assert (told.id, told.object) == (first["workloadId"], None)
        await agent.report(gone=(Gone(row="WorkloadRow", key=first["workloadId"]),))
        second = await _submit(plane, project)
        await agent.applied(await agent.next(Desired))
        await agent.report(_row(second))
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        await agent.report(_row(second), full=True)
        wanted = [(o.id, o.object is None) for o in (await agent.next(Desired)).objects if o.kind == "Training"]
        assert wanted == [(second["workloadId"], False)]


@pytest.mark.parametrize("was", ["lost", "removed"])
async def test_what_comes_back_in_the_cluster_is_shown_and_told_to_go_where_it_was_to(plane: Plane, was: str) -> None:
    made = await _submit(plane, await _project(plane))
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        await agent.applied(await agent.next(Desired))
        await agent.report(_row(made), full=True)
        if was == "removed":
            await plane.ok("DELETE", f"/api/v1/workloads/trainings/{made['workloadId']}")
            await agent.applied(await agent.next(Desired))
        await agent.report(full=True)
        assert (await plane.ok("GET", "/api/v1/workloads"))["workloads"] == []
        await agent.report(_row(made))
        (found,) = (await plane.ok("GET", "/api/v1/workloads"))["workloads"]
        assert found["phase"] == {"lost": "Running", "removed": "Deleting"}[was]
        if was == "removed":
            (told,) = (await agent.next(Desired)).objects
            assert (told.id, told.object) == (made["workloadId"], None)


async def test_work_made_in_the_cluster_is_listed_under_the_project_of_its_namespace(plane: Plane) -> None:
    await _project(plane)
    row = WorkloadRow(id="by-hand", kind="Training", namespace="runai-vision", name="by-hand", phase="Running")
    other = WorkloadRow(id="stray", kind="Training", namespace="elsewhere", name="stray", phase="Running")
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        await agent.report(row, other, full=True)
    listed = (await plane.ok("GET", "/api/v1/workloads"))["workloads"]
    assert [(w["name"], w["projectName"], w["source"]) for w in listed] == [("by-hand", "vision", "Kubernetes")]


async def test_work_of_kinds_that_others_keep_is_listed_and_left_to_them(plane: Plane) -> None:
    await _project(plane)
    job = WorkloadRow(id="job-1", kind="Job", namespace="runai-vision", name="nightly", phase="Running")
    pod = PodRow(uid="p1", workload="job-1", namespace="runai-vision", name="nightly-x", phase="Running", node="n1")
    ours = WorkloadRow(id="by-hand", kind="Training", namespace="runai-vision", name="by-hand", phase="Running")
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        await agent.report(job, pod, ours, full=True)
        listed = (await plane.ok("GET", "/api/v1/workloads", filterBy="type==Job"))["workloads"]
        (shown,) = listed
        assert (shown["name"], shown["type"], shown["source"]) == ("nightly", "Job", "Kubernetes")
        assert shown["actionsSupport"] == {"delete": False, "suspend": False}
        others = (await plane.ok("GET", "/api/v1/workloads", filterBy="type!=Training"))["workloads"]
        assert [w["name"] for w in others] == ["nightly"]
        assert [p["name"] for p in (await plane.ok("GET", "/api/v1/workloads/job-1/pods"))["pods"]] == ["nightly-x"]
        status, refused = await plane.call("DELETE", "/api/v1/workloads/trainings/job-1")
        assert (status, "kubectl delete job nightly -n runai-vision" in refused["details"]) == (409, True), refused
        assert "nightly" not in [o.name for o in (await agent.next(Desired)).objects]
        await agent.report(gone=(Gone(row="WorkloadRow", key="job-1"), Gone(row="PodRow", key="p1")))
    names = [w["name"] for w in (await plane.ok("GET", "/api/v1/workloads"))["workloads"]]
    assert names == ["by-hand"]


async def test_a_wrong_secret_a_copied_cluster_and_a_malformed_frame_are_each_turned_away(plane: Plane) -> None:
    assert await _closed(plane, "wrong", "uid-1") == 4403
    waits = await plane.ok("GET", f"/api/fairlead/v1/clusters/{plane.cluster_id}")
    assert (waits["state"], waits["reasons"]) == ("WaitingToConnect", ["secret-wrong"])
    assert f"fairlead cluster secret {waits['name']}" in waits["message"]
    assert await _closed(plane, "wrong", "uid-1", cluster_id="nobody") == 4403
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET, kube_uid="uid-1") as agent:
        await agent.next(Desired)
        assert (await plane.ok("GET", f"/api/fairlead/v1/clusters/{plane.cluster_id}"))["reasons"] == []
    assert await _closed(plane, CLUSTER_SECRET, "uid-2") == 4403
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET, kube_uid="uid-1") as agent:
        await agent.socket.send_str('{"frame": "Observed", "seq": "three"}')
        async for _ in agent.socket:
            continue
        assert agent.socket.close_code == 4400


async def test_a_connection_that_can_no_longer_tell_what_is_wanted_ends_and_the_next_one_does(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any, **__: Any) -> Desired:
        raise OSError("the database is away")

    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        assert (await agent.next(Desired)).full
        with monkeypatch.context() as patch:
            patch.setattr(agents, "next_desired", fails)
            await _project(plane)
            ended = await asyncio.wait_for(agent.socket.receive(), 10)
        assert ended.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        assert "vision" in [o.name for o in (await agent.next(Desired)).objects]


@pytest.mark.parametrize("broken", ["to the agent", "from the agent"])
async def test_a_channel_whose_socket_breaks_ends_for_the_caller_with_words(broken: str) -> None:
    channel = Channels().open("c1")
    channel.dialled.set()
    await channel.to_agent.put(b"ls")

    async def send(_: bytes) -> None:
        if broken == "to the agent":
            raise OSError("gone")

    async def receive() -> bytes | None:
        if broken == "from the agent":
            raise OSError("gone")
        await asyncio.Event().wait()
        return None

    pumping = asyncio.create_task(pump(channel, receive, send))
    with pytest.raises(ChannelFailed, match="connection to the cluster's agent broke"):
        async with asyncio.timeout(5):
            [m async for m in channel.messages()]
    with pytest.raises(ExceptionGroup):
        await pumping


async def test_what_a_command_said_last_arrives_though_its_end_of_input_came_too_late_for_it() -> None:
    channel = Channels().open("c1")
    channel.dialled.set()
    await channel.to_agent.put(b"")
    said, gone = [b"served", b"\x01exit:0"], asyncio.Event()

    async def send(_: bytes) -> None:
        gone.set()
        raise OSError("gone")

    async def receive() -> bytes | None:
        await gone.wait()
        await asyncio.sleep(0)
        return said.pop(0) if said else None

    pumping = asyncio.create_task(pump(channel, receive, send))
    async with asyncio.timeout(5):
        assert [m async for m in channel.messages()] == [b"served", b"\x01exit:0"]
    await pumping


async def test_a_log_travels_through_a_channel_that_opens_once(plane: Plane) -> None:
    project = await _project(plane)
    made = await _submit(plane, project)
    pod = PodRow(
        uid="p1", workload=made["workloadId"], namespace="runai-vision", name="train-1-0", phase="Running", node="n1"
    )
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        await agent.report(_row(made), pod)
        address = f"{plane.url}/api/fairlead/v1/workloads/{made['workloadId']}/logs"
        asking = asyncio.create_task(_text(plane, address))
        ask = await agent.next(Open)
        assert (ask.kind, ask.namespace, ask.name) == ("logs", "runai-vision", "train-1-0")
        async with agent.dial(ask) as socket:
            await socket.send_bytes(b"line 1\n")
            await socket.send_bytes(b"line 2\n")
        assert await asking == "line 1\nline 2\n"
        async with agent.dial(ask) as socket:
            await socket.receive()
            assert socket.close_code == 4403
    log = await plane.ok("GET", "/api/v1/audit/log", start="2020-01-01T00:00:00Z")
    began, ended = [e for e in log["audit_logs"] if e["action"].startswith("logs")][::-1]
    assert (began["action"], began["subject"], began["details"]) == ("logs", "admin", {"pod": "train-1-0"})
    assert (ended["action"], ended["details"]["outcome"]) == ("logs-ended", "ended")


async def test_who_opens_a_shell_is_known_even_where_it_fails(plane: Plane) -> None:
    project = await _project(plane)
    made = await _submit(plane, project)
    pod = PodRow(
        uid="p1", workload=made["workloadId"], namespace="runai-vision", name="train-1-0", phase="Running", node="n1"
    )
    path = f"{plane.url}/api/fairlead/v1/workloads/{made['workloadId']}/exec?command=ls"
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        await agent.report(_row(made), pod)
        async with plane.session.ws_connect(path) as shell:
            async with agent.dial(await agent.next(Open)) as socket:
                await socket.send_bytes(b"\x00error:The pod is gone.")
            assert "The pod is gone." in (await shell.receive_str())
    log = await plane.ok("GET", "/api/v1/audit/log", start="2020-01-01T00:00:00Z")
    began, ended = [e for e in log["audit_logs"] if e["action"].startswith("exec")][::-1]
    assert began["details"] == {"pod": "train-1-0", "command": ["ls"]}
    assert (ended["action"], ended["details"]["outcome"]) == ("exec-ended", "The pod is gone.")


async def test_explanations_come_from_the_cluster_and_its_refusals_are_passed_on(plane: Plane) -> None:
    project = await _project(plane)
    made = await _submit(plane, project)
    path = f"/api/fairlead/v1/workloads/{made['workloadId']}/explain"
    assert (await plane.call("GET", path))[0] == 409
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        await agent.report(_row(made, phase="Pending"))
        asking = asyncio.create_task(plane.call("GET", path))
        async with agent.dial(await agent.next(Open)) as socket:
            await socket.send_bytes(b'{"result": "waiting"}')
        none: dict[str, Any] = {"victims": [], "fixes": []}
        assert await asking == (200, {"result": "waiting", **none, "message": "", "simulated": False})
        asking = asyncio.create_task(plane.call("GET", path))
        async with agent.dial(await agent.next(Open)) as socket:
            await socket.send_bytes(b"\x00error:The scheduler has no pod of it.")
        status, problem = await asking
        assert (status, problem["message"]) == (503, "The scheduler has no pod of it.")
    status, problem = await plane.call("GET", path)
    assert (status, problem["reason"]) == (503, "cluster-away")


async def _text(plane: Plane, address: str) -> str:
    async with plane.session.get(address) as answer:
        return await answer.text()


async def _closed(plane: Plane, secret: str, kube_uid: str, *, cluster_id: str = "") -> int | None:
    async with connect(plane.url, cluster_id or plane.cluster_id, secret, kube_uid=kube_uid) as agent:
        async for message in agent.socket:
            assert message.type is not aiohttp.WSMsgType.ERROR
        return agent.socket.close_code


async def test_a_renewed_secret_lets_its_agent_in_and_the_one_before_nobody(plane: Plane) -> None:
    made = await plane.ok("POST", f"/api/v1/clusters/{plane.cluster_id}/secret")
    async with connect(plane.url, plane.cluster_id, made["clientSecret"]) as agent:
        assert (await agent.next(Desired)).full
    assert await _closed(plane, CLUSTER_SECRET, "uid-1") == 4403
