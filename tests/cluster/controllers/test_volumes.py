"""The binder and volumes, on the embedded store in simulated time: who is told what, and how long is waited."""

from __future__ import annotations

from tests.cluster.build import Bench
from tests.cluster.controllers.test_binder import lives, phase
from tests.cluster.scheduler.test_claims import a_class, a_volume

from fairlead.cluster.controllers.volumes import SELECTED
from fairlead.objects import builtin, kinds
from fairlead.objects.builtin import NO_PROVISIONER
from fairlead.objects.crds import OURS
from fairlead.objects.kai import BindRequest, BindRequestSpec
from fairlead.objects.meta import ObjectMeta, OwnerReference
from fairlead.objects.pod import Container, Pod, PodSpec, Volume


async def asks(bench: Bench, klass: str, node: str = "n1") -> None:
    """A pod `a` with a claim `data` of that class, and the scheduler's wish to place it."""
    await bench.a_pod("other")
    resources = builtin.ClaimResources(requests={"storage": "1Gi"})
    spec = builtin.ClaimSpec(storage_class_name=klass, access_modes=("ReadWriteOnce",), resources=resources)
    await bench.client.create(
        kinds.CLAIM, builtin.PersistentVolumeClaim(metadata=ObjectMeta(name="data"), spec=spec), "ns"
    )
    volume = Volume(name="v", persistent_volume_claim={"claimName": "data"})
    pod_spec = PodSpec(containers=(Container(name="c", image="x"),), scheduler_name="fairlead", volumes=(volume,))
    pod = await bench.client.create(kinds.POD, Pod(metadata=ObjectMeta(name="a"), spec=pod_spec), "ns")
    owner = OwnerReference(api_version="v1", kind="Pod", name="a", uid=pod.metadata.uid)
    meta = ObjectMeta(name="a", labels={OURS[0]: OURS[1]}, owner_references=(owner,))
    wish = BindRequestSpec(pod_name="a", selected_node=node, received_resource_type="Regular")
    await bench.client.create(kinds.BIND_REQUEST, BindRequest(metadata=meta, spec=wish), "ns")


async def claim(bench: Bench) -> builtin.PersistentVolumeClaim:
    return await bench.client.get(kinds.CLAIM, "data", "ns")


async def is_bound(bench: Bench, volume: str) -> None:
    """What Kubernetes' volume controller does."""
    await bench.client.patch(kinds.CLAIM, "data", {"spec": {"volumeName": volume}}, "ns")
    await bench.client.patch_status(kinds.CLAIM, "data", {"phase": "Bound"}, "ns")


async def node_of(bench: Bench) -> str:
    return (await bench.client.get(kinds.POD, "a", "ns")).spec.node_name


def test_the_provisioner_is_told_the_node_and_the_pod_starts_with_its_volume() -> None:
    bench = Bench()

    async def story() -> None:
        await a_class(bench, "late", "WaitForFirstConsumer")
        await asks(bench, "late")
        await bench.clock.sleep(3)
        assert ((await claim(bench)).metadata.annotations[SELECTED], await node_of(bench)) == ("n1", "")
        await is_bound(bench, "disk")
        await bench.clock.sleep(3)
        assert (await node_of(bench), await phase(bench, "a")) == ("n1", ("Succeeded", ""))

    lives(bench, story)


def test_a_provisioner_that_takes_the_node_back_ends_the_try_with_its_reason() -> None:
    bench = Bench()

    async def story() -> None:
        await a_class(bench, "late", "WaitForFirstConsumer")
        await asks(bench, "late")
        await bench.clock.sleep(3)
        await bench.client.patch(kinds.CLAIM, "data", {"metadata": {"annotations": {SELECTED: None}}}, "ns")
        await bench.clock.sleep(3)
        assert await phase(bench, "a") == ("Failed", "the provisioner of the claim data cannot make a volume for n1")

    lives(bench, story)


def test_a_claim_that_never_binds_gives_its_reason() -> None:
    bench = Bench()

    async def story() -> None:
        await a_class(bench, "late", "WaitForFirstConsumer")
        await asks(bench, "late")
        await bench.clock.sleep(130)
        said, why = await phase(bench, "a")
        assert said == "Failed"
        assert why.startswith(
            "the claim data was not bound to a volume for n1 within 120 s; `kubectl -n ns describe pvc"
        )

    lives(bench, story)


def test_of_volumes_that_are_there_the_smallest_on_the_node_is_kept_for_the_claim() -> None:
    bench = Bench()

    async def story() -> None:
        await bench.a_node("n1")
        await a_class(bench, "late", "WaitForFirstConsumer", NO_PROVISIONER)
        for name, node, size in (("large", "n1", "9Gi"), ("small", "n1", "2Gi"), ("elsewhere", "n2", "1Gi")):
            await a_volume(bench, name, node, size=size)
        await asks(bench, "late")
        await bench.clock.sleep(3)
        kept = {v.metadata.name: v.spec.claim_ref for v in (await bench.client.list(kinds.VOLUME)).items}
        assert [name for name, owner in kept.items() if owner] == ["small"]
        assert (kept["small"] or builtin.ObjectReference()).uid == (await claim(bench)).metadata.uid
        await is_bound(bench, "small")
        await bench.clock.sleep(3)
        assert await node_of(bench) == "n1"

    lives(bench, story)


def test_a_node_without_a_free_volume_says_so() -> None:
    bench = Bench()

    async def story() -> None:
        await bench.a_node("n1")
        await a_class(bench, "late", "WaitForFirstConsumer", NO_PROVISIONER)
        await asks(bench, "late")
        await bench.clock.sleep(3)
        assert await phase(bench, "a") == ("Failed", "no volume that the claim data could have is free on n1")

    lives(bench, story)


def test_a_node_that_is_gone_ends_the_try() -> None:
    bench = Bench()

    async def story() -> None:
        await a_class(bench, "late", "WaitForFirstConsumer", NO_PROVISIONER)
        await asks(bench, "late", node="n9")
        await bench.clock.sleep(3)
        assert await phase(bench, "a") == ("Failed", "the node n9 is gone")

    lives(bench, story)
