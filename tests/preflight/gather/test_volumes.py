"""What is told of a volume that could not be tried out."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.kube.client import Client
from fairlead.objects import kinds
from fairlead.objects.builtin import Namespace
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
