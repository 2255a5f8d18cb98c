"""Who made a pod: a workload of ours, somebody else's controller, or a person by hand."""

from __future__ import annotations

from msgspec import Struct

from fairlead.objects import fields
from fairlead.objects.meta import controller_of
from fairlead.objects.pod import Pod


class Maker(Struct, frozen=True, kw_only=True):
    """The controller that keeps a pod, or the pod itself where nobody does. `is_ours`: it is a workload of Fairlead's."""

    kind: str
    name: str
    uid: str
    is_ours: bool = False


def maker_of(pod: Pod) -> Maker:
    """By our labels where they are there, which carry the id that the control plane gave; else by the owner references."""
    meta = pod.metadata
    if kind := meta.labels.get(fields.WORKLOAD_KIND):
        uid = meta.labels.get(fields.WORKLOAD_ID, "")
        return Maker(kind=kind, name=meta.labels.get(fields.WORKLOAD, ""), uid=uid, is_ours=True)
    owner = controller_of(meta)
    if owner is None:
        return Maker(kind="Pod", name=meta.name, uid=meta.uid)
    return Maker(kind=owner.kind, name=owner.name, uid=owner.uid)
