"""What others do to a cluster that they should not, on a real API server with our roles. A node that lies about its GPUs needs a
kubelet (`tests/realcluster/test_life.py`), a webhook certificate that has ended a webhook (`test_admission.py`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.kubernetes.roles import Team, a_team, until

from fairlead.cli.roles import crds
from fairlead.kube.transport import Transport
from fairlead.objects import fields, kinds
from fairlead.runtime.errors import Invalid

pytestmark = pytest.mark.kubernetes
UNSEEN = 1.5
"""Seconds in which a wrong decision would have been made: some cycles."""


@pytest.fixture
async def team(real: Transport) -> AsyncIterator[Team]:
    """A project on a node with 4 GPUs."""
    async with a_team(real, 4) as found:
        yield found


async def test_pods_that_somebody_else_bound_count_where_they_are_and_nobody_is_evicted_for_them(team: Team) -> None:
    await team.stop("scheduler")
    for name in ("theirs", "too-many"):
        await team.pod(name, 3)
        await team.client.bind(name, team.namespace, team.node)
    team.start("scheduler")
    await team.pod("ours", 1)

    async def counted() -> bool:
        queue = await team.client.get(kinds.QUEUE, team.project)
        return str(queue.status.allocated.get(fields.GPU_RESOURCE)) == "6"

    assert await until(counted)
    told = await until(lambda: team.why("ours"))
    assert "0 GPUs left" in told, told
    await asyncio.sleep(UNSEEN)
    pods = (await team.client.list(kinds.POD, team.namespace)).items
    assert not [p.metadata.name for p in pods if p.metadata.deletion_timestamp]
    await team.remove("too-many")
    await team.places("theirs", "ours")


async def test_pods_of_another_scheduler_take_their_room_and_belong_to_no_queue(team: Team) -> None:
    await team.pod("foreign", 4, schedulerName="another")
    await team.client.bind("foreign", team.namespace, team.node)
    await team.pod("ours", 1)
    told = await until(lambda: team.why("ours"))
    assert "0 GPUs left" in told, told
    await asyncio.sleep(UNSEEN)
    assert await team.placed() == {"foreign"}
    await team.remove("foreign")
    await team.places("ours")


async def test_a_kind_that_somebody_else_defined_otherwise_is_named_and_left_alone(team: Team) -> None:
    """What the Job of the chart does before it makes ours."""

    def definition(version: str) -> dict[str, Any]:
        schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        names = {"plural": "gadgets", "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"}
        versions = [{"name": version, "served": True, "storage": True, "schema": schema}]
        spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": versions}
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "gadgets.example.com"},
            "spec": spec,
        }

    await team.client.create(kinds.CUSTOM_RESOURCE_DEFINITION, definition("v1"))
    try:
        await crds.ensure(team.client, "gadgets.example.com", definition("v1"))
        with pytest.raises(
            Invalid, match=r"gadgets\.example\.com was defined by somebody else and serves v1; .* needs v2"
        ):
            await crds.ensure(team.client, "gadgets.example.com", definition("v2"))
        kept = await team.client.get(kinds.CUSTOM_RESOURCE_DEFINITION, "gadgets.example.com")
        assert [each["name"] for each in kept["spec"]["versions"]] == ["v1"]
    finally:
        await team.client.delete(kinds.CUSTOM_RESOURCE_DEFINITION, "gadgets.example.com")
