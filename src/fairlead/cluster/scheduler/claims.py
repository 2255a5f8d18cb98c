"""Volume claims of pods as rules of the core: where bound volumes can be used, which claims wait for a node, and which cannot be served."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, Final

import msgspec
from msgspec import Struct

from fairlead.kube.cache import Cache
from fairlead.kube.client import Client
from fairlead.model import NodeRule, TaskClass
from fairlead.objects import builtin, kinds
from fairlead.objects.pod import Pod
from fairlead.workloads.claims import available, claims_of, terms_of

Term = tuple[tuple[str, str, tuple[str, ...]], ...]
"""All of (key, operator, values)."""
_ON_FIRST_USE: Final = "WaitForFirstConsumer"


class Wanted(Struct, frozen=True, kw_only=True):
    """What the claims of a pod come to."""

    places: tuple[tuple[Term, ...], ...] = ()
    """For each volume the terms of which a node must meet one."""
    waits: bool = False
    """A claim is bound only once the pod has a node."""
    refused: str = ""
    """Why there is nothing to decide on yet, as the end of "Its volumes are not ready: ..."; empty where there is."""


NOTHING: Final = Wanted()


class Claims:
    """Caches of claims, volumes and storage classes. `changed`: hears that pods with claims are to be read again."""

    def __init__(self, client: Client, changed: Callable[[], None]) -> None:
        self.claims: Cache[builtin.PersistentVolumeClaim] = Cache(client, kinds.CLAIM)
        self.volumes: Cache[builtin.PersistentVolume] = Cache(client, kinds.VOLUME)
        self.classes: Cache[builtin.StorageClass] = Cache(client, kinds.STORAGE_CLASS)
        for cache in self.caches():
            cache.on_change(lambda _key, _before, _after: changed())

    def caches(self) -> tuple[Cache[Any], ...]:
        """All of them."""
        return (self.claims, self.volumes, self.classes)

    def of(self, pod: Pod) -> Wanted:
        """What the pod's claims come to as they are now."""
        found = [self._one(name, pod.metadata.namespace) for name in claims_of(pod)]
        if not found:
            return NOTHING
        return Wanted(
            places=tuple(terms for each in found for terms in each.places),
            waits=any(each.waits for each in found),
            refused=", ".join(each.refused for each in found if each.refused),
        )

    def _one(self, name: str, namespace: str) -> Wanted:
        claim = self.claims.get(name, namespace)
        if claim is None:
            return Wanted(refused=f"the claim {name} does not exist")
        if claim.spec.volume_name:
            volume = self.volumes.get(claim.spec.volume_name)
            if volume is None:
                return Wanted(refused=f"the volume {claim.spec.volume_name} of the claim {name} does not exist")
            return Wanted(places=tuple(filter(None, (terms_of(volume),))))
        klass = self.classes.get(claim.spec.storage_class_name or "")
        if klass is None or klass.volume_binding_mode != _ON_FIRST_USE:
            of = (
                f"of the storage class {claim.spec.storage_class_name}"
                if claim.spec.storage_class_name
                else "of no class"
            )
            return Wanted(refused=f"the claim {name} {of} is not bound yet (`kubectl describe pvc {name}` says why)")
        return self._unbound(claim, klass)

    def _unbound(self, claim: builtin.PersistentVolumeClaim, klass: builtin.StorageClass) -> Wanted:
        """On nodes where the class makes volumes; where it makes none, on those of volumes that are there."""
        if klass.provisioner != builtin.NO_PROVISIONER:
            allowed = tuple(_topology(term) for term in klass.allowed_topologies)
            return Wanted(places=(allowed,) if allowed else (), waits=True)
        free = [v for v in self.volumes.values() if available(v, claim)]
        if not free:
            name = claim.metadata.name
            return Wanted(refused=f"no volume of the class {klass.metadata.name} is free for the claim {name}")
        terms = tuple(term for volume in free for term in terms_of(volume))
        everywhere = any(not terms_of(volume) for volume in free)
        return Wanted(places=() if everywhere else (terms,), waits=True)


def with_claims(klass: TaskClass, wanted: Wanted) -> TaskClass:
    """The class, on nodes where all its volumes can be used."""
    if wanted == NOTHING:
        return klass
    own = (klass.rule.affinity,) if klass.rule.affinity else ()
    terms = tuple(tuple(line for term in chosen for line in term) for chosen in product(*own, *wanted.places))
    rule: NodeRule = msgspec.structs.replace(klass.rule, affinity=terms if own or wanted.places else ())
    return msgspec.structs.replace(klass, rule=rule, wait_for_volume=wanted.waits)


def _topology(term: builtin.TopologyTerm) -> Term:
    return tuple((e.key, "In", e.values) for e in term.match_label_expressions)
