"""How objects end in the embedded store: owners, finalizers, grace, namespaces, budgets."""

from __future__ import annotations

from typing import Any

import pytest
from tests.embedded.worlds import World, a_map, a_pod, owned_by

from fairlead.kube.errors import Throttled
from fairlead.objects.builtin import DisruptionBudgetSpec, PodDisruptionBudget
from fairlead.objects.json import Json
from fairlead.objects.kinds import CONFIG_MAP, DISRUPTION_BUDGET, NAMESPACE, POD
from fairlead.objects.meta import Condition, LabelSelector, ObjectMeta
from fairlead.runtime.errors import Denied, Invalid


def test_what_an_owner_owned_goes_with_it_at_any_depth(world: World) -> None:
    async def story() -> list[str]:
        await world.namespace()
        root = await world.client.create(CONFIG_MAP, a_map("root"), "ns")
        child = await world.client.create(CONFIG_MAP, a_map("child", owned_by(root)), "ns")
        await world.client.create(CONFIG_MAP, a_map("grandchild", owned_by(child)), "ns")
        await world.client.create(CONFIG_MAP, a_map("stranger"), "ns")
        await world.client.delete(CONFIG_MAP, "root", "ns")
        return [item.metadata.name for item in (await world.client.list(CONFIG_MAP, "ns")).items]

    assert world.run(story()) == ["stranger"]


def test_one_owner_that_lives_is_enough(world: World) -> None:
    async def story() -> list[list[str]]:
        await world.namespace()
        first = await world.client.create(CONFIG_MAP, a_map("first"), "ns")
        second = await world.client.create(CONFIG_MAP, a_map("second"), "ns")
        await world.client.create(CONFIG_MAP, a_map("both", owned_by(first), owned_by(second)), "ns")
        seen = []
        for name in ("first", "second"):
            await world.client.delete(CONFIG_MAP, name, "ns")
            seen.append([item.metadata.name for item in (await world.client.list(CONFIG_MAP, "ns")).items])
        return seen

    assert world.run(story()) == [["both", "second"], []]


def test_an_object_whose_owner_is_already_gone_does_not_stay(world: World) -> None:
    async def story() -> object:
        await world.namespace()
        owner = await world.client.create(CONFIG_MAP, a_map("owner"), "ns")
        await world.client.delete(CONFIG_MAP, "owner", "ns")
        await world.client.create(CONFIG_MAP, a_map("late", owned_by(owner)), "ns")
        return await world.client.find(CONFIG_MAP, "late", "ns")

    assert world.run(story()) is None


def test_orphans_lose_the_reference_and_stay(world: World) -> None:
    async def story() -> tuple[object, ...]:
        await world.namespace()
        owner = await world.client.create(CONFIG_MAP, a_map("owner"), "ns")
        await world.client.create(CONFIG_MAP, a_map("child", owned_by(owner)), "ns")
        await world.client.delete(CONFIG_MAP, "owner", "ns", propagation="Orphan")
        return (await world.client.get(CONFIG_MAP, "child", "ns")).metadata.owner_references

    assert world.run(story()) == ()


def test_foreground_deletion_is_refused_in_plain_words(world: World) -> None:
    async def story() -> None:
        await world.namespace()
        await world.client.create(CONFIG_MAP, a_map("a"), "ns")
        await world.client.delete(CONFIG_MAP, "a", "ns", propagation="Foreground")

    with pytest.raises(Invalid, match="does not support the propagation policy Foreground"):
        world.run(story())


def test_a_namespace_ends_once_its_pods_have_ended(world: World) -> None:
    async def story() -> list[object]:
        await world.namespace()
        await world.client.create(POD, a_pod("bound"), "ns")
        await world.client.bind("bound", "ns", "n1")
        await world.client.create(CONFIG_MAP, a_map("a"), "ns")
        await world.client.delete(NAMESPACE, "ns")
        during = await world.client.get(NAMESPACE, "ns")
        pod = await world.client.get(POD, "bound", "ns")
        left = (await world.client.list(CONFIG_MAP, "ns")).items
        await world.client.delete(POD, "bound", "ns", grace_seconds=0)
        return [during.status.phase, pod.metadata.deletion_grace_period_seconds, left]

    assert world.run(story()) == ["Terminating", 30, ()]
    assert world.run(world.client.find(NAMESPACE, "ns")) is None


def test_the_default_namespace_stays(world: World) -> None:
    with pytest.raises(Denied, match="may not be deleted"):
        world.run(world.client.delete(NAMESPACE, "default"))


def test_a_budget_lets_pods_go_while_enough_are_healthy(world: World) -> None:
    async def story() -> list[str]:
        await world.namespace()
        for name in ("a", "b", "c"):
            await world.client.create(POD, a_pod(name, app="x"), "ns")
            await world.client.bind(name, "ns", "n1")
            await world.client.patch_status(POD, name, {"phase": "Running"}, "ns")
            await world.client.patch_conditions(POD, name, [Condition(type="Ready", status="True")], "ns")
        spec = DisruptionBudgetSpec(min_available=2, selector=LabelSelector(match_labels={"app": "x"}))
        budget = PodDisruptionBudget(metadata=ObjectMeta(name="b"), spec=spec)
        await world.client.create(DISRUPTION_BUDGET, budget, "ns")
        await world.client.evict("a", "ns")
        with pytest.raises(Throttled) as caught:
            await world.client.evict("b", "ns")
        return [caught.value.code, str((await world.client.get(POD, "b", "ns")).metadata.deletion_timestamp)]

    assert world.run(story()) == ["disruption-budget", "None"]


def test_the_parts_it_does_not_do_are_refused_with_a_4xx_that_says_so(world: World) -> None:
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    hooks = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    maps = "/api/v1/namespaces/default/configmaps"
    calls: tuple[tuple[str, str, Any, str], ...] = (
        ("POST", crds, {"metadata": {"name": "a.b"}}, "application/json"),
        ("POST", hooks, {"metadata": {"name": "a"}}, "application/json"),
        ("POST", "/apis/apps/v1/namespaces/default/deployments", {"metadata": {"name": "a"}}, "application/json"),
        ("POST", f"{maps}?dryRun=All", {"metadata": {"name": "a"}}, "application/json"),
        ("PATCH", f"{maps}/m", [], "application/json-patch+json"),
        ("PATCH", f"{maps}/m", {}, "application/apply-patch+yaml"),
        ("DELETE", maps, None, "application/json"),
        ("GET", f"{maps}?watch=true", None, "application/json"),
        ("GET", f"{maps}?unheardOf=1", None, "application/json"),
    )

    async def story() -> list[tuple[int, str]]:
        await world.say("POST", maps, {"metadata": {"name": "m"}})
        answers = [await world.say(*call) for call in calls]
        return [(status, body["message"]) for status, body in answers]

    for call, (status, message) in zip(calls, world.run(story()), strict=True):
        assert status in (400, 405, 415), call
        assert any(words in message for words in ("does not support", "does not allow", "unknown format", "JSON")), call


def test_a_sick_pod_may_go_while_the_budget_of_the_others_holds(world: World) -> None:
    async def story() -> object:
        await world.namespace()
        for name in ("well", "sick"):
            await world.client.create(POD, a_pod(name, app="x"), "ns")
            await world.client.bind(name, "ns", "n1")
            await world.client.patch_status(POD, name, {"phase": "Running"}, "ns")
        await world.client.patch_conditions(POD, "well", [Condition(type="Ready", status="True")], "ns")
        spec = DisruptionBudgetSpec(min_available=1, selector=LabelSelector(match_labels={"app": "x"}))
        await world.client.create(
            DISRUPTION_BUDGET, PodDisruptionBudget(metadata=ObjectMeta(name="b"), spec=spec), "ns"
        )
        await world.client.evict("sick", "ns")
        with pytest.raises(Throttled):
            await world.client.evict("well", "ns")
        return (await world.client.get(POD, "sick", "ns")).metadata.deletion_timestamp

    assert world.run(story()) is not None


def test_nothing_is_remembered_of_owners_that_are_gone(world: World) -> None:
    async def story() -> None:
        await world.namespace()
        for number in range(5):
            owner = await world.client.create(CONFIG_MAP, a_map(f"owner{number}"), "ns")
            await world.client.create(CONFIG_MAP, a_map(f"child{number}", owned_by(owner)), "ns")
            await world.client.delete(CONFIG_MAP, f"owner{number}", "ns")

    world.run(story())
    assert world.store.memory.dependents == {}


def test_a_toleration_may_be_added_but_not_taken_away(world: World) -> None:
    async def story() -> int:
        await world.namespace()
        pod = await world.client.create(POD, a_pod("a"), "ns")
        present: list[Json] = [
            {"key": item.key, "operator": "Exists", "effect": item.effect} for item in pod.spec.tolerations
        ]
        more: list[Json] = [*present, {"key": "gpu", "operator": "Exists"}]
        longer = await world.client.patch(POD, "a", {"spec": {"tolerations": more}}, "ns")
        with pytest.raises(Invalid, match="existing toleration"):
            await world.client.patch(POD, "a", {"spec": {"tolerations": more[1:]}}, "ns")
        return len(longer.spec.tolerations)

    assert world.run(story()) == 3
