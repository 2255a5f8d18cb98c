"""The volume claim by which a project's pods reach the MPS daemons of their node.

Pod Security `baseline` and `restricted` refuse hostPath volumes to pods, and rightly: whoever may have them has the node. A claim they
allow. So each project gets a volume that is one folder of whichever node it is used on, and a claim that only this volume serves.
"""

from __future__ import annotations

from typing import Final

from fairlead.kube.client import Client
from fairlead.kube.errors import AlreadyExists
from fairlead.objects import fields, kinds
from fairlead.objects.builtin import (
    ClaimResources,
    ClaimSpec,
    Namespace,
    PersistentVolume,
    PersistentVolumeClaim,
    VolumeSpec,
)
from fairlead.objects.crds import OURS
from fairlead.objects.meta import ObjectMeta, ObjectReference, OwnerReference
from fairlead.objects.organisation import Project
from fairlead.workloads.mps import DIRECTORY, NAME

LOOK_SECONDS: Final = 300.0
"""Between looks whether a claim is still there."""
_SIZE: Final = {"storage": "1Mi"}
"""Kubernetes wants one; nothing is stored there but sockets."""


class MpsClaims:
    """Makes volume and claim, and writes on the namespace that they are there."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def ensure(self, project: Project, namespace: Namespace) -> None:
        """The project's namespace has the claim. Both go with the project."""
        name = namespace.metadata.name
        if await self._client.find(kinds.CLAIM, NAME, name) is None:
            await self._volume(project, name)
            try:
                await self._client.create(kinds.CLAIM, _claim(project, name), name)
            except AlreadyExists:
                return  # another look finds it
        if namespace.metadata.annotations.get(fields.MPS_CLAIM) != NAME:
            await self._client.patch(kinds.NAMESPACE, name, {"metadata": {"annotations": {fields.MPS_CLAIM: NAME}}})

    async def _volume(self, project: Project, namespace: str) -> None:
        volume = _volume(project, namespace)
        try:
            await self._client.create(kinds.VOLUME, volume)
        except AlreadyExists:  # it waits for a claim that is gone, and takes the new one
            gone = {"spec": {"claimRef": {"uid": None, "resourceVersion": None}}}
            await self._client.patch(kinds.VOLUME, volume.metadata.name, gone)  # type: ignore[arg-type]  # JSON


def _volume(project: Project, namespace: str) -> PersistentVolume:
    claim = ObjectReference(api_version="v1", kind="PersistentVolumeClaim", namespace=namespace, name=NAME)
    return PersistentVolume(
        metadata=_meta(project, f"{NAME}-{namespace}"),
        spec=VolumeSpec(
            capacity={**_SIZE},
            access_modes=("ReadWriteMany",),
            persistent_volume_reclaim_policy="Retain",
            host_path={"path": DIRECTORY, "type": "DirectoryOrCreate"},
            claim_ref=claim,
        ),
    )


def _claim(project: Project, namespace: str) -> PersistentVolumeClaim:
    return PersistentVolumeClaim(
        metadata=_meta(project, NAME),
        spec=ClaimSpec(
            storage_class_name="",
            volume_name=f"{NAME}-{namespace}",
            access_modes=("ReadWriteMany",),
            resources=ClaimResources(requests={**_SIZE}),
        ),
    )


def _meta(project: Project, name: str) -> ObjectMeta:
    kind, meta = kinds.PROJECT, project.metadata
    owner = OwnerReference(api_version=kind.api_version, kind=kind.kind, name=meta.name, uid=meta.uid)
    return ObjectMeta(name=name, labels={OURS[0]: OURS[1]}, owner_references=(owner,))
