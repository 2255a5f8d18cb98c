"""What the binder does, without kubelets and controllers: this plays the node's agent, the provisioner and the volume controller."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fairlead.kube.client import Client
from fairlead.objects import builtin, fields, kinds
from fairlead.objects.json import JsonObject
from fairlead.objects.kai import BindRequest
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import Container, Pod, PodSpec, Volume

NAMESPACE, RESERVATIONS = "runai-team", "fairlead-reservation"


async def everything(client: Client) -> None:
    """A part of a GPU, one that the node refuses at first, a claim that a provisioner serves, and one that a volume there does."""
    await _shares(client, "half")
    await _until(lambda: _reservation(client, "half"))
    await _tell(client, "half")
    await _until(lambda: _is_bound(client, "half"))
    await client.delete(kinds.POD, "half", NAMESPACE, grace_seconds=0)
    await _given_back(client)
    await _shares(client, "refused", "0.9")
    await _until(lambda: _reservation(client, "refused"))
    holder: Any = await _reservation(client, "refused")
    status: JsonObject = {"phase": "Failed", "message": "no GPU is free"}
    await client.patch_status(kinds.POD, holder.metadata.name, status, RESERVATIONS)
    await _until(lambda: _was_withdrawn(client, "refused"))
    await _claims(client)
    for name in ("refused", "made", "found"):
        await client.delete(kinds.POD, name, NAMESPACE, grace_seconds=0)
    await _given_back(client)


async def _claims(client: Client) -> None:
    for name, provisioner in (("made", "example.com/disks"), ("found", builtin.NO_PROVISIONER)):
        meta = ObjectMeta(name=name)
        await client.create(
            kinds.STORAGE_CLASS,
            builtin.StorageClass(metadata=meta, provisioner=provisioner, volume_binding_mode="WaitForFirstConsumer"),
        )
        spec = builtin.ClaimSpec(
            storage_class_name=name,
            access_modes=("ReadWriteOnce",),
            resources=builtin.ClaimResources(requests={"storage": "1Gi"}),
        )
        await client.create(kinds.CLAIM, builtin.PersistentVolumeClaim(metadata=meta, spec=spec), NAMESPACE)
    await client.create(kinds.VOLUME, _volume("found"))
    for name in ("made", "found"):
        claim = Volume(name="v", persistent_volume_claim={"claimName": name})
        await client.create(kinds.POD, _pod(name, {}, (claim,)), NAMESPACE)
    await _until(lambda: _selected(client, "made"))
    await client.create(kinds.VOLUME, _volume("made"))
    await _until(lambda: _kept(client, "found"))
    for name in ("made", "found"):
        await client.patch(kinds.CLAIM, name, {"spec": {"volumeName": name}}, NAMESPACE)
        await client.patch_status(kinds.CLAIM, name, {"phase": "Bound"}, NAMESPACE)
        await _until(lambda name=name: _is_bound(client, name))


def _pod(name: str, annotations: dict[str, str], volumes: tuple[Volume, ...] = ()) -> Pod:
    spec = PodSpec(containers=(Container(name="c", image="x"),), scheduler_name="fairlead", volumes=volumes)
    return Pod(metadata=ObjectMeta(name=name, annotations=annotations), spec=spec)


def _volume(name: str) -> builtin.PersistentVolume:
    spec = builtin.VolumeSpec(
        storage_class_name=name,
        access_modes=("ReadWriteOnce",),
        capacity={"storage": "1Gi"},
        nfs={"server": "nowhere", "path": "/"},
    )
    return builtin.PersistentVolume(metadata=ObjectMeta(name=name), spec=spec)


async def _shares(client: Client, name: str, part: str = "0.5") -> None:
    await client.create(kinds.POD, _pod(name, {fields.GPU_FRACTION: part}), NAMESPACE)


async def _request(client: Client, name: str) -> BindRequest | None:
    return await client.find(kinds.BIND_REQUEST, name, NAMESPACE)


async def _reservation(client: Client, name: str) -> Pod | None:
    request = await _request(client, name)
    groups = request.spec.selected_gpu_groups if request else ()
    held = (await client.list(kinds.POD, RESERVATIONS)).items
    return next((p for p in held if p.metadata.labels.get(fields.GPU_GROUP) in groups), None)


async def _tell(client: Client, name: str) -> None:
    holder: Any = await _reservation(client, name)
    patch: JsonObject = {"metadata": {"annotations": {fields.RESERVED_DEVICE: f"GPU-{name}"}}}
    await client.patch(kinds.POD, holder.metadata.name, patch, RESERVATIONS)


async def _is_bound(client: Client, name: str) -> bool:
    return bool((await client.get(kinds.POD, name, NAMESPACE)).spec.node_name)


async def _was_withdrawn(client: Client, name: str) -> bool:
    told = (await client.get(kinds.POD, name, NAMESPACE)).status.conditions
    return any("no GPU is free" in c.message for c in told) and await _request(client, name) is None


async def _selected(client: Client, name: str) -> bool:
    return "volume.kubernetes.io/selected-node" in (await client.get(kinds.CLAIM, name, NAMESPACE)).metadata.annotations


async def _kept(client: Client, name: str) -> bool:
    return (await client.get(kinds.VOLUME, name)).spec.claim_ref is not None


async def _given_back(client: Client) -> None:
    """The binder has ended what nobody uses, and the kubelet has let it go."""
    await _until(lambda: _none(client))
    for pod in (await client.list(kinds.POD, RESERVATIONS)).items:
        await client.delete(kinds.POD, pod.metadata.name, RESERVATIONS, grace_seconds=0)


async def _none(client: Client) -> bool:
    """No requests, and no reservation pods that are not ended: no kubelet takes them away."""
    held = (await client.list(kinds.POD, RESERVATIONS)).items
    return not (await client.list(kinds.BIND_REQUEST)).items and all(p.metadata.deletion_timestamp for p in held)


async def _until(look: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(60):
        while not await look():  # noqa: ASYNC110  # other programs bring it about
            await asyncio.sleep(0.2)
