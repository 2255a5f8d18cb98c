"""How the cluster stands, in simulated time: checked after a start, once a day and when asked; parts that fail for a while are told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest
from tests.cluster.build import Bench

from fairlead.cluster.controllers import standing as role
from fairlead.cluster.controllers.parts import Parts, condition, faults
from fairlead.cluster.controllers.standing import Standing, StandingOptions
from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.kube.client import Client
from fairlead.kube.faulty import Faults, FaultyTransport
from fairlead.kube.transport import Response
from fairlead.objects import kinds
from fairlead.objects.builtin import ConfigMap, Namespace
from fairlead.objects.fields import CHECK_NOW
from fairlead.objects.meta import Condition, ObjectMeta, condition_of
from fairlead.objects.organisation import ClusterConfig
from fairlead.preflight.config import Config
from fairlead.preflight.facts import Facts
from fairlead.preflight.gather.daily import look

DAY = 86_400.0
REFUSED = {
    "kind": "Status",
    "apiVersion": "v1",
    "status": "Failure",
    "reason": "Forbidden",
    "code": 403,
    "message": 'pods "x" is forbidden: violates PodSecurity "restricted:latest"',
}


class Cluster(Bench):
    """A store with a node, and the task that looks at it. `runs`: when the prerequisites were gathered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.store = Store(self.clock, Random(1), accept_unmanaged=True)
        self.client = Client(EmbeddedTransport(self.store), self.clock, Random(2))
        self.faulty = FaultyTransport(EmbeddedTransport(self.store), Random(3), self.clock, Faults())
        self.shaky = Client(self.faulty, self.clock, Random(4))
        self.runs: list[float] = []
        self.begin = self.clock.now()
        monkeypatch.setattr(role, "look", self._look)

    async def _look(self, client: Any, config: Config, node_namespace: str) -> Facts:
        self.runs.append(self.clock.now() - self.begin)
        return await look(client, config, node_namespace)

    def live(self, story: Callable[[], Awaitable[None]], **options: Any) -> None:
        """Runs the task beside a story until that ends."""

        async def both() -> None:
            await self.client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name="fairlead")))
            await self.a_node("n1")
            await self._parts()
            made = Standing(self.client, self.clock, Random(5), StandingOptions(**options))
            task = asyncio.create_task(made.run())
            try:
                await story()
            finally:
                task.cancel()

        self.clock.run(both())

    async def _parts(self) -> None:
        for name in ("fairlead-controllers", "fairlead-scheduler"):
            await self.deployment(name, 2)

    async def deployment(self, name: str, ready: int) -> None:
        """A Deployment of ours with two replicas of which so many are ready."""
        labels = {"app.kubernetes.io/part-of": "fairlead"}
        body: Any = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x"}]}},
            },
        }
        if await self.client.find(kinds.DEPLOYMENT, name, "fairlead") is None:
            await self.client.create(kinds.DEPLOYMENT, body, "fairlead")
        await self.client.patch_status(kinds.DEPLOYMENT, name, {"readyReplicas": ready}, "fairlead")

    async def config(self) -> ClusterConfig:
        """The ClusterConfig as it is."""
        return await self.client.get(kinds.CLUSTER_CONFIG, "fairlead")

    async def condition(self, type_: str) -> Condition:
        """One condition of it."""
        found = condition_of((await self.config()).status.conditions, type_)
        assert found is not None
        return found


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(monkeypatch)


def test_it_is_checked_once_settled_and_then_once_a_day(cluster: Cluster) -> None:
    async def story() -> None:
        await cluster.clock.sleep(3 * DAY + 600)

    cluster.live(story, look=7200)
    assert [round(at) for at in cluster.runs] == [300, 300 + DAY, 300 + 2 * DAY, 300 + 3 * DAY]


def test_the_first_check_is_made_once_all_parts_are_ready(cluster: Cluster) -> None:
    async def story() -> None:
        await cluster.deployment("fairlead-scheduler", 0)
        await cluster.clock.sleep(100)
        assert cluster.runs == []
        await cluster.deployment("fairlead-scheduler", 2)
        await cluster.clock.sleep(3600)

    cluster.live(story)
    assert [round(at) for at in cluster.runs] == [120]


def test_a_new_leader_goes_on_where_the_one_before_it_was(cluster: Cluster) -> None:
    async def story() -> None:
        await cluster.clock.sleep(3600)
        other = asyncio.create_task(
            Standing(cluster.client, cluster.clock, Random(6), StandingOptions(look=7200)).run()
        )
        await cluster.clock.sleep(DAY - 3600)
        other.cancel()

    cluster.live(story, look=7200)
    assert len(cluster.runs) == 1


def test_who_asks_is_answered_once(cluster: Cluster) -> None:
    async def story() -> None:
        await cluster.clock.sleep(600)
        for word in ("a", "a", "b"):
            patch: Any = {"metadata": {"annotations": {CHECK_NOW: word}}}
            await cluster.client.patch(kinds.CLUSTER_CONFIG, "fairlead", patch)
            await cluster.clock.sleep(20)
            assert (await cluster.config()).status.prerequisites.answered == word

    cluster.live(story, look=7200)
    assert len(cluster.runs) == 3


def test_another_configuration_is_judged_by_at_once_and_the_same_one_is_no_news(cluster: Cluster) -> None:
    async def put(text: str) -> None:
        patch: Any = {"data": {role.CONFIG_KEY: text}}
        await cluster.client.patch(kinds.CONFIG_MAP, role.CONFIG_MAP, patch, "fairlead")
        await cluster.clock.sleep(20)

    async def story() -> None:
        made = ConfigMap(metadata=ObjectMeta(name=role.CONFIG_MAP), data={role.CONFIG_KEY: ""})
        await cluster.client.create(kinds.CONFIG_MAP, made, "fairlead")
        await cluster.clock.sleep(600)
        assert len(cluster.runs) == 1, "what was there at the start is no change"
        await put("ingress: {service: NodePort}")
        checks = {each.code: each for each in (await cluster.config()).status.prerequisites.checks}
        assert (len(cluster.runs), checks["inbound"].verdict) == (2, "warn")
        patch: Any = {"metadata": {"labels": {"a": "b"}}}
        await cluster.client.patch(kinds.CONFIG_MAP, role.CONFIG_MAP, patch, "fairlead")
        await cluster.clock.sleep(20)
        assert len(cluster.runs) == 2
        await put("")
        checks = {each.code: each for each in (await cluster.config()).status.prerequisites.checks}
        assert (len(cluster.runs), checks["inbound"].verdict) == (3, "pass")

    cluster.live(story, look=7200)


def test_a_right_that_was_taken_from_the_controllers_is_told_and_what_is_not_admitted_any_more(
    cluster: Cluster,
) -> None:
    async def answered(request: Any) -> Any:
        """As an API server with rights and Pod Security says it; the store judges neither."""
        if request.path.endswith("/selfsubjectaccessreviews"):
            asked = json.loads(request.body)["spec"]["resourceAttributes"]
            body = {"status": {"allowed": (asked["verb"], asked["resource"]) != ("delete", "pods")}}
            return Response(status=201, headers={}, body=json.dumps(body).encode())
        if request.method == "POST" and ("dryRun", "All") in request.query:
            return Response(status=403, headers={}, body=json.dumps(REFUSED).encode())
        return await real(request)

    real = cluster.client.transport.request

    async def story() -> None:
        cluster.client.transport.request = answered  # type: ignore[method-assign]  # a stand-in for two answers
        await cluster.clock.sleep(600)
        checks = {each.code: each for each in (await cluster.config()).status.prerequisites.checks}
        assert checks["permissions"].seen == "the controllers may not: delete pods"
        assert (checks["pod-security"].verdict, checks["pod-security"].cause) == ("fail", "psa")
        assert "fairlead-controllers pod" in checks["pod-security"].seen

    cluster.live(story)


def test_the_configuration_of_the_installation_is_what_is_judged_by(cluster: Cluster) -> None:
    async def put(text: str) -> None:
        data = {"fairlead.yaml": text}
        if await cluster.client.find(kinds.CONFIG_MAP, role.CONFIG_MAP, "fairlead") is None:
            made = ConfigMap(metadata=ObjectMeta(name=role.CONFIG_MAP), data=data)
            await cluster.client.create(kinds.CONFIG_MAP, made, "fairlead")
        await cluster.client.patch(kinds.CONFIG_MAP, role.CONFIG_MAP, {"data": {**data}}, "fairlead")

    async def story() -> None:
        await put("productoin: true")
        await cluster.clock.sleep(400)
        found = await cluster.condition("Prerequisites")
        assert (found.status, found.reason) == ("Unknown", "Configuration")
        assert "production" in found.message
        await put("ingress: {service: NodePort}")
        await cluster.clock.sleep(400)
        checks = {each.code: each for each in (await cluster.config()).status.prerequisites.checks}
        assert checks["inbound"].verdict == "warn"
        assert (await cluster.condition("Prerequisites")).reason != "Configuration"

    cluster.live(story)


def test_a_part_that_is_away_for_a_moment_is_no_fault_and_one_that_stays_away_is(cluster: Cluster) -> None:
    async def story() -> None:
        await cluster.clock.sleep(60)
        assert (await cluster.condition("ServicesReady")).status == "True"
        await cluster.deployment("fairlead-scheduler", 1)
        await cluster.clock.sleep(90)
        assert (await cluster.condition("ServicesReady")).status == "True"
        await cluster.clock.sleep(90)
        found = await cluster.condition("ServicesReady")
        assert (found.status, found.reason) == ("False", "FairleadScheduler")
        assert found.message == "fairlead-scheduler: 1 of 2 pods are ready"
        since = found.last_transition_time
        await cluster.clock.sleep(300)
        assert (await cluster.condition("ServicesReady")).last_transition_time == since
        await cluster.deployment("fairlead-scheduler", 2)
        await cluster.clock.sleep(60)
        assert (await cluster.condition("ServicesReady")).status == "True"

    cluster.live(story)


def test_an_api_that_is_away_is_waited_for(cluster: Cluster) -> None:
    async def story() -> None:
        made = Standing(cluster.shaky, cluster.clock, Random(7), StandingOptions())
        cluster.faulty.faults = Faults(broken=1.0)
        task = asyncio.create_task(made.run())
        await cluster.clock.sleep(900)
        assert not task.done()
        cluster.faulty.faults = Faults()
        await cluster.clock.sleep(900)
        assert (await cluster.config()).status.prerequisites.at is not None
        task.cancel()

    cluster.live(story, settle=DAY, look=DAY)


WELL = {"metadata": {"name": "fairlead-scheduler"}, "spec": {"replicas": 1}, "status": {"readyReplicas": 1}}
OURS = (WELL, WELL | {"metadata": {"name": "fairlead-controllers"}})
HOOK = {"webhooks": [{"clientConfig": {"caBundle": "x"}}]}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (Parts(deployments=OURS), {}),
        (Parts(deployments=(WELL,)), {"fairlead-controllers": "its Deployment is gone"}),
        (
            Parts(
                deployments=OURS,
                daemonsets=(
                    {"metadata": {"name": "fairlead-node"}, "status": {"desiredNumberScheduled": 3, "numberReady": 2}},
                ),
            ),
            {"fairlead-node": "ready on 2 of 3 nodes"},
        ),
        (
            Parts(deployments=OURS, webhooks=(HOOK,), slices=()),
            {"webhooks": "nobody answers behind the Service fairlead-admission"},
        ),
        (Parts(deployments=OURS, webhooks=(HOOK,), slices=({"endpoints": [{"conditions": {"ready": True}}]},)), {}),
        (Parts(deployments=OURS, webhooks=(HOOK,), slices=None), {}),
        (
            Parts(deployments=OURS, webhooks=({"webhooks": [{"clientConfig": {}}]},), slices=()),
            {"webhooks": "they have no authority by which the API server could know them"},
        ),
    ],
)
def test_what_is_not_well_is_said(parts: Parts, said: dict[str, str]) -> None:
    assert faults(parts) == said
    assert condition(said).status == ("False" if said else "True")
