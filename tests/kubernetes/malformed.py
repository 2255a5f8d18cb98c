"""Bodies and parameters that are not what they should be; in words the two APIs differ, in status and reason they do not.

Options of a deletion are not among them: to those of the wrong form the real server answers 500.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.kubernetes.conversations import MAPS, MERGE, PODS, STRATEGIC, TRAININGS, Step, pod, training

NODES = "/api/v1/nodes"
EVENTS = "/api/v1/namespaces/{ns}/events"


def _named(metadata: Any = None, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": "m", **(metadata or {})}, **more}


def _container(**more: Any) -> dict[str, Any]:
    return {"metadata": {"name": "c"}, "spec": {"containers": [{"name": "main", "image": "x", **more}]}}


def _node(name: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": status}


_BODIES = (
    Step("POST", MAPS, "{", 400, "BadRequest"),
    Step("POST", MAPS, "[]", 400, "BadRequest"),
    Step("POST", MAPS, "7", 400, "BadRequest"),
    Step("POST", MAPS, '"text"', 400, "BadRequest"),
    Step("POST", MAPS, {"metadata": []}, 400, "BadRequest"),
    Step("POST", MAPS, {"metadata": "m"}, 400, "BadRequest"),
    Step("POST", MAPS, {"metadata": None}, 422, "Invalid"),
    Step("POST", MAPS, _named({"labels": ["a"]}), 400, "BadRequest"),
    Step("POST", MAPS, _named({"labels": {"a": 7}}), 400, "BadRequest"),
    Step("POST", MAPS, _named({"labels": {"a": {}}}), 400, "BadRequest"),
    Step("POST", MAPS, _named({"annotations": "a"}), 400, "BadRequest"),
    Step("POST", MAPS, _named({"finalizers": {}}), 400, "BadRequest"),
    Step("POST", MAPS, _named({"finalizers": ["plain"]}), 422, "Invalid"),
    Step("POST", MAPS, _named({"ownerReferences": [7]}), 400, "BadRequest"),
    Step("POST", MAPS, _named({"ownerReferences": [{}]}), 422, "Invalid"),
    Step("POST", MAPS, _named({"generation": "1"}), 400, "BadRequest"),
    Step("POST", MAPS, {"metadata": {"name": 7}}, 400, "BadRequest"),
    Step("POST", MAPS, _named(kind=7), 400, "BadRequest"),
    Step("POST", MAPS, _named(data=["a"]), 400, "BadRequest"),
    Step("POST", MAPS, _named(data={"a": 1}), 400, "BadRequest"),
    Step("POST", MAPS, _named(immutable="yes"), 400, "BadRequest"),
    *(
        Step("POST", MAPS, _named(), 415, "UnsupportedMediaType", media)
        for media in ("text/plain", "application/x-www-form-urlencoded")
    ),
    Step("POST", MAPS, _named(), 201, media="application/json; charset=utf-8"),
    Step("PUT", MAPS + "/m", _named(), 415, "UnsupportedMediaType", "text/plain"),
    Step("DELETE", MAPS + "/m", {}, 415, "UnsupportedMediaType", "text/plain"),
    Step("POST", EVENTS, _named(involvedObject="x"), 400, "BadRequest"),
)
_PODS = (
    Step("POST", PODS, {"metadata": {"name": "c"}, "spec": None}, 422, "Invalid"),
    Step("POST", PODS, {"metadata": {"name": "c"}, "spec": "text"}, 400, "BadRequest"),
    Step("POST", PODS, {"metadata": {"name": "c"}, "spec": {"containers": "main"}}, 400, "BadRequest"),
    Step("POST", PODS, {"metadata": {"name": "c"}, "spec": {"containers": [None]}}, 422, "Invalid"),
    Step("POST", PODS, {"metadata": {"name": "c"}, "spec": {"containers": [7]}}, 400, "BadRequest"),
    Step("POST", PODS, _container(command="sh"), 400, "BadRequest"),
    Step("POST", PODS, _container(command=[7]), 400, "BadRequest"),
    Step("POST", PODS, _container(env=["a"]), 400, "BadRequest"),
    Step("POST", PODS, _container(ports=[{"containerPort": "80"}]), 400, "BadRequest"),
    Step("POST", PODS, _container(resources=[]), 400, "BadRequest"),
    Step("POST", PODS, _container(resources={"limits": "1"}), 400, "BadRequest"),
    Step("POST", PODS, _container(resources={"limits": {"cpu": {}}}), 400, "BadRequest"),
    Step("POST", PODS, _container(resources={"limits": {"cpu": "much"}}), 400, "BadRequest"),
    Step("POST", PODS, _container(resources={"limits": {"cpu": "-1"}}), 422, "Invalid"),
    Step("POST", PODS, pod("a"), 201),
    Step("POST", PODS + "/a/binding", {"target": "node"}, 400, "BadRequest"),
    Step("POST", PODS + "/a/eviction", {"deleteOptions": "now"}, 400, "BadRequest"),
    Step("GET", PODS + "/a/log?tailLines=few", status=400, reason="BadRequest"),
)
_NODES = (
    Step("POST", NODES, _node("{ns}-x", capacity={"cpu": "abc"}), 400, "BadRequest"),
    Step("POST", NODES, _node("{ns}-x", capacity={"cpu": "-1"}), 422, "Invalid"),
    Step("POST", NODES, _node("{ns}-x", allocatable={"nvidia.com/gpu": "1.5"}), 422, "Invalid"),
    Step("POST", NODES, _node("{ns}-x", capacity={"cpu": "1500m", "nvidia.com/gpu": "2"}), 201),
    *(
        Step("PATCH", NODES + "/{ns}-x/status", {"status": {"allocatable": amounts}}, 422, "Invalid", media)
        for media in (MERGE, STRATEGIC)
        for amounts in ({"memory": "abc"}, {"nvidia.com/gpu": "0.5"})
    ),
    Step("PUT", NODES + "/{ns}-x/status", _node("{ns}-x", capacity={"cpu": "abc"}), 400, "BadRequest"),
    Step("DELETE", NODES + "/{ns}-x"),
)
_PATCHES = (
    Step("POST", MAPS, _named(data={"a": "b"}), 201),
    *(
        step
        for media in (MERGE, STRATEGIC)
        for step in (
            Step("PATCH", MAPS + "/m", "{", 400, "BadRequest", media),
            Step("PATCH", MAPS + "/m", {"metadata": {"labels": ["a"]}}, 422, "Invalid", media),
            Step("PATCH", MAPS + "/m", {"metadata": {"labels": {"a": 7}}}, 422, "Invalid", media),
            Step("PATCH", MAPS + "/m", {"metadata": []}, 422, "Invalid", media),
            Step("PATCH", MAPS + "/m", {"data": "text"}, 422, "Invalid", media),
            Step("PATCH", MAPS + "/m", {"data": {"a": [1]}}, 422, "Invalid", media),
        )
    ),
    Step("PATCH", MAPS + "/m", {"kind": "Pod"}, 422, "Invalid", MERGE),
    Step("PATCH", MAPS + "/m", {"data": {}}, 415, "UnsupportedMediaType", "text/plain"),
    Step("PUT", MAPS + "/m", _named({"labels": ["a"]}), 400, "BadRequest"),
    Step("PUT", MAPS + "/m", "[]", 400, "BadRequest"),
    Step("GET", MAPS + "/m"),
)
_CUSTOM = (
    Step("POST", TRAININGS, training("t", "text"), 422, "Invalid"),
    Step("POST", TRAININGS, training("t", None), 422, "Invalid"),
    Step("POST", TRAININGS, training("t", {"image": 7}), 422, "Invalid"),
    Step("POST", TRAININGS, {**training("t", {"image": "x"}), "metadata": "t"}, 400, "BadRequest"),
    Step(
        "POST",
        TRAININGS,
        {**training("t", {"image": "x"}), "metadata": {"name": "t", "labels": ["a"]}},
        400,
        "BadRequest",
    ),
    Step("POST", TRAININGS, {**training("t", {"image": "x"}), "kind": 7}, 400, "BadRequest"),
    Step("POST", TRAININGS, training("t", {"image": "x"}), 201),
    Step("PATCH", TRAININGS + "/t", {"spec": "text"}, 422, "Invalid", MERGE),
    Step("PATCH", TRAININGS + "/t", {"kind": None}, 422, "Invalid", MERGE),
    Step("PATCH", TRAININGS + "/t", {"spec": {}}, 415, "UnsupportedMediaType", STRATEGIC),
    Step("PATCH", TRAININGS + "/t/status", {"status": "done"}, 422, "Invalid", MERGE),
)
_PARAMETERS = (
    Step("POST", MAPS, _named({"finalizers": ["a.b/c"]}), 201),
    Step("GET", MAPS + "?labelSelector=a in (", status=400, reason="BadRequest"),
    Step("GET", MAPS + "?labelSelector=-", status=400, reason="BadRequest"),
    Step("GET", MAPS + "?fieldSelector=a", status=400, reason="BadRequest"),
    Step("GET", MAPS + "?fieldSelector=spec.x=1", status=400, reason="BadRequest"),
    Step("GET", MAPS + "?limit=many", status=400, reason="BadRequest"),
    Step("GET", MAPS + "?limit=²", status=400, reason="BadRequest"),
    Step("GET", MAPS + "?continue=nothing", status=400, reason="BadRequest"),
    Step("GET", MAPS + "?continue=Nw", status=400, reason="BadRequest"),
    Step("DELETE", MAPS + "/m?gracePeriodSeconds=soon", status=400, reason="BadRequest"),
    Step("GET", MAPS + "/m"),
)
MALFORMED = {
    name: tuple(replace(step, own_words=True) for step in steps)
    for name, steps in {
        "bodies of the wrong form": _BODIES,
        "pods of the wrong form": _PODS,
        "nodes of the wrong form": _NODES,
        "patches of the wrong form": _PATCHES,
        "our kinds in the wrong form": _CUSTOM,
        "parameters of the wrong form": _PARAMETERS,
    }.items()
}
