"""What is not what it should be is refused with a Status that says where and what was expected, and nothing else stops."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from tests.embedded.malformed import COLLECTIONS, NAMESPACED, a_call, calls_of, objects, with_value

from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.embedded.tables import table
from fairlead.kube.transport import JSON, MERGE_PATCH, STRATEGIC_PATCH, Refused, Request, Response
from fairlead.objects.kinds import KINDS
from fairlead.runtime.clock import SystemClock

REFUSALS = {
    400: "BadRequest",
    403: "Forbidden",
    404: "NotFound",
    410: "Expired",
    504: "Timeout",
    409: "Conflict",
    415: "UnsupportedMediaType",
    422: "Invalid",
}
PODS = COLLECTIONS["Pod"]
TRAININGS = COLLECTIONS["Training"]


class Api:
    """A store that is spoken to in bare requests."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.store = Store(self.clock, Random(1))
        self._transport = EmbeddedTransport(self.store)
        self.owner = next(entry.doc["metadata"]["uid"] for _, entry in self.store.memory.within("namespaces"))
        """The UID of something that stays."""

    async def say(self, call: Request) -> Response:
        """The answer, a refusal being one of those that name what is wrong."""
        answer = await self._transport.request(call)
        if answer.status >= 400:
            status = json.loads(answer.body)
            assert status["reason"] in (REFUSALS[answer.status], "AlreadyExists"), status
            assert status["message"], status
        return answer

    async def have(self, kind: str) -> None:
        """See that there is a good object of that kind."""
        await self.say(a_call("POST", COLLECTIONS[kind], objects(self.owner)[kind]))

    async def still_answers(self, kind: str) -> None:
        """What is stored can be listed, selected, shown as a table and deleted."""
        collection = COLLECTIONS[kind]
        for query in ("", "?labelSelector=a=b", "?fieldSelector=metadata.name=one"):
            listed = await self.say(a_call("GET", collection + query))
            assert listed.status == 200
        row = next(k for k in KINDS if k.kind == kind)
        items = json.loads((await self.say(a_call("GET", collection))).body)["items"]
        table(row, items, {"resourceVersion": "1"}, self.clock.now())
        gone = await self.say(a_call("DELETE", f"{collection}/one?gracePeriodSeconds=0"))
        assert gone.status in (200, 404)
        free = {"metadata": {"finalizers": None}}
        assert (await self.say(a_call("PATCH", f"{collection}/one", free, MERGE_PATCH))).status in (200, 404)


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.mark.slow
@pytest.mark.parametrize("kind", COLLECTIONS)
async def test_a_wrong_value_at_any_place_of_an_object_is_refused_or_harmless(api: Api, kind: str) -> None:
    seen = set()
    for what, call in calls_of(kind, api.owner):
        await api.have(kind)
        try:
            answer = await api.say(call)
            seen.add(answer.status)
            if answer.status < 300:
                await api.still_answers(kind)
        except Exception as error:
            raise AssertionError(what) from error
    assert {201, 200, 400, 422} <= seen


@pytest.mark.parametrize(
    ("kind", "path", "value", "told"),
    [
        ("Pod", ("metadata",), [], "metadata: expected an object, got an array"),
        ("Pod", ("metadata", "labels"), ["a"], "metadata.labels: expected an object, got an array"),
        ("Pod", ("metadata", "labels", "a"), 7, "metadata.labels.a: expected a string, got an integer"),
        ("Pod", ("spec",), "text", "spec: expected an object, got a string"),
        ("Pod", ("spec", "containers"), "main", "spec.containers: expected an array, got a string"),
        (
            "Pod",
            ("spec", "containers", 0, "command", 0),
            7,
            "spec.containers[0].command[0]: expected a string, got an integer",
        ),
        (
            "Pod",
            ("spec", "containers", 0, "resources", "limits", "cpu"),
            {},
            "spec.containers[0].resources.limits.cpu: expected a string or an integer or a number, got an object",
        ),
        ("Training", ("metadata", "ownerReferences", 0), "text", "metadata.ownerReferences[0]: expected an object"),
        ("Pod", ("kind",), 7, "kind: expected a string, got an integer"),
    ],
)
async def test_the_place_and_what_was_expected_there_are_named(
    api: Api, kind: str, path: tuple[str | int, ...], value: Any, told: str
) -> None:
    answer = await api.say(a_call("POST", COLLECTIONS[kind], with_value(objects()[kind], path, value)))
    assert (answer.status, told in json.loads(answer.body)["message"]) == (400, True), answer.body


BODIES = (
    *(b"", b"{", b"null", b"7", b'"text"', b"[]", b"[{}]", b"{}", b"\xff\xfe", b'{"a":"\xff"}', b'{"a":"\\ud800"}'),
    *(b'{"a":' * 200 + b"1" + b"}" * 200, b'{"a":' * 900 + b"1" + b"}" * 900, b"[" * 100_000, b'{"a": NaN}'),
    *(b'{"metadata":{"generation":' + b"9" * 5000 + b"}}", b'{"spec":1e999}', b"apiVersion: v1\nkind: Pod\n"),
)


async def test_a_json_patch_is_refused_with_the_patches_that_are_taken(api: Api) -> None:
    await api.have("Pod")
    body = [{"op": "add", "path": "/data", "value": {}}]
    answer = await api.say(a_call("PATCH", f"{COLLECTIONS['Pod']}/one", body, "application/json-patch+json"))
    assert (answer.status, MERGE_PATCH in answer.body.decode()) == (415, True)


@pytest.mark.parametrize("media", [JSON, MERGE_PATCH, STRATEGIC_PATCH, "application/json-patch+json", "text/plain", ""])
async def test_bodies_that_are_not_what_they_claim(api: Api, media: str) -> None:
    for kind in ("Pod", "Training"):
        await api.have(kind)
        for body in BODIES:
            for method, path in (
                ("POST", ""),
                ("PUT", "/one"),
                ("PATCH", "/one"),
                ("PATCH", "/one/status"),
                ("PUT", "/one/status"),
            ):
                await api.say(a_call(method, COLLECTIONS[kind] + path, body, media))
        await api.still_answers(kind)


ODD = (
    "",
    "a",
    "-1",
    "1.5",
    "²",
    "٣",
    "9" * 5000,
    "1e9",
    "%00",
    "\x00",
    "ü",
    "=",
    "a=b=c",
    "!",
    "a in (",
    "a,b",
    "(",
    "true",
    "null",
)
QUERIES = (
    "labelSelector",
    "fieldSelector",
    "limit",
    "continue",
    "resourceVersion",
    "resourceVersionMatch",
    "timeoutSeconds",
)


@pytest.mark.parametrize("name", [*QUERIES, "watch", "pretty", "sendInitialEvents"])
async def test_parameters_that_cannot_be_read(api: Api, name: str) -> None:
    await api.have("Pod")
    for value in ODD:
        call = Request(method="GET", path=PODS, query=((name, value),))
        answer = await api.say(call)
        assert answer.status in (200, 400, 410, 422, 504)


@pytest.mark.parametrize("name", ["labelSelector", "fieldSelector", "resourceVersion", "timeoutSeconds"])
async def test_watches_that_cannot_be_begun(api: Api, name: str) -> None:
    for value in ODD:
        call = Request(
            method="GET", path=PODS, query=(("watch", "true"), (name, value), ("allowWatchBookmarks", "true"))
        )
        assert _refused(api, call) in (0, 400, 422)


def _refused(api: Api, call: Request) -> int:
    """The status that a watch is refused with, 0 for none."""
    try:
        api.store.check_stream(call)
    except Refused as refusal:
        return refusal.response.status
    return 0


def _tokens() -> Iterable[str]:
    for content in (
        b"7",
        b"null",
        b"{}",
        b"[]",
        b"[1,2]",
        b"[1,2,3]",
        b'["1","a","b"]',
        b'[1e30,"a","b"]',
        b"\xff",
        b'[-1,"",""]',
    ):
        yield base64.urlsafe_b64encode(content).decode()
    yield from ("?", "a", "ab", "ü")


async def test_continue_keys_that_are_not_ours(api: Api) -> None:
    for token in _tokens():
        answer = await api.say(Request(method="GET", path=PODS, query=(("continue", token),)))
        assert answer.status in (400, 410), token


OPTIONS = (
    *({"gracePeriodSeconds": v} for v in ("5", -1, 1.5, [], {}, 10**18, 10**30, True)),
    *({"propagationPolicy": v} for v in (7, "", "Sideways", [], {})),
    *({"preconditions": v} for v in (7, "a", [], {"uid": 7}, {"uid": []}, {"resourceVersion": 7}, {"uid": ""})),
    *({"dryRun": v} for v in ("All", 7, ["All"], [7], {})),
    *({"orphanDependents": v} for v in ("yes", 7, [])),
)


async def test_deletions_with_odd_options(api: Api) -> None:
    for kind in ("Pod", "ConfigMap", "Training", "Namespace"):
        for options in OPTIONS:
            await api.have(kind)
            await api.say(a_call("DELETE", f"{COLLECTIONS[kind]}/one", options))
            await api.still_answers(kind)
        for value in ODD:
            for name in ("gracePeriodSeconds", "propagationPolicy"):
                await api.have(kind)
                call = Request(method="DELETE", path=f"{COLLECTIONS[kind]}/one", query=((name, value),))
                await api.say(call)
                await api.still_answers(kind)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"gracePeriodSeconds": "5"}, "gracePeriodSeconds: expected an integer, got a string"),
        ({"preconditions": ["u"]}, "preconditions: expected an object, got an array"),
        ({"preconditions": {"uid": 7}}, "preconditions.uid: expected a string, got an integer"),
        ({"propagationPolicy": 7}, "propagationPolicy: expected a string, got an integer"),
        ([], "must be a JSON object"),
    ],
)
async def test_options_of_a_deletion_that_are_wrong_are_named_and_nothing_is_deleted(
    api: Api, options: Any, told: str
) -> None:
    await api.have("ConfigMap")
    answer = await api.say(a_call("DELETE", f"{COLLECTIONS['ConfigMap']}/one", options))
    assert (answer.status, told in json.loads(answer.body)["message"]) == (400, True), answer.body
    left = json.loads((await api.say(a_call("GET", f"{COLLECTIONS['ConfigMap']}/one"))).body)
    assert "deletionTimestamp" not in left["metadata"]


async def test_bindings_and_evictions_that_are_not_any(api: Api) -> None:
    parts: tuple[Any, ...] = (
        None,
        7,
        "a",
        [],
        [None],
        {},
        {"name": 7},
        {"name": []},
        {"uid": 7},
        {"annotations": []},
        {"kind": {}},
    )
    for part in parts:
        for body in (
            {"target": part},
            {"target": {"name": "n"}, "metadata": part},
            {"deleteOptions": part},
            {"metadata": part},
        ):
            for verb in ("binding", "eviction"):
                await api.have("Pod")
                await api.say(a_call("POST", f"{PODS}/one/{verb}", body))
    await api.still_answers("Pod")


@pytest.mark.parametrize(
    "spec",
    [
        {"minAvailable": "half"},
        {"minAvailable": -1},
        {"selector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}},
    ],
)
async def test_a_budget_that_cannot_be_read_is_refused_and_does_not_stop_evictions(
    api: Api, spec: dict[str, Any]
) -> None:
    await api.have("Pod")
    budget = {**objects()["PodDisruptionBudget"], "spec": spec}
    assert (await api.say(a_call("POST", COLLECTIONS["PodDisruptionBudget"], budget))).status == 422
    await api.say(a_call("PATCH", f"{PODS}/one/status", {"status": {"phase": "Running"}}, MERGE_PATCH))
    assert (await api.say(a_call("POST", f"{PODS}/one/eviction", {}))).status == 201


@pytest.mark.parametrize("name", ["tailLines", "sinceSeconds", "container", "ports"])
async def test_logs_and_ports_that_cannot_be_read(api: Api, name: str) -> None:
    await api.have("Pod")
    for value in ODD:
        for verb in ("log", "portforward", "exec"):
            await api.say(Request(method="GET", path=f"{PODS}/one/{verb}", query=((name, value),)))


async def test_names_with_odd_characters_are_no_objects(api: Api) -> None:
    for name in (*ODD, "..", ".", "a b", "a/../b", "x" * 5000, "\n", "A"):
        for path in (
            f"{PODS}/{name}",
            f"/api/v1/namespaces/{name}",
            f"/api/v1/namespaces/{name}/pods",
            f"/{name}",
            f"/apis/{name}/v1/x",
        ):
            for method in ("GET", "DELETE", "PATCH", "PUT", "POST"):
                body = {} if method in ("PATCH", "PUT", "POST") else b""
                answer = await api.store.request(a_call(method, path.replace("?", ""), body, MERGE_PATCH))
                assert answer.status < 500, (method, path)
    assert (await api.say(a_call("GET", f"{NAMESPACED}/pods"))).status == 200


async def test_status_of_the_wrong_form_is_refused_or_harmless(api: Api) -> None:
    values: tuple[Any, ...] = (None, 7, "text", [], [None], {}, [{}], [{"type": 7}], [{"type": "A"}], {"a": 1})
    for kind in ("Pod", "Node", "Training", "PodGroup", "Project", "Namespace"):
        for field in ("conditions", "phase", "containerStatuses", "capacity", "startTime", "observedGeneration"):
            for value in values:
                for media in (MERGE_PATCH, STRATEGIC_PATCH):
                    await api.have(kind)
                    body = {"status": {field: value}}
                    await api.say(a_call("PATCH", f"{COLLECTIONS[kind]}/one/status", body, media))
                await api.say(a_call("PATCH", f"{COLLECTIONS[kind]}/one/status", {"status": value}, MERGE_PATCH))
                await api.still_answers(kind)
