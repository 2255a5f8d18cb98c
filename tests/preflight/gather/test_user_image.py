"""An image of the customer's own under the rules of a project: what starts, what cannot, and what nobody tried."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.kube.client import Client
from fairlead.objects import kinds
from fairlead.objects.builtin import Namespace
from fairlead.objects.meta import ObjectMeta
from fairlead.preflight.check import Verdict, judged
from fairlead.preflight.checks import BY_CODE
from fairlead.preflight.config import config_of
from fairlead.preflight.facts import facts_of
from fairlead.preflight.gather import pods
from fairlead.preflight.gather.api import Api, path_of
from fairlead.preflight.gather.pods import Place
from fairlead.preflight.gather.user_image import SECONDS, image_facts, tried
from fairlead.runtime.clock import VirtualClock

IMAGE = "registry.corp/team/train:1"
PLACE = Place(run="1", namespace="fairlead-preflight-1", image="x", expires=0, seconds=300, pull_secret="pull")
AS_ROOT = "container has runAsNonRoot and image will run as root"


def in_state(**state: Any) -> dict[str, Any]:
    return {"status": {"containerStatuses": [{"name": "sample", "state": state}]}}


@pytest.mark.parametrize(
    ("pod", "warning", "verdict", "says"),
    [
        (in_state(running={}), ("", ""), Verdict.PASS, "ran"),
        (in_state(terminated={"exitCode": 1, "reason": "Error", "message": "no GPU"}), ("", ""), Verdict.PASS, "ran"),
        (
            in_state(terminated={"exitCode": 255, "message": "exec /run: exec format error"}),
            ("", ""),
            Verdict.WARN,
            "exec format",
        ),
        (
            in_state(terminated={"exitCode": 128, "reason": "StartError", "message": "no such file"}),
            ("", ""),
            Verdict.WARN,
            "no such file",
        ),
        (
            in_state(waiting={"reason": "CreateContainerConfigError", "message": AS_ROOT}),
            ("", ""),
            Verdict.WARN,
            AS_ROOT,
        ),
        (
            in_state(waiting={"reason": "ErrImagePull", "message": "401 Unauthorized"}),
            ("", ""),
            Verdict.WARN,
            "ErrImagePull: 401",
        ),
        (
            in_state(waiting={"reason": "ContainerCreating"}),
            ("", ""),
            Verdict.UNKNOWN,
            "within 120 s: ContainerCreating",
        ),
        (
            {"status": {}},
            ("FailedScheduling", "0/3 nodes are available"),
            Verdict.UNKNOWN,
            "FailedScheduling: 0/3 nodes",
        ),
        (None, ("Refused", "registry.corp is not allowed here"), Verdict.WARN, "is not allowed"),
        (
            None,
            ("Refused", 'failed calling webhook "guard.example": no endpoints'),
            Verdict.UNKNOWN,
            "guard.example",
        ),
    ],
)
def test_what_became_of_its_pod_is_told(pod: Any, warning: tuple[str, str], verdict: Verdict, says: str) -> None:
    facts = facts_of({"user_image": {"image": IMAGE, **image_facts(pod, *warning)}})
    found = judged(BY_CODE["user-images"], facts, config_of({"images": {"sample": IMAGE}}))
    assert (found.verdict, says in found.seen) == (verdict, True), found.seen


def test_its_pod_runs_what_the_image_says_as_whom_it_says_with_the_secret_of_projects() -> None:
    body = pods.sample_pod(PLACE, IMAGE)["spec"]
    (container,) = body["containers"]
    assert {"image", "resources", "securityContext"} <= container.keys()
    assert not {"args", "command", "volumeMounts"} & container.keys()
    assert body["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert (container["image"], body["imagePullSecrets"]) == (IMAGE, [{"name": "pull"}])


def test_it_is_not_waited_for_once_its_node_has_said_no_and_is_taken_away() -> None:
    clock = VirtualClock()
    path = path_of("v1", "pods", "user-image", PLACE.namespace)

    async def refuses(api: Api) -> None:
        await clock.sleep(3)
        status = in_state(waiting={"reason": "CreateContainerConfigError", "message": AS_ROOT})["status"]
        pod = await api.get(path)
        await api.call("PUT", f"{path}/status", {**pod, "status": {"phase": "Pending", **status}})

    async def run() -> tuple[Any, float, list[Any]]:
        client = Client(EmbeddedTransport(Store(clock, Random(1))), clock, Random(2))
        await client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name=PLACE.namespace)))
        api, began = Api(client), clock.monotonic()
        found, _ = await asyncio.gather(tried(api, PLACE, IMAGE), refuses(api))
        return found, clock.monotonic() - began, await api.list("v1", "pods", PLACE.namespace)

    found, took, left = clock.run(run())
    assert found == {"image": IMAGE, "ran": False, "event": f"CreateContainerConfigError: {AS_ROOT}"}
    assert took < SECONDS / 2
    assert left == []
