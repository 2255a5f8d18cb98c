"""Situations in which schedulers were seen to do wrong (public bug reports), on a real API server with our roles.

The tenth, a Job of which a pod has yet to run, needs the real Job controller: `tests/realcluster/test_foreign_kinds.py`.

Sources: KAI-Scheduler #2095, #2194, #2075; HAMi #2812, #2308; Volcano #1492, #4673, #2357, #5871, #4802.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from tests.kubernetes.roles import Team, a_team, until

from fairlead.kube.errors import AlreadyExists
from fairlead.kube.transport import Transport
from fairlead.objects import fields, kinds
from fairlead.objects.builtin import Namespace
from fairlead.objects.json import JsonObject
from fairlead.objects.kai import PodGroup, PodGroupSpec, SubGroup
from fairlead.objects.kinds import foreign
from fairlead.objects.meta import ObjectMeta

pytestmark = pytest.mark.kubernetes
POLICY = foreign(
    "admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", namespaced=False
)
POLICY_BINDING = foreign(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
    namespaced=False,
)
UNSEEN = 1.5
"""Seconds in which a wrong decision would have been made: some cycles."""


@pytest.fixture
async def team(real: Transport) -> AsyncIterator[Team]:
    """A project on a node with 4 GPUs."""
    async with a_team(real, 4) as found:
        yield found


@contextlib.asynccontextmanager
async def binds_refused(team: Team, prefix: str) -> AsyncIterator[None]:
    """The API server refuses to bind pods whose name begins so."""
    rule: JsonObject = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods/binding"],
    }
    body: JsonObject = {
        "metadata": {"name": "refuse-binds"},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": f"!object.metadata.name.startsWith('{prefix}')", "message": "not today"}],
        },
    }
    where: JsonObject = {"policyName": "refuse-binds", "validationActions": ["Deny"]}
    with contextlib.suppress(AlreadyExists):
        await team.client.create(POLICY, body)
    await team.client.create(POLICY_BINDING, {"metadata": {"name": "refuse-binds"}, "spec": where})
    await asyncio.sleep(1.5)  # the server takes a moment to read it
    try:
        yield
    finally:
        await team.client.delete(POLICY_BINDING, "refuse-binds")
        await team.client.delete(POLICY, "refuse-binds")


async def test_two_namespaces_may_each_have_a_group_of_the_same_name(team: Team) -> None:
    for name in ("x", "y"):
        with contextlib.suppress(AlreadyExists):
            await team.client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name=name)))
        await team.queue(f"q{name}", 2)
        spec = PodGroupSpec(min_member=1, queue=f"q{name}")
        await team.client.create(kinds.POD_GROUP, PodGroup(metadata=ObjectMeta(name="g"), spec=spec), name)
        await team.pod("p", namespace=name, notes={fields.POD_GROUP: "g"})
    for name in ("x", "y"):
        await team.places("p", namespace=name)
    for name in ("x", "y"):

        async def counted(name: str = name) -> bool:
            queue = await team.client.get(kinds.QUEUE, f"q{name}")
            return str(queue.status.allocated.get(fields.GPU_RESOURCE)) == "1"

        assert await until(counted)
    await team.client.delete(kinds.POD_GROUP, "g", "x")
    await asyncio.sleep(UNSEEN)
    await team.places("p", namespace="y")


async def test_only_the_gpu_resource_counts_as_gpus(team: Team) -> None:
    await team.offers({fields.GPU_RESOURCE: "4", "example.com/vgpu": "80"})
    for number in range(4):
        await team.pod(f"p{number}")
    await team.places(*(f"p{n}" for n in range(4)))
    await team.pod("fifth")
    told = await until(lambda: team.why("fifth"))
    assert "0 GPUs left" in told or "0 of 4" in told
    assert await team.placed() == {f"p{n}" for n in range(4)}


async def test_a_pod_that_is_ending_keeps_its_gpu_after_a_restart_of_the_scheduler(team: Team) -> None:
    await team.pod("old", 4, terminationGracePeriodSeconds=600)
    await team.places("old")
    await team.client.delete(kinds.POD, "old", team.namespace)
    await team.stop("scheduler")
    team.start("scheduler")
    await team.pod("new", 1)
    assert await until(lambda: team.why("new"))
    await asyncio.sleep(UNSEEN)
    assert await team.placed() == {"old"}
    await team.remove("old")
    await team.places("new")


async def test_what_a_failed_bind_took_is_given_back(team: Team) -> None:
    async with binds_refused(team, "refused"):
        await team.pod("refused", 4)
        assert "not today" in await until(lambda: team.why("refused"))
        await team.remove("refused")
        await team.pod("normal", 4)
        await team.places("normal")


async def test_a_bind_that_fails_again_and_again_does_not_win_every_cycle(team: Team) -> None:
    async with binds_refused(team, "refused"):
        await team.pod("refused", 4, labels={fields.PRIORITY_CLASS: "inference"})
        assert "not today" in await until(lambda: team.why("refused"))
        names = [f"plain-{n}" for n in range(4)]
        for name in names:
            await team.pod(name)
        await team.places(*names)
        assert "not today" in await team.why("refused")


async def test_a_node_that_is_ready_again_is_used_again(team: Team) -> None:
    await team.offers({fields.GPU_RESOURCE: "4"}, ready=False)
    await team.pod("p")
    assert "not ready" in (await until(lambda: team.why("p"))).lower()
    await team.offers({fields.GPU_RESOURCE: "4"})
    await team.places("p")


async def test_a_limit_above_that_of_the_parent_holds_up_nobody(team: Team) -> None:
    await team.queue("parent", 0, limit=1)
    await team.queue("child", 1, limit=8, parent="parent")
    with contextlib.suppress(AlreadyExists):
        await team.client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name="z")))
    for name in ("a", "b"):
        await team.pod(name, namespace="z", labels={fields.QUEUE: "child", fields.PREEMPTIBILITY: "preemptible"})
    await team.pod("sibling")
    await team.places("sibling")
    await asyncio.sleep(UNSEEN)
    assert len(await team.placed("z")) == 1


async def test_a_gang_that_lacks_memory_is_told_so_and_not_only_that_it_is_a_gang(team: Team) -> None:
    spec = PodGroupSpec(min_member=4, queue=team.project)
    await team.client.create(kinds.POD_GROUP, PodGroup(metadata=ObjectMeta(name="g"), spec=spec), team.namespace)
    for number in range(4):
        await team.pod(f"p{number}", 1, notes={fields.POD_GROUP: "g"}, asks={"memory": "900Gi"})

    async def on_pod() -> bool:
        return "900 GiB of memory" in await team.why("p0")

    async def on_group() -> bool:
        group = await team.client.get(kinds.POD_GROUP, "g", team.namespace)
        said = [r.message for c in group.status.scheduling_conditions for r in c.reasons]
        return any("900 GiB of memory" in message for message in said)

    assert await until(on_pod)
    assert await until(on_group)


async def test_of_a_group_that_got_its_place_the_reasons_are_taken_back(team: Team) -> None:
    spec = PodGroupSpec(min_member=2, queue=team.project)
    await team.client.create(kinds.POD_GROUP, PodGroup(metadata=ObjectMeta(name="g"), spec=spec), team.namespace)

    async def said() -> tuple[str, ...]:
        group = await team.client.get(kinds.POD_GROUP, "g", team.namespace)
        return tuple(c.reason for c in group.status.scheduling_conditions)

    await team.pod("p0", notes={fields.POD_GROUP: "g"})
    assert await until(said) == ("gang-incomplete",)
    await team.pod("p1", notes={fields.POD_GROUP: "g"})
    await team.places("p0", "p1")

    async def nothing_said() -> bool:
        return not await said()

    assert await until(nothing_said)


async def test_of_an_edited_group_the_new_parts_hold(team: Team) -> None:
    def parts(*names: str) -> list[SubGroup]:
        return [SubGroup(name=name, min_member=1) for name in names]

    spec = PodGroupSpec(min_member=2, queue=team.project, sub_groups=tuple(parts("r0", "r1")))
    await team.client.create(kinds.POD_GROUP, PodGroup(metadata=ObjectMeta(name="g"), spec=spec), team.namespace)
    for name in ("r1", "r2"):
        await team.pod(name, 1, notes={fields.POD_GROUP: "g"}, labels={fields.SUBGROUP: name})
    await asyncio.sleep(UNSEEN)
    assert await team.placed() <= {"r1", "r2"}
    changed: JsonObject = {"spec": {"subGroups": [{"name": "r1", "minMember": 1}, {"name": "r2", "minMember": 1}]}}
    await team.client.patch(kinds.POD_GROUP, "g", changed, team.namespace)
    await team.places("r1", "r2")
