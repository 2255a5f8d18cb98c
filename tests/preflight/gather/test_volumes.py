"""What is told of a volume that could not be tried out."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Any

import pytest

from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.kube.client import Client
from fairlead.objects import kinds
from fairlead.objects.builtin import Event, Namespace, ObjectReference
from fairlead.objects.meta import ObjectMeta
from fairlead.preflight.config import config_of
from fairlead.preflight.facts import facts_of
from fairlead.preflight.gather import volumes
from fairlead.preflight.gather.api import Api
from fairlead.preflight.gather.pods import Place
from fairlead.preflight.gather.run import merge
from fairlead.runtime.clock import VirtualClock

PLACE = Place(run="1", namespace="fairlead-preflight-1", image="x", expires=0, seconds=300, pulls=False)


def test_a_pod_that_is_refused_makes_the_trial_unknown_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A webhook that does not answer refuses pods, not claims."""

    async def refused(*_: Any) -> tuple[None, tuple[str, str]]:
        return None, ("Refused", "failed calling webhook")

    async def tried() -> Any:
        client = Client(EmbeddedTransport(Store(clock, Random(1))), clock, Random(2))
        await client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name=PLACE.namespace)))
        config = config_of({"storage": {"shared_class": "many"}})
        return await volumes.shared_volume(Api(client), PLACE, config, ["n1"])

    monkeypatch.setattr(volumes, "ended", refused)
    clock = VirtualClock()
    found: Any = clock.run(tried())
    assert found == {"unknown": "the pod that was to write is refused: failed calling webhook"}
    facts_of({"shared_volume_trial": found})


def test_what_is_unknown_is_never_mixed_with_what_is_known() -> None:
    found: dict[str, Any] = {"a": {"unknown": "late"}, "b": {"x": 1}, "c": {"x": 1}}
    merge(found, {"a": {"x": 1}, "b": {"unknown": "cut"}, "c": {"y": 2}})
    assert found == {"a": {"x": 1}, "b": {"unknown": "cut"}, "c": {"x": 1, "y": 2}}


@pytest.mark.parametrize(
    ("nodes", "pod", "warning", "moved"),
    [
        (["n1", "n2"], {"read": "same_content"}, ("", ""), "ok"),
        (
            ["n1", "n2"],
            None,
            ("FailedScheduling", "volume node affinity conflict"),
            "FailedScheduling: volume node affinity conflict",
        ),
        (["n1", "n2"], {"read": "missing"}, ("", ""), "missing"),
        (["n1"], None, ("", ""), {"unknown": "there is no system node beside n1 to attach it on"}),
    ],
)
def test_in_production_the_volume_is_attached_on_another_system_node(
    monkeypatch: pytest.MonkeyPatch, nodes: list[str], pod: Any, warning: tuple[str, str], moved: Any
) -> None:
    tried_on: list[str] = []

    async def ran(_api: Any, _place: Any, body: dict[str, Any], *_: Any) -> Any:
        tried_on.append(body["metadata"]["annotations"].get("fairlead.dev/node", ""))
        said = {"wrote": True} if len(tried_on) == 1 else pod
        status = {"containerStatuses": [{"state": {"terminated": {"message": json.dumps(said)}}}]}
        return {"spec": {"nodeName": "n1"}, "status": status}, ("", "") if len(tried_on) == 1 else warning

    async def tried(production: bool) -> Any:
        client = Client(EmbeddedTransport(Store(clock, Random(1))), clock, Random(2))
        await client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name=PLACE.namespace)))
        return await volumes.system_volume(Api(client), PLACE, config_of({"production": production}), nodes)

    monkeypatch.setattr(volumes, "ended", ran)
    clock = VirtualClock()
    found: Any = clock.run(tried(True))
    assert (found["moved"], tried_on) == (moved, ["", *nodes[1:]])
    facts_of({"system_volume_trial": found})
    tried_on.clear()
    assert "moved" not in clock.run(tried(False))


def told_of_a_reader(mounted_after: float | None, ends_after: float | None) -> Any:
    """What a trial tells whose writer ends well; the first mount of its reader fails."""
    clock = VirtualClock()
    client = Client(EmbeddedTransport(Store(clock, Random(1))), clock, Random(2))
    space = PLACE.namespace

    def state(pod: str, **status: Any) -> Any:
        return client.patch_status(kinds.POD, pod, status, space)

    async def kubelet() -> None:
        while not await client.find(kinds.POD, "writer", space):
            await clock.sleep(1)
        await client.bind("writer", space, "n1")
        await state("writer", phase="Succeeded", containerStatuses=[container(wrote=True)])
        while not await client.find(kinds.POD, "reader-0", space):
            await clock.sleep(1)
        about = ObjectReference(kind="Pod", name="reader-0", namespace=space)
        meta = ObjectMeta(name="tried", namespace=space, creation_timestamp="2026-01-01T00:00:00Z")
        event = Event(metadata=meta, involved_object=about, type="Warning", reason="FailedMount", message="not yet")
        await client.create(kinds.EVENT, event, space)
        if mounted_after is not None:
            await clock.sleep(mounted_after)
            await state("reader-0", phase="Running", containerStatuses=[{"name": "probe", "state": {"running": {}}}])
        if ends_after is not None:
            await clock.sleep(ends_after)
            await state("reader-0", phase="Succeeded", containerStatuses=[container(read="missing")])

    def container(**said: Any) -> dict[str, Any]:
        return {"name": "probe", "state": {"terminated": {"exitCode": 0, "message": json.dumps(said)}}}

    async def tried() -> Any:
        await client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name=space)))
        at_work = asyncio.create_task(kubelet())
        found = await volumes.shared_volume(
            Api(client), PLACE, config_of({"storage": {"shared_class": "many"}}), ["n2"]
        )
        if at_work.done():
            at_work.result()
        at_work.cancel()
        return found

    return clock.run(tried())


@pytest.mark.parametrize(
    ("mounted_after", "ends_after", "key", "told"),
    [
        (2.0, 40.0, "read_on", "missing"),
        (2.0, None, "read_on", "timeout"),
        (None, None, "mount_failed_on", "not yet"),
    ],
)
def test_a_mount_that_was_tried_twice_did_not_fail(
    mounted_after: float | None, ends_after: float | None, key: str, told: str
) -> None:
    found = told_of_a_reader(mounted_after, ends_after)
    assert found[key] == {"n2": told}, found
    assert (("mount_failed_on" in found), found["wrote_on"]) == (mounted_after is None, "n1")
