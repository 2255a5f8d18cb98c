"""What an uninstallation takes away beside what Helm does, and what it waits for."""

from __future__ import annotations

from random import Random
from typing import Any

from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.install import purge
from fairlead.kube.client import Client
from fairlead.preflight.gather.api import Api, path_of
from fairlead.runtime.clock import VirtualClock

OURS = {"app.kubernetes.io/part-of": "fairlead"}
PULLS = "kubernetes.io/dockerconfigjson"


def api_of(clock: VirtualClock) -> Api:
    return Api(Client(EmbeddedTransport(Store(clock, Random(1))), clock, Random(2)))


async def make(api: Api, plural: str, name: str, namespace: str, labels: dict[str, str], **more: Any) -> None:
    body = {"apiVersion": "v1", "metadata": {"name": name, "namespace": namespace, "labels": labels}, **more}
    await api.call("POST", path_of("v1", plural, namespace=namespace), body)


def test_copies_of_the_pull_secret_go_and_what_is_somebody_elses_stays() -> None:
    clock = VirtualClock()
    api = api_of(clock)

    async def story() -> list[str]:
        for name in ("fairlead", "fairlead-node"):
            await api.call(
                "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            )
        await make(api, "secrets", "pull", "fairlead", {}, kind="Secret", type=PULLS)
        await make(api, "secrets", "pull", "fairlead-node", OURS, kind="Secret", type=PULLS)
        await make(api, "secrets", "key", "fairlead-node", OURS, kind="Secret", type="Opaque")
        await purge.copies(api)
        return sorted(f"{e['metadata']['namespace']}/{e['metadata']['name']}" for e in await api.list("v1", "secrets"))

    assert clock.run(story()) == ["fairlead-node/key", "fairlead/pull"]


def test_pods_that_do_not_end_in_time_are_named() -> None:
    clock = VirtualClock()
    api = api_of(clock)
    told: list[str] = []
    pod = {"spec": {"containers": [{"name": "c", "image": "i"}]}, "kind": "Pod"}

    async def story() -> float:
        await api.call(
            "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fairlead"}}
        )
        await purge.pods(api, 60, told.append)
        assert not told
        await make(api, "pods", "scheduler-1", "fairlead", {**OURS, "app.kubernetes.io/managed-by": "Helm"}, **pod)
        began = clock.monotonic()
        await purge.pods(api, 60, told.append)
        return clock.monotonic() - began

    assert 60 <= clock.run(story()) < 63
    assert told == ["Still ending: scheduler-1."]
