"""Nobody is told of another tenant's things: not by a list, not by the event stream, not after a role was taken away while it was open."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp
import msgspec
import pytest
from tests.server.agent_double import connect
from tests.server.conftest import CLUSTER_SECRET, Plane

from fairlead.server.auth.permissions import administrator
from fairlead.server.services import agents, clusters
from fairlead.wire.agent import AnyRow, DeviceRow, Gone, Holder, NodeRow, Observed, Open, PodRow, QueueRow, WorkloadRow

RESEARCHER = 2
TENANTS = ("red", "blue")


@dataclass
class Person:
    """Somebody signed in, with an open event stream; `heard` holds its events but heartbeats."""

    id: str
    url: str
    session: aiohttp.ClientSession
    heard: list[dict[str, Any]] = field(default_factory=list)

    async def text(self, path: str) -> tuple[int, str]:
        """Status and raw body."""
        async with self.session.get(self.url + path) as answer:
            return answer.status, await answer.text()

    async def wait_for(self, word: str) -> None:
        """Until an event with that word in it was heard."""
        async with asyncio.timeout(90):
            while not any(word in json.dumps(event) for event in self.heard):  # noqa: ASYNC110  # a stream is read by another task
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[asyncio.Task[None]]:
        """With the stream open; the task ends when the server ends it."""
        began = asyncio.Event()
        task = asyncio.create_task(self._listen(began), name="listener")
        try:
            await asyncio.wait_for(began.wait(), 10)
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _listen(self, began: asyncio.Event) -> None:
        topics = "workloads,pods,nodes,queues,clusters"
        async with self.session.get(f"{self.url}/api/fairlead/v1/watch", params={"topics": topics}) as stream:
            kind = ""
            async for line in stream.content:
                name, _, value = line.decode().strip().partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    self.heard.append({"kind": kind, **json.loads(value)})
                    began.set()


@dataclass(frozen=True)
class World:
    """A cluster with two tenants, and one with a third."""

    plane: Plane
    projects: dict[str, Any]
    workloads: dict[str, str]
    other_cluster: str

    async def report(self, *rows: AnyRow, gone: tuple[Gone, ...] = (), full: bool = False, cluster: str = "") -> None:
        """What the cluster's agent says."""
        frame = Observed(seq=1, rows=rows, gone=gone, full=full)
        await agents.observed(self.plane.context, cluster or self.plane.cluster_id, frame)

    def workload(self, tenant: str, message: str = "") -> WorkloadRow:
        """The tenant's workload as its cluster sees it."""
        return WorkloadRow(
            id=self.workloads[tenant],
            kind="Training",
            namespace=f"runai-{tenant}",
            name=f"{tenant}-work",
            phase="Running",
            message=message,
        )

    def pod(self, tenant: str, message: str = "") -> PodRow:
        """Its pod."""
        return PodRow(
            uid=f"{tenant}-pod",
            workload=self.workloads[tenant],
            namespace=f"runai-{tenant}",
            name=f"{tenant}-work-0",
            message=message,
        )

    def node(self, name: str, *tenants: str) -> NodeRow:
        """A node whose one device these tenants share."""
        holders = tuple(
            Holder(workload=self.workloads[t], workload_name=f"{t}-work", project=t, pod=f"{t}-work-0", milli=1000 // 2)
            for t in tenants
        )
        return NodeRow(name=name, gpus=(DeviceRow(index=0, used_milli=500 * len(tenants), holders=holders),))

    async def grant(self, person: Person, scope_type: str, scope_id: str) -> str:
        """Gives the researcher's role there; the id of the rule."""
        body = {"subjectId": person.id, "subjectType": "user", "roleId": RESEARCHER}
        path = "/api/v1/authorization/access-rules"
        made = await self.plane.ok("POST", path, body | {"scopeType": scope_type, "scopeId": scope_id})
        return str(made["id"])

    async def revoke(self, rule: str) -> None:
        """Takes it away again."""
        await self.plane.ok("DELETE", f"/api/v1/authorization/access-rules/{rule}")

    def foreign(self, tenant: str) -> tuple[str, ...]:
        """Words that nobody of `tenant` may ever read."""
        others = [t for t in (*TENANTS, "green") if t != tenant]
        ids = [self.projects[t]["id"] for t in others]
        return (*others, *ids, *(self.workloads[t] for t in others if t in self.workloads), self.other_cluster)


@pytest.fixture
async def world(plane: Plane) -> World:
    other, _ = await clusters.create_cluster(plane.context, administrator("test"), "green-cluster")
    projects, made = {}, {}
    for name, cluster in (("red", plane.cluster_id), ("blue", plane.cluster_id), ("green", other.id)):
        body = {"name": name, "clusterId": cluster, "resources": [{"gpu": {"deserved": 1}}]}
        projects[name] = await plane.ok("POST", "/api/v1/org-unit/projects", body)
    for name in TENANTS:
        body = {"name": f"{name}-work", "projectId": projects[name]["id"], "clusterId": plane.cluster_id}
        made[name] = (await plane.ok("POST", "/api/v1/workloads/trainings", body | {"spec": {"image": "x"}}))["id"]
    return World(plane, projects, made, other.id)


@asynccontextmanager
async def _person(plane: Plane, name: str) -> AsyncIterator[Person]:
    user = await plane.ok("POST", "/api/v1/users", {"email": name})
    body = {"grantType": "password", "username": name, "password": user["tempPassword"]}
    token = (await plane.ok("POST", "/api/v1/token", body))["accessToken"]
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        yield Person(user["id"], plane.url, session)


async def _tell_everything(world: World) -> None:
    """Every kind of event of every topic, for both tenants and the other cluster, and a last one for everybody."""
    queues = [QueueRow(name=t, parent="default") for t in TENANTS]
    await world.report(*(world.workload(t) for t in TENANTS), *(world.pod(t) for t in TENANTS), *queues)
    await world.report(QueueRow(name="default", kind="department"), world.node("n1", *TENANTS))
    await world.report(NodeRow(name="green-node"), QueueRow(name="green"), cluster=world.other_cluster)
    world.plane.context.watch.publish("clusters", "upsert", world.other_cluster, ("clusters", world.other_cluster))
    pods = tuple(Gone(row="PodRow", key=f"{t}-pod") for t in TENANTS)
    rows = tuple(Gone(row="WorkloadRow", key=world.workloads[t]) for t in TENANTS)
    await world.report(gone=(*pods, *(Gone(row="QueueRow", key=q.key) for q in queues), *rows))
    await world.report(gone=(Gone(row="NodeRow", key="green-node"),), cluster=world.other_cluster)
    await world.report(gone=(Gone(row="NodeRow", key="n1"),))


def _no_word(text: str, words: tuple[str, ...]) -> None:
    assert [word for word in words if word in text] == [], text


@pytest.mark.parametrize("level", ["project", "department"])
async def test_two_tenants_hear_of_their_own_things_and_of_nothing_else(world: World, level: str) -> None:
    async with _person(world.plane, "mira") as mira, _person(world.plane, "noor") as noor:
        people = {"red": mira, "blue": noor}
        for tenant, person in people.items():
            unit = world.projects[tenant]["id"] if level == "project" else await _own_department(world, tenant)
            await world.grant(person, level, unit)
        async with mira.listening(), noor.listening():
            await _tell_everything(world)
            for tenant, person in people.items():
                await person.wait_for('"n1"')
                await _heard(person, "nodes", "delete")
                _no_word(json.dumps(person.heard), world.foreign(tenant))
                kinds = {(e["topic"], e["kind"]) for e in person.heard if e["kind"] not in ("bookmark", "reset")}
                wanted = {(t, k) for t in ("workloads", "pods", "nodes", "queues") for k in ("upsert", "delete")}
                assert kinds == wanted


async def _own_department(world: World, tenant: str) -> str:
    """A department for the tenant, which its project is moved to in the database: there is no verb for it yet."""
    from sqlalchemy import update

    from fairlead.server.db import tables

    body = {"name": f"{tenant}-lab", "clusterId": world.plane.cluster_id, "resources": []}
    made = await world.plane.ok("POST", "/api/v1/org-unit/departments", body)
    async with world.plane.context.database.write() as c:
        mine = tables.project.c.id == world.projects[tenant]["id"]
        await c.execute(update(tables.project).where(mine).values(department_id=made["id"]))
    return str(made["id"])


async def _heard(person: Person, topic: str, kind: str) -> None:
    async with asyncio.timeout(90):
        while not any((e.get("topic"), e["kind"]) == (topic, kind) for e in person.heard):  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.01)


async def test_lists_and_single_things_are_those_of_the_own_project_only(world: World) -> None:
    await world.report(*(world.workload(t) for t in TENANTS), *(world.pod(t) for t in TENANTS))
    await world.report(*(QueueRow(name=t, parent="default") for t in TENANTS), world.node("n1", *TENANTS))
    await world.report(NodeRow(name="green-node"), cluster=world.other_cluster)
    blue, pool = world.workloads["blue"], (await world.plane.ok("GET", "/api/v1/node-pools"))["nodepools"]
    foreign = (*world.foreign("red"), *(p["id"] for p in pool if p["clusterId"] == world.other_cluster))
    async with _person(world.plane, "mira") as mira:
        await world.grant(mira, "project", world.projects["red"]["id"])
        lists = ("workloads", "nodes", "clusters", "node-pools", "org-unit/projects", "org-unit/departments")
        for path in (*(f"/api/v1/{name}" for name in lists), "/api/fairlead/v1/queues", "/api/fairlead/v1/status"):
            status, text = await mira.text(path)
            assert status == 200, text
            _no_word(text, foreign)
        assert json.loads((await mira.text("/api/v1/workloads/count"))[1]) == {"count": 1}
        assert json.loads((await mira.text("/api/v1/org-unit/projects/count"))[1]) == {"count": 1}
        assert "red-work" in (await mira.text("/api/v1/nodes"))[1]
        held = json.loads((await mira.text("/api/v1/nodes"))[1])["nodes"][0]["gpus"][0]["holders"]
        assert [(h["project"], h["milli"]) for h in held] == [("red", 500), ("", 500)]
        for path in (
            *(f"/api/v1/workloads/{blue}{end}" for end in ("", "/pods")),
            *(f"/api/fairlead/v1/workloads/{blue}/{end}" for end in ("logs", "explain")),
            f"/api/v1/org-unit/projects/{world.projects['blue']['id']}",
            f"/api/v1/clusters/{world.other_cluster}",
        ):
            status, text = await mira.text(path)
            assert status == 404, (path, text)
            _no_word(text, ("blue", "green"))
        for path in ("/api/v1/users", "/api/v1/authorization/access-rules", "/api/v1/audit/log"):
            assert (await mira.text(path))[0] == 403


async def test_a_role_in_one_project_does_not_count_in_another(world: World) -> None:
    async with _person(world.plane, "mira") as mira:
        await world.grant(mira, "project", world.projects["red"]["id"])
        viewer = {"subjectId": mira.id, "subjectType": "user", "roleId": 3, "scopeType": "project"}
        blue = world.projects["blue"]["id"]
        await world.plane.ok("POST", "/api/v1/authorization/access-rules", viewer | {"scopeId": blue})
        body = {"name": "w", "projectId": blue, "clusterId": world.plane.cluster_id, "spec": {"image": "x"}}
        async with mira.session.post(f"{mira.url}/api/v1/workloads/trainings", json=body) as answer:
            assert (answer.status, "in this project" in (await answer.json())["message"]) == (403, True)
        for tenant, status in (("blue", 403), ("red", 202)):
            path = f"{mira.url}/api/v1/workloads/trainings/{world.workloads[tenant]}"
            async with mira.session.delete(path) as answer:
                assert answer.status == status


async def test_a_new_project_of_the_own_department_is_seen_at_once(world: World) -> None:
    department = world.projects["red"]["parent"]["id"]
    async with _person(world.plane, "mira") as mira:
        await world.grant(mira, "department", department)
        async with mira.listening():
            body = {"name": "fresh", "clusterId": world.plane.cluster_id, "resources": []}
            await world.plane.ok("POST", "/api/v1/org-unit/projects", body)
            await world.report(QueueRow(name="fresh", parent="default"))
            await mira.wait_for("project/default/fresh")
            assert [e["kind"] for e in mira.heard] == ["bookmark", "reset", "upsert"]


async def test_the_stream_of_somebody_without_any_role_or_account_ends(world: World) -> None:
    async with _person(world.plane, "mira") as mira, _person(world.plane, "noor") as noor:
        assert (await mira.text("/api/fairlead/v1/watch"))[0] == 403
        rule = await world.grant(mira, "project", world.projects["red"]["id"])
        await world.grant(noor, "project", world.projects["blue"]["id"])
        async with mira.listening() as red, noor.listening() as blue:
            await world.revoke(rule)
            await world.plane.ok("DELETE", f"/api/v1/users/{noor.id}")
            await asyncio.wait_for(asyncio.gather(red, blue), 10)
        assert (await noor.text("/api/v1/workloads"))[0] == 401


async def test_an_explanation_counts_victims_in_other_projects_and_names_none(world: World) -> None:
    victims = [{"namespace": f"runai-{tenant}", "name": f"{tenant}-work-0"} for tenant in TENANTS]
    answer = {"result": "waiting", "victims": victims, "fixes": [{"text": "More.", "victims": victims[1:]}]}
    async with (
        _person(world.plane, "mira") as mira,
        connect(world.plane.url, world.plane.cluster_id, CLUSTER_SECRET) as agent,
    ):
        await world.grant(mira, "project", world.projects["red"]["id"])
        await agent.report(msgspec.structs.replace(world.workload("red"), phase="Pending"))
        asking = asyncio.create_task(mira.text(f"/api/fairlead/v1/workloads/{world.workloads['red']}/explain"))
        async with agent.dial(await agent.next(Open)) as socket:
            await socket.send_bytes(msgspec.json.encode(answer))
        status, text = await asking
        told = json.loads(text)
        assert (status, told["victims"]) == (200, ["red-work-0", "1 pod of other projects"])
        assert told["fixes"] == [{"text": "More.", "victims": ["1 pod of other projects"]}]
        _no_word(text, ("blue",))


async def test_an_open_log_ends_with_the_role_that_allowed_it(world: World) -> None:
    async with (
        connect(world.plane.url, world.plane.cluster_id, CLUSTER_SECRET) as agent,
        _person(world.plane, "mira") as mira,
    ):
        rule = await world.grant(mira, "project", world.projects["red"]["id"])
        await agent.report(world.workload("red"), msgspec.structs.replace(world.pod("red"), phase="Running", node="n1"))
        path = f"{mira.url}/api/fairlead/v1/workloads/{world.workloads['red']}/logs"
        asking = asyncio.create_task(mira.session.get(path, params={"follow": "true"}))
        async with agent.dial(await agent.next(Open)) as end:
            await end.send_bytes(b"first")
            answer = await asking
            assert await answer.content.readexactly(5) == b"first"
            await world.revoke(rule)
            with pytest.raises(aiohttp.ClientPayloadError):
                await asyncio.wait_for(answer.content.read(), 10)
            answer.close()
            assert (await asyncio.wait_for(end.receive(), 10)).type in (
                aiohttp.WSMsgType.CLOSE,
                aiohttp.WSMsgType.CLOSED,
            )


async def test_who_comes_back_after_a_role_was_taken_away_lists_again(world: World) -> None:
    async with _person(world.plane, "mira") as mira:
        await world.grant(mira, "project", world.projects["red"]["id"])
        rule = await world.grant(mira, "project", world.projects["blue"]["id"])
        before = world.plane.context.watch.revision
        await world.report(world.workload("blue"))
        await world.revoke(rule)
        async with mira.session.get(f"{mira.url}/api/fairlead/v1/watch", params={"since": before}) as stream:
            text = (await asyncio.wait_for(stream.content.readuntil(b"event: reset"), 10)).decode()
        _no_word(text, world.foreign("red"))


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_granted_and_revoked_in_whatever_order_no_event_goes_astray(world: World, seed: int) -> None:
    """Each event carries a number. One sent while its tenant was in nobody's scope is heard by nobody; those sent after the last change
    of the scope are all heard, in order."""
    rng = Random(seed)
    watch = world.plane.context.watch
    await world.report(*(world.pod(t) for t in TENANTS))
    async with _person(world.plane, "mira") as mira:
        await world.grant(mira, "cluster", world.other_cluster)  # so that the stream never ends
        rules: dict[str, str] = {}
        forbidden, wanted = [], []
        async with mira.listening():
            for number in range(60):
                tenant, word = rng.choice(TENANTS), f"number-{number}-"
                if rng.random() < 0.25:
                    wanted.clear()
                    if tenant in rules:
                        await world.revoke(rules.pop(tenant))
                    else:  # what was told before may be heard after, which is no fault: so it is waited for
                        watch.publish("clusters", "upsert", f"mark-{number}-", ("clusters", world.other_cluster))
                        await mira.wait_for(f"mark-{number}-")
                        rules[tenant] = await world.grant(mira, "project", world.projects[tenant]["id"])
                row = rng.choice((world.workload, world.pod))(tenant, word)
                await world.report(row)
                (wanted if tenant in rules else forbidden).append(word)
            watch.publish("clusters", "upsert", "the-end", ("clusters", world.other_cluster))
            await mira.wait_for("the-end")
    told = [w for e in mira.heard for w in (*forbidden, *wanted) if w in json.dumps(e)]
    assert [w for w in told if w in forbidden] == []
    assert [w for w in told if w in wanted] == wanted
    assert forbidden


async def test_the_last_administrator_stays_and_what_was_given_is_in_the_audit_trail(world: World) -> None:
    plane = world.plane
    rules = (await plane.ok("GET", "/api/v1/authorization/access-rules"))["accessRules"]
    assert [(r["roleName"], r["scopeType"]) for r in rules] == [("administrator", "system")]
    for path in (f"/api/v1/authorization/access-rules/{rules[0]['id']}", f"/api/v1/users/{rules[0]['subjectId']}"):
        status, problem = await plane.call("DELETE", path)
        assert (status, problem["reason"]) == (409, "last-administrator")
    async with _person(plane, "mira") as mira:
        assert (await plane.call("POST", "/api/v1/users", {"email": "mira"}))[0] == 409
        rule = await world.grant(mira, "project", world.projects["red"]["id"])
        body = {"subjectId": mira.id, "subjectType": "user", "roleId": 1, "scopeType": "project", "scopeId": "x"}
        status, problem = await plane.call("POST", "/api/v1/authorization/access-rules", body)
        assert (status, problem["complianceIssues"][0]["field"]) == (400, "scopeType")
        path = "/api/v1/authorization/access-rules"
        assert (await plane.call("POST", path, body | {"roleId": 2}))[1]["reason"] == "project-not-found"
        assert (await plane.call("POST", path, body | {"roleId": 9}))[1]["reason"] == "role-not-found"
        mine = json.loads((await mira.text("/api/v1/authorization/me/access-rules"))[1])["accessRules"]
        assert [(r["id"], r["scopeId"]) for r in mine] == [(rule, world.projects["red"]["id"])]
        change = {"currentPassword": "no", "newPassword": "a longer password"}
        async with mira.session.post(f"{mira.url}/api/v1/me/password", json=change) as answer:
            assert answer.status == 403
        await world.revoke(rule)
    log = await plane.ok("GET", "/api/v1/audit/log", limit=2)
    assert [(e["action"], e["entity_type"], e["entity_name"]) for e in log["audit_logs"]] == [
        ("delete", "access-rule", "mira"),
        ("create", "access-rule", "mira"),
    ]
    assert (log["next"], log["total"] > 2) == (2, True)
