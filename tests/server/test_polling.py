"""Links of agents made of requests: what a WebSocket would do, and what happens to those that nobody asks any more."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from tests.server.agent_double import connect
from tests.server.conftest import CLUSTER_SECRET, Plane

from fairlead.cluster.agent.links import AgentOptions
from fairlead.cluster.agent.polling import Polling
from fairlead.server.api import polling
from fairlead.wire.agent import (
    CONTROL_PATH,
    Desired,
    Hello,
    Observed,
    Open,
    PodRow,
    WorkloadRow,
    decode_from_server,
    encode,
)
from fairlead.wire.polling import LINK_HEADER, PULL_PATH, PUSH_PATH, pushed, read_answer


def options(plane: Plane, secret: str = CLUSTER_SECRET) -> AgentOptions:
    """An agent's."""
    return AgentOptions(url=plane.url, cluster=plane.cluster_id, secret=secret)


async def opened(plane: Plane, session: aiohttp.ClientSession) -> dict[str, str]:
    """The header of a new link."""
    who = {"Authorization": f"Bearer {CLUSTER_SECRET}", "X-Fairlead-Cluster": plane.cluster_id}
    async with session.post(plane.url + CONTROL_PATH, headers=who) as answer:
        assert answer.status == 201
        return {LINK_HEADER: answer.headers[LINK_HEADER]}


async def test_a_cluster_is_told_what_is_wanted_and_says_what_it_has(plane: Plane) -> None:
    body = {"name": "vision", "clusterId": plane.cluster_id, "resources": [{"gpu": {"deserved": 2}}]}
    await plane.ok("POST", "/api/v1/org-unit/projects", body)
    rows = tuple(
        WorkloadRow(id=f"w{i}", kind="Training", namespace="runai-vision", name=f"w{i}", phase="Running")
        for i in range(300)
    )
    async with Polling(options(plane)).control() as link:
        await link.send(encode(Hello(cluster=plane.cluster_id, kube_uid="uid-1", version="test")))
        await link.send(encode(Observed(seq=1, full=True, rows=rows)))
        async with asyncio.timeout(60):
            async for data in link:
                if isinstance(frame := decode_from_server(data), Desired):
                    break
        assert "vision" in [each.name for each in frame.objects]
        found = await plane.ok("GET", "/api/v1/workloads/count")
        assert found["count"] == 300
        assert plane.context.agents.is_connected(plane.cluster_id)
    async with asyncio.timeout(10):
        while plane.context.agents.is_connected(plane.cluster_id):  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.02)


async def test_a_wrong_secret_is_refused_as_on_a_websocket(plane: Plane) -> None:
    async with Polling(options(plane, "wrong")).control() as link:
        assert [data async for data in link] == []
        assert (link.close_code, link.close_reason) == (4403, "The cluster id or its secret is wrong.")


async def test_a_link_that_nobody_knows_and_a_body_that_is_none_are_refused(plane: Plane) -> None:
    async with aiohttp.ClientSession() as session:
        for header in ({}, {LINK_HEADER: "guessed"}):
            async with session.post(plane.url + PULL_PATH, headers=header) as answer:
                assert answer.status == 404
        link = await opened(plane, session)
        async with session.post(plane.url + PUSH_PATH, headers=link, data=b"\xc1") as answer:
            assert answer.status == 400
        async with session.delete(plane.url + PUSH_PATH, headers=link) as answer:
            assert answer.status == 204
        async with session.post(plane.url + PULL_PATH, headers=link) as answer:
            assert answer.status == 404


async def test_a_log_and_a_shell_travel_through_links_of_their_own(plane: Plane) -> None:
    body = {"name": "vision", "clusterId": plane.cluster_id, "resources": [{"gpu": {"deserved": 2}}]}
    await plane.ok("POST", "/api/v1/org-unit/projects", body)
    row = WorkloadRow(id="w1", kind="Training", namespace="runai-vision", name="job", phase="Running")
    pod = PodRow(uid="p1", workload="w1", namespace="runai-vision", name="job-0", phase="Running", node="n1")
    at = f"{plane.url}/api/fairlead/v1/workloads/w1"
    way = Polling(options(plane))
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent:
        await agent.report(row, pod, full=True)
        asking = asyncio.create_task(plane.session.get(f"{at}/logs"))
        ask = await agent.next(Open)
        async with way.channel(ask.channel, ask.grant) as link:
            for number in range(200):
                await link.send(b"line %d\n" % number)
        assert await (await asking).text() == "".join(f"line {number}\n" for number in range(200))
        async with way.channel(ask.channel, ask.grant) as link:
            assert [data async for data in link] == []
            assert link.close_code == 4403, "a grant is for one link"
        async with plane.session.ws_connect(f"{at}/exec?command=cat") as shell:
            ask = await agent.next(Open)
            async with way.channel(ask.channel, ask.grant) as link:
                await shell.send_bytes(b"typed")
                async for data in link:
                    await link.send(b"echo: " + (data if isinstance(data, bytes) else data.encode()))
                    break
                assert await shell.receive_bytes() == b"echo: typed"


async def test_whoever_asks_for_nothing_is_gone(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "GONE_SECONDS", 0.3)
    async with aiohttp.ClientSession() as session:
        link = await opened(plane, session)
        hello = encode(Hello(cluster=plane.cluster_id, kube_uid="uid-1", version="test"))
        async with session.post(plane.url + PUSH_PATH, headers=link, data=pushed([hello])) as answer:
            assert answer.status == 204
        async with session.post(plane.url + PULL_PATH, headers=link) as answer:
            assert [type(m) for m in read_answer(await answer.read()).messages] == [str]
        async with asyncio.timeout(10):
            while plane.context.agents.is_connected(plane.cluster_id):  # noqa: ASYNC110  # nothing tells
                await asyncio.sleep(0.02)
        async with session.post(plane.url + PULL_PATH, headers=link) as answer:
            assert answer.status == 404


async def test_a_wait_without_messages_ends_and_may_be_repeated(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "WAIT_SECONDS", 0.1)
    async with aiohttp.ClientSession() as session:
        link = await opened(plane, session)
        for _ in range(2):
            async with session.post(plane.url + PULL_PATH, headers=link) as answer:
                found = read_answer(await answer.read())
                assert (found.messages, found.code) == ([], None)


async def test_too_many_links_are_refused_for_now(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "_MOST_LINKS", 1)
    async with aiohttp.ClientSession() as session:
        await opened(plane, session)
        async with session.post(plane.url + CONTROL_PATH) as answer:
            assert answer.status == 503
            assert (await answer.json())["code"]
