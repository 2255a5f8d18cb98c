"""What an installed product finds out about its own cluster: the objects of the API, what its node agents report, and what the API says to
its own pods sent as a dry run; and what services answer that it was told of. No pods are made, no secrets are read, nothing is written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import fairlead
from fairlead.kube.client import Client
from fairlead.objects.kinds import NODE_REPORT
from fairlead.objects.organisation import NodeReport
from fairlead.objects.times import text_of
from fairlead.preflight.config import Config, images_inside
from fairlead.preflight.facts import Facts, facts_of
from fairlead.preflight.gather import inside
from fairlead.preflight.gather.access import access_facts, own_rights
from fairlead.preflight.gather.api import Api, path_of
from fairlead.preflight.gather.objects import objects_facts
from fairlead.preflight.gather.run import merge, missing_images
from fairlead.runtime.errors import FairleadError

Document = dict[str, Any]

_OURS: Final = "app.kubernetes.io/part-of=fairlead"
_WITH_PODS: Final = ("deployments", "daemonsets")


async def look(client: Client, config: Config, node_namespace: str = "fairlead-node") -> Facts:
    """What was found. What could not be had is unknown, with its reason. `node_namespace`: where the agents of nodes are."""
    api, now = Api(client), client.clock.now()
    found: Document = {
        "facts_version": 1,
        "run": {
            "id": f"{client.rng.getrandbits(32):08x}",
            "at": text_of(now),
            "program": fairlead.__version__,
            "probes": False,
            "after_install": True,
        },
    }
    merge(found, await access_facts(api, config.namespace, reviews=False))
    if found["access"].get("list_nodes") == "ok":
        merge(found, await objects_facts(api, config.namespace, now, whole=False, config=config))
        if isinstance(found["nodes"], list):
            _complete(found, config, await _reports(client))
            merge(found, await inside.facts(config, found["nodes"], now))
        found["access_reviews"] = await own_rights(api, config.namespace)
        found["dry_run"] = await _own_pods(api, config.namespace, node_namespace)
        merge(found, {"access": {"allowed": sorted(api.allowed), "forbidden": sorted(api.forbidden)}})
        found["webhook_failures"] = api.webhook_failures()
    return facts_of(found, "what was gathered")


async def _own_pods(api: Api, *namespaces: str) -> list[Document]:
    """What the API says to pods like those of our Deployments and DaemonSets, which are sent only to be judged."""
    found: list[Document] = []
    for namespace in dict.fromkeys(namespaces):
        for plural in _WITH_PODS:
            try:
                owners = await api.list("apps/v1", plural, namespace, labels=_OURS)
            except FairleadError:
                continue  # a right that lacks is told by its own check
            found += await asyncio.gather(*(_own_pod(api, owner, namespace) for owner in owners))
    return found


async def _own_pod(api: Api, owner: Document, namespace: str) -> Document:
    name, template = owner["metadata"]["name"], owner["spec"]["template"]
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**(template.get("metadata") or {}), "generateName": f"{name}-", "namespace": namespace},
        "spec": template["spec"],
    }
    found: Document = {"object": f"{name} pod", "namespace": namespace, "as": "our account"}
    return found | await api.verdict(path_of("v1", "pods", namespace=namespace), body)


async def _reports(client: Client) -> Sequence[NodeReport]:
    """What node agents say; nothing where that may not be read."""
    try:
        return (await client.list(NODE_REPORT)).items
    except FairleadError:
        return ()


def _complete(found: Document, config: Config, reports: Sequence[NodeReport]) -> None:
    """Facts of nodes that are not in their own objects."""
    if config.registry.local_images:
        found["images_missing_on"] = missing_images(found["nodes"], images_inside(config))
    told = {each.metadata.name: each.status for each in reports if not each.status.simulated}
    for node in found["nodes"]:
        if (status := told.get(node["name"])) is None:
            continue
        node["driver"] = status.driver_version or None
        if status.driver_version:
            node["nvml_devices"] = len(status.devices)
