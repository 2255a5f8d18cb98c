"""Claims that are bound only once their pod has a node: the provisioner is told the node, or a volume that is there is chosen."""

from __future__ import annotations

from typing import Final

from fairlead.kube.client import Client
from fairlead.objects import kinds
from fairlead.objects.builtin import NO_PROVISIONER, Node, PersistentVolume, PersistentVolumeClaim
from fairlead.objects.json import JsonObject
from fairlead.objects.pod import Pod
from fairlead.objects.quantity import amount
from fairlead.workloads.claims import available, claims_of, usable_on

SELECTED: Final = "volume.kubernetes.io/selected-node"
"""By it provisioners learn where the volume will be used; they take it away when they cannot make one there."""
_CHOSEN: Final = "pv.kubernetes.io/bound-by-controller"
"""By it Kubernetes' volume controller knows that a volume was chosen for its claim by a program, and may be let go again."""


class NoVolume(Exception):
    """A claim cannot be bound on the node; the text says why."""


class Volumes:
    """Steps towards bound claims. `told`: (UID of the claim, node) of what was said to provisioners by this process."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._told: set[tuple[str, str]] = set()

    async def waiting(self, pod: Pod, node: str) -> tuple[str, ...]:
        """Claims of the pod that are not bound yet, each one step further; none: the pod can start.

        Raises: NoVolume where one cannot be bound on that node.
        """
        found = []
        for name in claims_of(pod):
            claim = await self._client.find(kinds.CLAIM, name, pod.metadata.namespace)
            if claim is None:
                raise NoVolume(f"the claim {name} does not exist")
            if claim.status.phase == "Bound" and claim.spec.volume_name:
                self._told.discard((claim.metadata.uid, node))
                continue
            await self._further(claim, node)
            found.append(name)
        return tuple(found)

    async def _further(self, claim: PersistentVolumeClaim, node: str) -> None:
        klass = await self._client.find(kinds.STORAGE_CLASS, claim.spec.storage_class_name or "")
        if klass is not None and klass.provisioner == NO_PROVISIONER:
            await self._choose(claim, node)
        else:
            await self._tell(claim, node)

    async def _tell(self, claim: PersistentVolumeClaim, node: str) -> None:
        meta, said = claim.metadata, (claim.metadata.uid, node)
        if meta.annotations.get(SELECTED) == node:
            self._told.add(said)
            return
        if said in self._told:
            self._told.discard(said)
            raise NoVolume(f"the provisioner of the claim {meta.name} cannot make a volume for {node}")
        patch: JsonObject = {"metadata": {"annotations": {SELECTED: node}}}
        await self._client.patch(kinds.CLAIM, meta.name, patch, meta.namespace, uid=meta.uid)
        self._told.add(said)

    async def _choose(self, claim: PersistentVolumeClaim, node: str) -> None:
        """The smallest volume that will do is kept for the claim; Kubernetes' volume controller does the rest."""
        where = await self._client.find(kinds.NODE, node)
        if where is None:
            raise NoVolume(f"the node {node} is gone")
        volumes = (await self._client.list(kinds.VOLUME)).items
        fitting = [v for v in volumes if available(v, claim) and usable_on(v, _labels(where))]
        if not fitting:
            raise NoVolume(f"no volume that the claim {claim.metadata.name} could have is free on {node}")
        chosen = min(fitting, key=_preference)
        if chosen.spec.claim_ref is None:
            await self._keep(chosen, claim)

    async def _keep(self, volume: PersistentVolume, claim: PersistentVolumeClaim) -> None:
        meta = claim.metadata
        owner: JsonObject = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": meta.namespace,
            "name": meta.name,
            "uid": meta.uid,
        }
        patch: JsonObject = {"metadata": {"annotations": {_CHOSEN: "yes"}}, "spec": {"claimRef": owner}}
        version = volume.metadata.resource_version
        await self._client.patch(kinds.VOLUME, volume.metadata.name, patch, version=version)


def _labels(node: Node) -> dict[str, str]:
    return {"kubernetes.io/hostname": node.metadata.name, **node.metadata.labels}


def _preference(volume: PersistentVolume) -> tuple[bool, int, str]:
    """One that is kept for the claim already, then the smallest."""
    return volume.spec.claim_ref is None, amount(volume.spec.capacity, "storage"), volume.metadata.name
