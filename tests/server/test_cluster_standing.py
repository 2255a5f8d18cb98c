"""The state of a cluster: its connection, and what it says of itself, in the API's words, everywhere the same."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from tests.server.agent_double import AgentDouble, connect
from tests.server.conftest import CLUSTER_SECRET, Plane

from fairlead.runtime.errors import Denied
from fairlead.server.db import clusters as table
from fairlead.server.db import database, stored
from fairlead.server.db.database import Database
from fairlead.server.db.records import Cluster
from fairlead.server.services.standing import standing
from fairlead.wire.agent import (
    ClusterCondition,
    ClusterFinding,
    ClusterHealth,
    Desired,
    NodeRow,
    Observed,
    decode_from_agent,
    encode,
)

WELL = ClusterHealth(
    conditions=(
        ClusterCondition(type="Prerequisites", status="True", reason="Met", since=1.0),
        ClusterCondition(type="ServicesReady", status="True", reason="Ready", since=1.0),
    ),
    checked=2.0,
)
FAULT = ClusterFinding(
    code="gpu-driver", verdict="fail", counts="fail", seen="no driver", remedy="modprobe", nodes=("g2",), since=5.0
)
TAKEN = ClusterFinding(code="node-health", verdict="fail", counts="warn", seen="n1 is cordoned", accepted="on purpose")
LACKS = ClusterHealth(
    conditions=(
        ClusterCondition(
            type="Prerequisites", status="False", reason="GpuDriver", message="gpu-driver: no driver", since=5.0
        ),
        ClusterCondition(
            type="ServicesReady",
            status="False",
            reason="FairleadNode",
            message="fairlead-node: ready on 1 of 2 nodes",
            since=4.0,
        ),
    ),
    findings=(FAULT, TAKEN),
    checked=6.0,
    news=("gpu-driver on g2: fail, was unknown",),
    news_since=2.0,
)
BROKEN = ClusterHealth(conditions=(WELL.conditions[0], LACKS.conditions[1]))


def a_cluster(health: ClusterHealth | None = None, last_seen: float = 10.0) -> Cluster:
    return Cluster(
        id="c",
        name="here",
        secret_hash="",
        kube_uid="",
        agent_version="1",
        kubernetes="v1.34.0",
        revision=0,
        applied=0,
        last_seen=last_seen,
        created=1.0,
        created_by="",
        health=stored.write(msgspec.to_builtins(health)) if health else None,
    )


@pytest.mark.parametrize(
    ("cluster", "is_there", "state", "reasons", "since"),
    [
        (a_cluster(last_seen=0.0), False, "WaitingToConnect", (), 1.0),
        (a_cluster(LACKS), False, "Disconnected", (), 10.0),
        (a_cluster(LACKS), True, "MissingPrerequisites", ("gpu-driver",), 5.0),
        (a_cluster(BROKEN), True, "ServiceIssues", ("FairleadNode",), 4.0),
        (a_cluster(WELL), True, "Connected", (), None),
        (a_cluster(), True, "Connected", (), None),
        (a_cluster(ClusterHealth(conditions=(ClusterCondition(type="Prerequisites"),))), True, "Connected", (), None),
    ],
)
def test_the_gravest_word_stands(
    cluster: Cluster, is_there: bool, state: str, reasons: tuple[str, ...], since: float | None
) -> None:
    found = standing(cluster, is_there=is_there)
    assert (found.state, found.reasons, found.since) == (state, reasons, since)


def test_who_is_turned_away_is_not_said_to_be_silent() -> None:
    why = Denied("Its secret is wrong.", hint="Renew it.", code="secret-wrong")
    waits, away = (standing(a_cluster(last_seen=seen), is_there=False, refused=why) for seen in (0.0, 10.0))
    assert (waits.state, waits.reasons, away.state, away.reasons) == (
        *("WaitingToConnect", ("secret-wrong",)),
        *("Disconnected", ("secret-wrong",)),
    )
    assert waits.message == "Its agent is turned away. Its secret is wrong. Renew it."
    assert away.message == "Its agent is turned away. Its secret is wrong. Renew it. Work in the cluster goes on."


async def test_what_the_cluster_says_of_itself_is_in_both_apis_and_in_the_stream(plane: Plane) -> None:
    async with connect(plane.url, plane.cluster_id, CLUSTER_SECRET) as agent, _events(plane, agent) as events:
        await agent.report(NodeRow(name="g2"), health=WELL)
        assert await _state(plane) == ("Connected", "Connected")
        await agent.report(health=LACKS)
        assert await _state(plane) == ("MissingPrerequisites", "MissingPrerequisites")
        found = await plane.ok("GET", f"/api/fairlead/v1/clusters/{plane.cluster_id}")
        assert (found["reasons"], found["since"]) == (["gpu-driver"], "1970-01-01T00:00:05Z")
        (driver, health) = found["findings"]
        assert (driver["title"], driver["nodes"], driver["remedy"]) == ("NVIDIA driver", ["g2"], "modprobe")
        assert (health["counts"], health["accepted"]) == ("warn", "on purpose")
        assert (found["news"], found["newsSince"]) == (["gpu-driver on g2: fail, was unknown"], "1970-01-01T00:00:02Z")
        theirs = (await plane.ok("GET", f"/api/v1/clusters/{plane.cluster_id}"))["status"]["conditions"]
        assert [(c["type"], c["status"], c["reason"]) for c in theirs] == [
            ("Prerequisites", "False", "GpuDriver"),
            ("ServicesReady", "False", "FairleadNode"),
        ]
        await agent.report(NodeRow(name="g3"))
        assert await _state(plane) == ("MissingPrerequisites", "MissingPrerequisites"), "a report without it leaves it"
        await agent.report(health=ClusterHealth())
        assert await _state(plane) == ("Connected", "Connected"), "nothing looks at it any more"
        told = [await events() for _ in range(3)]
        assert told == ["Connected", "MissingPrerequisites", "Connected"]


async def test_what_a_code_means_can_be_read_without_a_way_out(plane: Plane) -> None:
    found = await plane.ok("GET", "/api/fairlead/v1/findings/gpu-driver")
    assert found["title"] == "NVIDIA driver"
    assert set(found["causes"]) >= {"no-driver", "cuda"}
    assert all(found["causes"].values())
    assert found["text"]
    status, refused = await plane.call("GET", "/api/fairlead/v1/findings/gpu-drivr")
    assert (status, "gpu-driver" in refused["details"]) == (404, True)


def test_every_code_has_a_page() -> None:
    from fairlead.preflight.checks import CHECKS
    from fairlead.server.auth.permissions import administrator
    from fairlead.server.services.findings import finding

    for check in CHECKS:
        _, about, causes = finding(administrator("test"), check.code)
        assert about, check.code
        assert set(causes) == set(check.causes), check.code


def test_an_agent_and_a_control_plane_of_other_versions_read_on() -> None:
    old = '{"frame":"Observed","seq":1,"rows":[],"full":true}'
    new = encode(Observed(seq=1, health=LACKS)).replace('"health":{', '"health":{"later":1,')
    without, with_ = decode_from_agent(old), decode_from_agent(new)
    assert isinstance(without, Observed)
    assert isinstance(with_, Observed)
    assert (without.health, with_.health) == (None, LACKS)


async def test_clusters_of_an_earlier_version_have_said_nothing_yet(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = Database(database_url)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(database, "_NEWEST", "0002")
            await db.migrate()
        async with db.write() as c:
            await c.execute(
                text(
                    "insert into cluster (id, name, secret_hash, kube_uid, agent_version, kubernetes, revision, applied,"
                    " last_seen, created, created_by) values ('c1', 'here', 'h', '', '', '', 0, 0, 3.0, 1.0, 'me')"
                )
            )
        await db.migrate()
        async with db.write() as c:
            found = await table.cluster_by_id(c, "c1")
            assert found is not None
            assert found.health is None
            await table.set_cluster(c, "c1", health={"checked": 4.0})
        async with db.read() as c:
            found = await table.cluster_by_id(c, "c1")
        assert found is not None
        assert standing(found, is_there=True).health == ClusterHealth(checked=4.0)
    finally:
        await db.close()


async def _state(plane: Plane) -> tuple[str, str]:
    (theirs,) = await plane.ok("GET", "/api/v1/clusters")
    (ours,) = (await plane.ok("GET", "/api/fairlead/v1/clusters"))["clusters"]
    return theirs["status"]["state"], ours["state"]


class _events:
    """The states that the event stream tells."""

    def __init__(self, plane: Plane, agent: AgentDouble) -> None:
        self._plane, self._agent = plane, agent

    async def __aenter__(self) -> Any:
        await self._agent.next(Desired)  # so that its coming is told already
        self._answer = await self._plane.session.get(f"{self._plane.url}/api/fairlead/v1/watch?topics=clusters")
        await self._line("event: bookmark")
        return self.next

    async def __aexit__(self, *_: object) -> None:
        self._answer.close()

    async def next(self) -> str:
        import json

        await self._line("event: upsert")
        data = await self._line("data: ")
        return str(json.loads(data.removeprefix("data: "))["row"]["state"])

    async def _line(self, begin: str) -> str:
        async with asyncio.timeout(10):
            while not (line := (await self._answer.content.readline()).decode().strip()).startswith(begin):
                continue
        return line
