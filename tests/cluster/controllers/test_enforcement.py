"""What the controllers say of a pod's memory where MPS is on, on the embedded store: at its binding, and as daemons come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from msgspec.structs import replace
from tests.cluster.build import Bench
from tests.cluster.controllers.test_binder import RESERVATIONS, phase, the

from fairlead.cluster.controllers.enforcement import EnforcementOptions
from fairlead.cluster.controllers.main import Controllers, ControllersOptions
from fairlead.cluster.controllers.reservations import ReservationOptions, name_of
from fairlead.objects import fields, kinds
from fairlead.objects.builtin import Namespace
from fairlead.objects.crds import OURS
from fairlead.objects.json import JsonObject
from fairlead.objects.kai import BindRequest, BindRequestSpec, ReceivedGpu
from fairlead.objects.meta import ObjectMeta, OwnerReference
from fairlead.objects.organisation import Project, ProjectSpec
from fairlead.objects.pod import Container, Pod, PodSpec
from fairlead.objects.times import text_of
from fairlead.workloads.mps import with_mps
from fairlead.workloads.shares import with_devices

AGENT = "agent-n1"


def lives(bench: Bench, story: Callable[[], Awaitable[None]]) -> None:
    """The story, while the controllers run with MPS for all; a node `n1` with its agent."""
    options = ControllersOptions(
        reservations=ReservationOptions(image="pause"), enforcement=EnforcementOptions(choice="all", agents="agents")
    )

    async def both() -> None:
        for name in (RESERVATIONS, "agents", "ns"):
            await bench.client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name=name)))
        await bench.a_node("n1")
        memory: JsonObject = {"metadata": {"labels": {fields.GPU_MEMORY_LABEL: "80000"}}}
        await bench.client.patch(kinds.NODE, "n1", memory)
        meta = ObjectMeta(name=AGENT, labels={"app.kubernetes.io/name": "fairlead-node"})
        spec = PodSpec(containers=(Container(name="node", image="x"),), node_name="n1")
        await bench.client.create(kinds.POD, Pod(metadata=meta, spec=spec), "agents")
        await agent(bench, "True")
        running = asyncio.create_task(Controllers(bench.shaky, bench.clock, Random(1), options).run())
        await bench.clock.sleep(5)
        await story()
        running.cancel()

    bench.run(both)


async def agent(bench: Bench, ready: str) -> None:
    """The kubelet says whether the node's agent is ready."""
    conditions: JsonObject = {"conditions": [{"type": "Ready", "status": ready}]}
    await bench.client.patch_status(kinds.POD, AGENT, conditions, "agents")


async def bound(bench: Bench, name: str, *, is_client: bool = True, **told: Any) -> None:
    """A pod that shares the device of group `g`, bound when its node's agent told the device, and this of its daemon."""
    spec = PodSpec(containers=(Container(name="main", image="x"),), scheduler_name="fairlead")
    meta = ObjectMeta(name=name, annotations={fields.GPU_FRACTION: "0.5"})
    asked = with_devices(Pod(metadata=meta, spec=spec))
    pod = await bench.client.create(kinds.POD, with_mps(asked, "fairlead-mps") if is_client else asked, "ns")
    if is_client:
        await _a_bound_claim(bench)
    owner = OwnerReference(api_version="v1", kind="Pod", name=name, uid=pod.metadata.uid)
    request = BindRequestSpec(
        pod_name=name,
        selected_node="n1",
        received_resource_type="Fraction",
        received_gpu=ReceivedGpu(count=1, portion="0.50"),
        selected_gpu_groups=("g",),
    )
    labelled = ObjectMeta(name=name, labels={OURS[0]: OURS[1]}, owner_references=(owner,))
    await bench.client.create(kinds.BIND_REQUEST, BindRequest(metadata=labelled, spec=request), "ns")
    await bench.clock.sleep(2)
    await tells(bench, **{fields.RESERVED_DEVICE: "GPU-1", **told})
    await bench.clock.sleep(6)
    assert await phase(bench, name) == ("Succeeded", "")


async def _a_bound_claim(bench: Bench) -> None:
    """As Kubernetes' volume controller would bind the namespace's."""
    claim: Any = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "fairlead-mps"}}
    kind = replace(kinds.CLAIM, type=dict)
    made: Any = await bench.client.create(kind, {**claim, "spec": {"volumeName": "v"}}, "ns")
    await bench.client.patch_status(kinds.CLAIM, made["metadata"]["name"], {"phase": "Bound"}, "ns")


async def tells(bench: Bench, **notes: str | None) -> None:
    """What the node's agent writes on the reservation pod."""
    patch: Any = {"metadata": {"annotations": notes}}
    await bench.client.patch(kinds.POD, name_of("g"), patch, RESERVATIONS)
    await bench.clock.sleep(2)


async def says(bench: Bench, name: str = "a") -> tuple[str, str]:
    """How the pod's part is enforced, and why not."""
    notes = (await the(bench, name)).metadata.annotations
    return notes[fields.ENFORCEMENT], notes.get(fields.ENFORCEMENT_REASON, "")


def test_a_client_of_a_living_daemon_is_told_its_limit_and_that_its_memory_is_enforced() -> None:
    bench = Bench()

    async def story() -> None:
        await bound(bench, "a", **{fields.MPS_SINCE: text_of(bench.clock.now())})
        assert await says(bench) == ("memory", "")
        assert (await the(bench, "a")).metadata.annotations[fields.GPU_MEMORY_LIMIT] == "0=40000M"

    lives(bench, story)


def test_a_daemon_that_dies_is_said_and_what_ran_meanwhile_is_promised_nothing_until_it_starts_anew() -> None:
    bench = Bench()

    async def story() -> None:
        await bound(bench, "a", **{fields.MPS_SINCE: text_of(bench.clock.now())})
        await runs(bench)
        assert await says(bench) == ("memory", "")
        await tells(bench, **{fields.MPS_SINCE: None, fields.ENFORCEMENT_REASON: "the daemon is away"})
        assert await says(bench) == ("none", "the daemon is away")
        await bench.clock.sleep(20)
        back = text_of(bench.clock.now())
        await tells(bench, **{fields.MPS_SINCE: back, fields.ENFORCEMENT_REASON: None})
        said, why = await says(bench)
        assert (said, f"only since {back}" in why) == ("none", True)
        await runs(bench)
        assert await says(bench) == ("memory", "")

    lives(bench, story)


async def runs(bench: Bench) -> None:
    """The kubelet starts the container."""
    state: Any = {"running": {"startedAt": text_of(bench.clock.now())}}
    status: JsonObject = {"phase": "Running", "containerStatuses": [{"name": "main", "state": state}]}
    await bench.client.patch_status(kinds.POD, "a", status, "ns")
    await bench.clock.sleep(2)


def test_where_the_nodes_agent_is_away_nothing_is_promised() -> None:
    bench = Bench()

    async def story() -> None:
        await bound(bench, "a", **{fields.MPS_SINCE: text_of(bench.clock.now())})
        await agent(bench, "False")
        await bench.clock.sleep(2)
        assert await says(bench) == ("none", "the agent of its node, which keeps the MPS daemons, is away")
        await agent(bench, "True")
        await bench.clock.sleep(2)
        assert await says(bench) == ("memory", "")
        await bench.client.delete(kinds.POD, AGENT, "agents", grace_seconds=0)
        await bench.clock.sleep(2)
        assert (await says(bench))[0] == "none"

    lives(bench, story)


def test_a_pod_that_is_no_client_says_why_not() -> None:
    bench = Bench()

    async def story() -> None:
        await bound(bench, "a", is_client=False, **{fields.MPS_SINCE: text_of(bench.clock.now())})
        assert await says(bench) == (
            "none",
            "the controllers have made no volume claim in its namespace by which MPS is reached",
        )

    lives(bench, story)


def test_each_project_has_a_volume_of_that_one_folder_and_a_claim_to_it_and_gets_them_again() -> None:
    bench = Bench()

    async def story() -> None:
        await bench.client.create(kinds.PROJECT, Project(metadata=ObjectMeta(name="p"), spec=ProjectSpec()))
        await bench.clock.sleep(5)
        volume = await bench.client.get(kinds.VOLUME, "fairlead-mps-runai-p")
        claim = await bench.client.get(kinds.CLAIM, "fairlead-mps", "runai-p")
        assert volume.spec.host_path == {"path": "/run/fairlead/mps", "type": "DirectoryOrCreate"}
        assert volume.spec.claim_ref is not None
        assert (volume.spec.claim_ref.namespace, volume.spec.claim_ref.name) == ("runai-p", "fairlead-mps")
        assert (claim.spec.volume_name, claim.spec.storage_class_name) == ("fairlead-mps-runai-p", "")
        assert [o.metadata.owner_references[0].kind for o in (volume, claim)] == ["Project", "Project"]
        namespace = await bench.client.get(kinds.NAMESPACE, "runai-p")
        assert namespace.metadata.annotations[fields.MPS_CLAIM] == "fairlead-mps"
        taken: JsonObject = {"spec": {"claimRef": {"uid": "of-the-first", "resourceVersion": "7"}}}
        await bench.client.patch(kinds.VOLUME, "fairlead-mps-runai-p", taken)
        await bench.client.delete(kinds.CLAIM, "fairlead-mps", "runai-p")
        await bench.clock.sleep(400)
        assert await bench.client.find(kinds.CLAIM, "fairlead-mps", "runai-p") is not None
        again = (await bench.client.get(kinds.VOLUME, "fairlead-mps-runai-p")).spec.claim_ref
        assert again is not None
        assert (again.name, again.uid) == ("fairlead-mps", "")

    lives(bench, story)
