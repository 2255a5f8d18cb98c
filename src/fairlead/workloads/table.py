"""The table of foreign kinds: whose pods form a gang and by which rule, and the class of work that names none. Pure; order does not matter.

A kind without a row is followed no further: its pods are gangs of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from fairlead.objects.json import JsonObject
from fairlead.objects.kinds import Kind, foreign
from fairlead.workloads.grouping import Chain, Gang, Grouped, grouped, meta_of
from fairlead.workloads.kinds import jobset, kubeflow, leaderworkerset, ray

Rule = Callable[[JsonObject, Chain], Gang | None]
"""(the owner, the pod with its chain) -> its gang; None for a pod of its own. Raises: Malformed."""


def _alone(_owner: JsonObject, _chain: Chain) -> Gang | None:
    return None


class Row(Struct, frozen=True, kw_only=True):
    """One kind of owner: where the API serves it, how its pods are grouped, and the class of those that name none."""

    group: str
    kind: str
    plural: str
    rule: Rule = _alone
    default_class: str = "train"

    def served(self, version: str) -> Kind[JsonObject]:
        """Where to read it."""
        return foreign(self.group, version, self.kind, self.plural)


def _row(resource: str, kind: str, rule: Rule = _alone, default_class: str = "train") -> tuple[tuple[str, str], Row]:
    plural, _, group = resource.partition(".")
    return (group, kind), Row(group=group, kind=kind, plural=plural, rule=rule, default_class=default_class)


TABLE: Final[dict[tuple[str, str], Row]] = dict(
    (
        _row("deployments.apps", "Deployment", default_class="inference"),
        _row("replicasets.apps", "ReplicaSet"),
        _row("statefulsets.apps", "StatefulSet"),
        _row("daemonsets.apps", "DaemonSet"),
        _row("jobs.batch", "Job"),
        _row("cronjobs.batch", "CronJob"),
        _row("notebooks.kubeflow.org", "Notebook", default_class="build"),
        _row("pytorchjobs.kubeflow.org", "PyTorchJob", kubeflow.pytorch),
        _row("mpijobs.kubeflow.org", "MPIJob", kubeflow.mpi),
        _row("tfjobs.kubeflow.org", "TFJob", kubeflow.replicas),
        _row("xgboostjobs.kubeflow.org", "XGBoostJob", kubeflow.replicas),
        _row("jaxjobs.kubeflow.org", "JAXJob", kubeflow.replicas),
        _row("rayclusters.ray.io", "RayCluster", ray.cluster),
        _row("rayjobs.ray.io", "RayJob", ray.job),
        _row("rayservices.ray.io", "RayService", ray.service, default_class="inference"),
        _row("jobsets.jobset.x-k8s.io", "JobSet", jobset.replicated),
        _row(
            "leaderworkersets.leaderworkerset.x-k8s.io",
            "LeaderWorkerSet",
            leaderworkerset.replica,
            default_class="inference",
        ),
    )
)


def row_of(api_version: str, kind: str) -> Row | None:
    """The row of an owner as references write it."""
    return TABLE.get((api_version.rpartition("/")[0], kind))


def group(chain: Chain, place: str) -> Grouped:
    """What follows for a pod. `place`: the queue of its namespace where that belongs to a project.

    Raises: Malformed.
    """
    for owner in reversed(chain.owners):
        row = row_of(str(owner.get("apiVersion", "")), str(owner.get("kind", "")))
        if row is not None:
            return grouped(chain, owner, row.rule(owner, chain), row.default_class, place)
    return grouped(chain, None, None, "train", place)


def decider_of(chain: Chain) -> str:
    """UID of the owner whose row decides; empty for none."""
    for owner in reversed(chain.owners):
        if row_of(str(owner.get("apiVersion", "")), str(owner.get("kind", ""))) is not None:
            return meta_of(owner).uid
    return ""
