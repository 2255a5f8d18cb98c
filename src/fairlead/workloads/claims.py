"""Volume claims: which ones a pod uses, and which free volume would serve one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from fairlead.model.selectors import Requirement, meets
from fairlead.objects.builtin import PersistentVolume, PersistentVolumeClaim
from fairlead.objects.pod import NodeSelectorTerm, Pod
from fairlead.objects.quantity import amount


def claims_of(pod: Pod) -> Iterator[str]:
    """Names of the claims in the pod's namespace; those of ephemeral volumes are named after the pod and the volume."""
    for volume in pod.spec.volumes:
        if volume.persistent_volume_claim:
            yield str(volume.persistent_volume_claim.get("claimName", ""))
        elif volume.ephemeral:
            yield f"{pod.metadata.name}-{volume.name}"


def available(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Whether a volume that is there already would serve the claim, and nobody else has it."""
    spec, wanted, owner = volume.spec, claim.spec, volume.spec.claim_ref
    mine = owner is not None and (owner.namespace, owner.name) == (claim.metadata.namespace, claim.metadata.name)
    return (
        (owner is None or mine)
        and volume.metadata.deletion_timestamp is None
        and spec.storage_class_name == (wanted.storage_class_name or "")
        and set(wanted.access_modes) <= set(spec.access_modes)
        and amount(spec.capacity, "storage") >= amount(wanted.resources.requests, "storage")
    )


def terms_of(volume: PersistentVolume) -> tuple[tuple[Requirement, ...], ...]:
    """Terms of which a node must meet one to use the volume; none: it can be used everywhere."""
    required = (volume.spec.node_affinity or {}).get("required") or {}
    terms = msgspec.convert(required.get("nodeSelectorTerms", []), tuple[NodeSelectorTerm, ...])
    return tuple(tuple((e.key, e.operator, e.values) for e in term.match_expressions) for term in terms)


def usable_on(volume: PersistentVolume, labels: Mapping[str, str]) -> bool:
    """Whether a node with these labels can use the volume."""
    terms = terms_of(volume)
    return not terms or any(meets(labels, term) for term in terms)
