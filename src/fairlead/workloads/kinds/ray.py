"""Ray: a head and its workers start together; worker groups that scale need their least number."""

from __future__ import annotations

from typing import Final

from fairlead.objects.json import JsonObject
from fairlead.objects.kai import SubGroup
from fairlead.objects.meta import Wire
from fairlead.workloads.grouping import Chain, Gang, read

_NODE_TYPE: Final = "ray.io/node-type"
_GROUP: Final = "ray.io/group"
_HEAD: Final = "headgroup"
"""What KubeRay calls the group of the head."""


class _Workers(Wire, frozen=True, kw_only=True):
    group_name: str = "workergroup"
    replicas: int | None = None
    min_replicas: int | None = None
    num_of_hosts: int = 1

    @property
    def least(self) -> int:
        """Pods it cannot do without."""
        number = self.min_replicas if self.min_replicas is not None else self.replicas
        return max(1 if number is None else number, 0) * max(self.num_of_hosts, 1)


class _Cluster(Wire, frozen=True, kw_only=True):
    worker_group_specs: tuple[_Workers, ...] = ()


class _RayCluster(Wire, frozen=True, kw_only=True):
    spec: _Cluster = _Cluster()


class _JobSpec(Wire, frozen=True, kw_only=True):
    ray_cluster_spec: _Cluster = _Cluster()


class _RayJob(Wire, frozen=True, kw_only=True):
    spec: _JobSpec = _JobSpec()


class _ServiceSpec(Wire, frozen=True, kw_only=True):
    ray_cluster_config: _Cluster = _Cluster()


class _RayService(Wire, frozen=True, kw_only=True):
    spec: _ServiceSpec = _ServiceSpec()


def cluster(owner: JsonObject, chain: Chain) -> Gang | None:
    """One gang of the head and the least workers of each group."""
    return _gang(read(owner, _RayCluster).spec, chain, owner)


def job(owner: JsonObject, chain: Chain) -> Gang | None:
    """That of the cluster it makes; the pod that submits the job is none of it."""
    return _gang(read(owner, _RayJob).spec.ray_cluster_spec, chain, owner)


def service(owner: JsonObject, chain: Chain) -> Gang | None:
    """That of the cluster it makes, each of its clusters for itself: two live while one follows the other."""
    return _gang(read(owner, _RayService).spec.ray_cluster_config, chain, owner)


def _gang(spec: _Cluster, chain: Chain, owner: JsonObject) -> Gang | None:
    labels = chain.pod.metadata.labels
    if labels.get(_NODE_TYPE) not in ("head", "worker"):
        return None
    parts = [SubGroup(name=_HEAD, min_member=1)]
    parts += [SubGroup(name=w.group_name, min_member=w.least) for w in spec.worker_group_specs if w.least > 0]
    mine = _HEAD if labels[_NODE_TYPE] == "head" else labels.get(_GROUP, "")
    known = {part.name for part in parts}
    name = labels.get("ray.io/cluster", "") if owner.get("kind") != "RayCluster" else ""
    return Gang(
        name=name,
        min_member=sum(part.min_member for part in parts),
        sub_groups=tuple(parts),
        subgroup=mine if mine in known else "",
    )
