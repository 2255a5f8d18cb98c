"""Kubeflow's training jobs: all replicas of all sorts start together, unless the job names fewer."""

from __future__ import annotations

from typing import Any, Final

from msgspec import field

from fairlead.objects.json import JsonObject
from fairlead.objects.kai import SubGroup
from fairlead.objects.meta import Wire
from fairlead.workloads.grouping import Chain, Gang, Malformed, meta_of, read

ROLE_LABEL: Final = "training.kubeflow.org/replica-type"
_LAUNCHER: Final = "launcher"


class _Replicas(Wire, frozen=True, kw_only=True):
    replicas: int = 1


class _SchedulingPolicy(Wire, frozen=True, kw_only=True):
    min_available: int | None = None


class _RunPolicy(Wire, frozen=True, kw_only=True):
    scheduling_policy: _SchedulingPolicy | None = None


class _Elastic(Wire, frozen=True, kw_only=True):
    min_replicas: int | None = None


class _Spec(Wire, frozen=True, kw_only=True):
    run_policy: _RunPolicy | None = None
    elastic_policy: _Elastic | None = None
    launcher_creation_policy: str = ""


class _Job(Wire, frozen=True, kw_only=True):
    spec: _Spec = _Spec()


class _Counts(Wire, frozen=True, kw_only=True):
    spec: dict[str, Any] = field(default_factory=dict)


def replicas(owner: JsonObject, chain: Chain) -> Gang:
    """One gang of all its replicas, or of as many as `runPolicy.schedulingPolicy.minAvailable` says."""
    return Gang(min_member=_minimum(owner) or sum(_counts(owner).values()))


def pytorch(owner: JsonObject, chain: Chain) -> Gang:
    """As `replicas`; master and workers are parts of their own, of which an elastic job needs `minReplicas` workers."""
    if least := _minimum(owner):
        return Gang(min_member=least)
    counts = _counts(owner)
    elastic = read(owner, _Job).spec.elastic_policy
    if elastic is not None and elastic.min_replicas is not None and "worker" in counts:
        counts["worker"] = min(counts["worker"], max(elastic.min_replicas, 1))
    parts = tuple(SubGroup(name=role, min_member=count) for role, count in sorted(counts.items()) if count > 0)
    role = chain.pod.metadata.labels.get(ROLE_LABEL, "")
    return Gang(
        min_member=sum(counts.values()), sub_groups=parts, subgroup=role if any(p.name == role for p in parts) else ""
    )


def mpi(owner: JsonObject, chain: Chain) -> Gang:
    """As `replicas`; a launcher that is made once the workers run is not waited for before it is there."""
    if least := _minimum(owner):
        return Gang(min_member=least)
    counts = _counts(owner)
    delayed = read(owner, _Job).spec.launcher_creation_policy == "WaitForWorkersReady"
    if delayed and not any(_is_launcher(pod.metadata.labels) for pod in chain.siblings):
        counts.pop(_LAUNCHER, None)
    return Gang(min_member=max(sum(counts.values()), 1))


def _is_launcher(labels: dict[str, str]) -> bool:
    return _LAUNCHER in (labels.get("training.kubeflow.org/job-role"), labels.get(ROLE_LABEL))


def _minimum(owner: JsonObject) -> int:
    policy = read(owner, _Job).spec.run_policy
    asked = policy.scheduling_policy.min_available if policy and policy.scheduling_policy else None
    return max(asked or 0, 0)


def _counts(owner: JsonObject) -> dict[str, int]:
    """Replicas by sort, in small letters. Raises: Malformed where there are none at all."""
    spec = read(owner, _Counts).spec
    sorts = next((value for key, value in spec.items() if key.endswith("ReplicaSpecs") and isinstance(value, dict)), {})
    counted = read(owner, dict[str, _Replicas], sorts)
    found = {name.lower(): max(each.replicas, 0) for name, each in counted.items()}
    if not sum(found.values()):
        raise Malformed(
            f"{owner.get('kind')} {meta_of(owner).name}: expected at least one replica in its replica specs"
        )
    return found
