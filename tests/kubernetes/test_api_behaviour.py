"""The embedded store and a real kube-apiserver, held against each other in everything our roles use."""

from __future__ import annotations

import asyncio
import json
import re
from random import Random
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest
from tests.kubernetes.conftest import CLOCK, NUMBERS
from tests.kubernetes.conversations import CONVERSATIONS, Step
from tests.kubernetes.malformed import MALFORMED
from tests.kubernetes.pod_faults import POD_FAULTS
from tests.parts.build import NEWEST, OLDER

from fairlead.kube.cache import Cache, Key
from fairlead.kube.client import Client, Limits
from fairlead.kube.errors import AlreadyExists, Expired
from fairlead.kube.leases import LeaseObject
from fairlead.kube.transport import Refused, Request, Transport
from fairlead.kube.watch import Event
from fairlead.objects.builtin import ConfigMap
from fairlead.objects.kinds import CONFIG_MAP, DISRUPTION_BUDGET, POD, TRAINING, Kind
from fairlead.objects.meta import Condition, ObjectMeta, OwnerReference
from fairlead.objects.pod import Container, Pod, PodSpec
from fairlead.objects.workload import Training, WorkloadSpec
from fairlead.runtime.errors import Conflict, Invalid, NotFound
from fairlead.runtime.lease import LeaseRecord

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_CURRENT = re.compile(r"current: \d+")
_OWN = frozenset(
    {"uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "managedFields", "lastTransitionTime"}
)
"""Fields that differ from one server to the next by their nature."""


_LOOSER = {
    "binding": "1.24 binds a pod whose gates are closed: it knows none",
    "our kinds": "1.24 knows no strict validation of fields",
    "node affinity nobody can follow": "1.24 takes values that no label can have",
}
"""Conversations that an older server takes otherwise, and how."""


@pytest.mark.parametrize("name", [*CONVERSATIONS, *POD_FAULTS, *MALFORMED])
async def test_the_api_answers_with_this_status_and_reason(
    api: Transport, name: str, request: pytest.FixtureRequest
) -> None:
    if request.node.callspec.params["api"] == "older" and name in _LOOSER:
        pytest.skip(_LOOSER[name])
    steps = (CONVERSATIONS | POD_FAULTS | MALFORMED)[name]
    for step, (status, body) in zip(steps, await _talk(api, steps), strict=True):
        assert (status, body.get("reason", "") if status >= 400 else "") == (step.status, step.reason), (step, body)


@pytest.mark.kubernetes
@pytest.mark.parametrize("name", [*CONVERSATIONS, *POD_FAULTS])
async def test_the_embedded_answer_is_the_real_answer(embedded: Transport, real: Transport, name: str) -> None:
    steps = (CONVERSATIONS | POD_FAULTS)[name]
    for step, ours, theirs in zip(steps, await _talk(embedded, steps), await _talk(real, steps), strict=True):
        if not step.own_words:
            assert ours == theirs, step


async def test_a_watch_tells_all_changes_in_their_order(client: Client, namespace: str) -> None:
    start = (await client.list(CONFIG_MAP, namespace)).revision
    await client.create(CONFIG_MAP, _map("a"), namespace)
    await client.patch(CONFIG_MAP, "a", {"data": {"k": "1"}}, namespace)
    await client.create(CONFIG_MAP, _map("b"), namespace)
    await client.delete(CONFIG_MAP, "a", namespace)
    events = await _events(client, CONFIG_MAP, start, namespace, 4)
    assert [(event.change, event.name) for event in events] == [
        ("ADDED", "a"),
        ("MODIFIED", "a"),
        ("ADDED", "b"),
        ("DELETED", "a"),
    ]
    revisions = [int(event.revision) for event in events]
    assert revisions == sorted(set(revisions))


async def test_a_watch_with_a_selector_sees_objects_enter_and_leave(client: Client, namespace: str) -> None:
    start = (await client.list(CONFIG_MAP, namespace)).revision
    await client.create(CONFIG_MAP, _map("a"), namespace)
    await client.patch(CONFIG_MAP, "a", {"metadata": {"labels": {"in": "yes"}}}, namespace)
    await client.patch(CONFIG_MAP, "a", {"data": {"k": "1"}}, namespace)
    await client.patch(CONFIG_MAP, "a", {"metadata": {"labels": {"in": None}}}, namespace)
    events = await _events(client, CONFIG_MAP, start, namespace, 3, labels="in=yes")
    assert [event.change for event in events] == ["ADDED", "MODIFIED", "DELETED"]


async def test_a_watch_of_pods_by_node_begins_with_the_binding(client: Client, namespace: str) -> None:
    start = (await client.list(POD, namespace)).revision
    await client.create(POD, _pod("a"), namespace)
    await client.bind("a", namespace, "node-w")
    (event,) = await _events(client, POD, start, namespace, 1, fields="spec.nodeName=node-w")
    assert event.change == "ADDED"
    assert event.object is not None
    assert event.object.spec.node_name == "node-w"


async def test_a_watch_from_the_beginning_first_tells_what_is_there(api: Transport, namespace: str) -> None:
    await _create_map(api, namespace, "a")
    path = CONFIG_MAP.path(namespace=namespace)
    request = Request(method="GET", path=path, query=(("watch", "true"), ("timeoutSeconds", "2")))
    lines = b"".join([piece async for piece in api.stream(request)]).splitlines()
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in map(json.loads, lines)] == [
        ("ADDED", "a")
    ]


@pytest.mark.kubernetes
async def test_a_watch_from_a_revision_long_gone_is_told_to_list_again(real: Transport) -> None:
    """The embedded store forgets less on its own: `tests/embedded/test_store_watch.py` has its side."""
    with pytest.raises(Expired):
        await _events(Client(real, CLOCK, Random(1)), TRAINING, "1", "", 1)


@pytest.mark.parametrize("api", ["embedded", pytest.param("real", marks=pytest.mark.kubernetes)], indirect=True)
async def test_a_stream_of_initial_events_is_refused_or_complete(api: Transport, namespace: str) -> None:
    """Clients fall back to list and watch when it is refused; silence would hang them. 1.24 does not know what is asked."""
    query = (
        ("watch", "true"),
        ("sendInitialEvents", "true"),
        ("resourceVersionMatch", "NotOlderThan"),
        ("allowWatchBookmarks", "true"),
        ("timeoutSeconds", "2"),
    )
    request = Request(method="GET", path=CONFIG_MAP.path(namespace=namespace), query=query)
    answer = ""
    try:
        answer = (b"".join([piece async for piece in api.stream(request)])).decode()
    except Refused as refusal:
        answer = refusal.response.body.decode()
    assert any(sign in answer for sign in ("sendInitialEvents: Forbidden", '"ERROR"', "initial-events-end"))


async def test_pages_hold_every_object_once(client: Client, namespace: str, api: Transport) -> None:
    for number in range(7):
        await client.create(CONFIG_MAP, _map(f"m{number}"), namespace)
    small = Client(api, client.clock, client.rng, _limits(3))
    listing = await small.list(CONFIG_MAP, namespace)
    assert [item.metadata.name for item in listing.items] == [f"m{number}" for number in range(7)]


async def test_later_pages_show_the_state_of_the_first(client: Client, namespace: str, api: Transport) -> None:
    for number in range(4):
        await client.create(CONFIG_MAP, _map(f"m{number}"), namespace)
    path = CONFIG_MAP.path(namespace=namespace)
    first = json.loads((await api.request(Request(method="GET", path=path, query=(("limit", "2"),)))).body)
    await client.delete(CONFIG_MAP, "m3", namespace)
    await client.create(CONFIG_MAP, _map("m9"), namespace)
    query = (("limit", "2"), ("continue", first["metadata"]["continue"]))
    second = json.loads((await api.request(Request(method="GET", path=path, query=query))).body)
    assert [item["metadata"]["name"] for item in second["items"]] == ["m2", "m3"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_the_same_patch_again_changes_nothing(client: Client, namespace: str) -> None:
    first = await client.create(CONFIG_MAP, _map("a"), namespace)
    second = await client.patch(CONFIG_MAP, "a", {"data": {"k": "1"}}, namespace)
    third = await client.patch(CONFIG_MAP, "a", {"data": {"k": "1"}}, namespace)
    assert first.metadata.resource_version != second.metadata.resource_version == third.metadata.resource_version


async def test_the_generation_counts_changes_of_the_specification_alone(client: Client, namespace: str) -> None:
    await client.create(TRAINING, _training("t"), namespace)
    labelled = await client.patch(TRAINING, "t", {"metadata": {"labels": {"a": "b"}}}, namespace)
    ran = await client.patch_status(TRAINING, "t", {"phase": "Running"}, namespace)
    changed = await client.patch(TRAINING, "t", {"spec": {"suspended": True}}, namespace)
    assert [obj.metadata.generation for obj in (labelled, ran, changed)] == [1, 1, 2]


async def test_a_guarded_call_spares_a_namesake(client: Client, namespace: str) -> None:
    await client.create(POD, _pod("a"), namespace)
    other = "00000000-0000-4000-8000-000000000000"
    for call in (
        client.delete(POD, "a", namespace, uid=other),
        client.bind("a", namespace, "n1", uid=other),
        client.patch(POD, "a", {"metadata": {"labels": {"x": "y"}}}, namespace, uid=other),
        client.patch_status(POD, "a", {"message": "x"}, namespace, uid=other),
        client.patch_conditions(POD, "a", [Condition(type="X")], namespace, uid=other),
    ):
        with pytest.raises(Conflict):
            await call
    assert (await client.get(POD, "a", namespace)).spec.node_name == ""


@pytest.mark.slow
@pytest.mark.kubernetes
@pytest.mark.parametrize(("server", "version"), [(NEWEST, "v1"), (OLDER, "v1beta1")], indirect=["server"])
async def test_a_kind_is_read_in_the_first_of_its_versions_that_is_served(real: Transport, version: str) -> None:
    client = Client(real, CLOCK, Random(1))
    kind = msgspec.structs.replace(DISRUPTION_BUDGET, version="v9", older=("v1beta1", "v1"))
    assert (await client.served(kind)).version == version
    assert (await client.list(kind, "default")).items == ()


async def test_an_eviction_spares_a_namesake(client: Client, namespace: str) -> None:
    """The real server tries for ten seconds before it says so: its eviction retries every conflict."""
    await client.create(POD, _pod("a"), namespace)
    patient = Client(client.transport, client.clock, client.rng, Limits(call=30))
    with pytest.raises(Conflict):
        await patient.evict("a", namespace, uid="00000000-0000-4000-8000-000000000000")


async def test_refusals_come_as_our_errors(client: Client, namespace: str) -> None:
    await client.create(CONFIG_MAP, _map("a"), namespace)
    with pytest.raises(AlreadyExists):
        await client.create(CONFIG_MAP, _map("a"), namespace)
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAP, "b", namespace)
    with pytest.raises(Invalid) as caught:
        await client.create(TRAINING, _training("t", image=""), namespace)
    assert "spec.image" in caught.value.fields


async def test_a_cache_follows_its_kind(client: Client, namespace: str) -> None:
    await client.create(CONFIG_MAP, _map("before"), namespace)
    cache = Cache(client, CONFIG_MAP, namespace)
    heard: list[tuple[str, bool]] = []
    complete = asyncio.Event()

    def hear(key: Key, _: ConfigMap | None, after: ConfigMap | None) -> None:
        heard.append((key.name, after is not None))
        if len(heard) == 3:
            complete.set()

    cache.on_change(hear)
    running = asyncio.create_task(cache.run())
    try:
        async with asyncio.timeout(90):
            await cache.synced.wait()
            await client.create(CONFIG_MAP, _map("during"), namespace)
            await client.delete(CONFIG_MAP, "before", namespace)
            await complete.wait()
    finally:
        running.cancel()
    assert heard == [("before", True), ("during", True), ("before", False)]
    assert [item.metadata.name for item in cache.values()] == ["during"]


async def test_a_lease_is_written_over_the_version_that_was_read(client: Client, namespace: str) -> None:
    door = LeaseObject(client, "leader", namespace)
    assert await door.read() is None
    first = await door.write(LeaseRecord(holder="a", renewed=1_767_225_600.5, acquired=1_767_225_600.0))
    second = await door.write(LeaseRecord(holder="b", version=first.version))
    assert (first.holder, first.renewed, second.holder) == ("a", 1_767_225_600.5, "b")
    with pytest.raises(Conflict):
        await door.write(LeaseRecord(holder="c", version=first.version))
    with pytest.raises(Conflict):
        await door.write(LeaseRecord(holder="c"))


async def test_names_can_be_made_by_the_server(client: Client, namespace: str) -> None:
    names = set()
    for _ in range(3):
        made = await client.create(CONFIG_MAP, ConfigMap(metadata=ObjectMeta(generate_name="gen-")), namespace)
        names.add(made.metadata.name)
    assert len(names) == 3
    assert all(re.fullmatch(r"gen-[a-z0-9]{5}", name) for name in names)


async def test_owners_are_kept_as_written(client: Client, namespace: str) -> None:
    owner = await client.create(CONFIG_MAP, _map("owner"), namespace)
    reference = OwnerReference(
        api_version="v1", kind="ConfigMap", name="owner", uid=owner.metadata.uid, controller=True
    )
    owned = ConfigMap(metadata=ObjectMeta(name="owned", owner_references=(reference,)))
    assert (await client.create(CONFIG_MAP, owned, namespace)).metadata.owner_references == (reference,)


async def _talk(api: Transport, steps: tuple[Step, ...]) -> list[tuple[int, Any]]:
    """Give (status, normalised body) of every step, said inside a namespace of their own."""
    namespace = f"talk-{next(NUMBERS)}"
    answers = []
    for step in (Step("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}}), *steps):
        path, _, query = step.path.replace("{ns}", namespace).partition("?")
        text = step.body if isinstance(step.body, str) else json.dumps(step.body)
        response = await api.request(
            Request(
                method=step.method,
                path=path,
                query=tuple(parse_qsl(query)),
                body=text.replace("{ns}", namespace).encode() if step.body is not None else b"",
                headers={"content-type": step.media} if step.body is not None else {},
            )
        )
        answers.append((response.status, _normal(_json(response.body), namespace)))
    return answers[1:]


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except json.JSONDecodeError:
        return {}


def _normal(value: Any, namespace: str) -> Any:
    """Give the value without what differs from server to server, and without nulls."""
    if isinstance(value, dict):
        kept = {key: _normal(item, namespace) for key, item in value.items() if key not in _OWN and item is not None}
        if "items" in kept and isinstance(kept["items"], list):
            kept["items"] = [_headless(item) for item in kept["items"]]
        if isinstance(kept.get("causes"), list):
            kept["causes"] = [cause for at, cause in enumerate(kept["causes"]) if cause not in kept["causes"][:at]]
        return kept
    if isinstance(value, list):
        return [_normal(item, namespace) for item in value]
    if isinstance(value, str):
        return _CURRENT.sub("current: N", _UUID.sub("UID", value)).replace(namespace, "NS")
    return value


def _headless(item: dict[str, Any]) -> dict[str, Any]:
    """Give a list's item without kind and version: built-in lists leave them out."""
    return {key: value for key, value in item.items() if key not in ("kind", "apiVersion")}


async def _events(
    client: Client, kind: Kind[Any], revision: str, namespace: str, count: int, **selectors: str
) -> list[Event[Any]]:
    events: list[Event[Any]] = []
    async with asyncio.timeout(90):
        async for event in client.watch(kind, revision, namespace, **selectors):
            events.append(event)
            if len(events) == count:
                break
    return events


async def _create_map(api: Transport, namespace: str, name: str) -> None:
    body = json.dumps({"metadata": {"name": name}}).encode()
    headers = {"content-type": "application/json"}
    await api.request(Request(method="POST", path=CONFIG_MAP.path(namespace=namespace), body=body, headers=headers))


def _limits(page: int) -> Limits:

    return Limits(page=page)


def _map(name: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name))


def _pod(name: str) -> Pod:
    return Pod(metadata=ObjectMeta(name=name), spec=PodSpec(containers=(Container(name="c", image="x"),)))


def _training(name: str, image: str = "x") -> Training:
    return Training(metadata=ObjectMeta(name=name), spec=WorkloadSpec(image=image))
