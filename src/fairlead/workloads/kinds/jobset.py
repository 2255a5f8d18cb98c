"""JobSet: one gang of all its jobs, or, where one starts after the other, a gang for each."""

from __future__ import annotations

from typing import Final

from fairlead.objects.json import JsonObject
from fairlead.objects.meta import Wire
from fairlead.workloads.grouping import Chain, Gang, Malformed, meta_of, read

_REPLICATED_JOB: Final = "jobset.sigs.k8s.io/replicatedjob-name"


class _JobSpec(Wire, frozen=True, kw_only=True):
    parallelism: int | None = None
    completions: int | None = None


class _JobTemplate(Wire, frozen=True, kw_only=True):
    spec: _JobSpec = _JobSpec()


class _Replicated(Wire, frozen=True, kw_only=True):
    name: str = ""
    replicas: int = 1
    template: _JobTemplate = _JobTemplate()

    @property
    def pods(self) -> int:
        """Pods that run at once."""
        job = self.template.spec
        parallel = 1 if job.parallelism is None else job.parallelism
        return max(self.replicas, 0) * max(parallel if job.completions is None else min(parallel, job.completions), 0)


class _Startup(Wire, frozen=True, kw_only=True):
    startup_policy_order: str = "AnyOrder"


class _Spec(Wire, frozen=True, kw_only=True):
    replicated_jobs: tuple[_Replicated, ...] = ()
    startup_policy: _Startup = _Startup()


class _JobSet(Wire, frozen=True, kw_only=True):
    spec: _Spec = _Spec()


def replicated(owner: JsonObject, chain: Chain) -> Gang | None:
    """All jobs at once; with `startupPolicyOrder: InOrder` those of each replicated job, for the next wait until it is ready."""
    spec = read(owner, _JobSet).spec
    mine = chain.pod.metadata.labels.get(_REPLICATED_JOB, "")
    if spec.startup_policy.startup_policy_order != "InOrder":
        return _gang(owner, "", sum(job.pods for job in spec.replicated_jobs))
    found = next((job for job in spec.replicated_jobs if job.name == mine), None)
    return None if found is None else _gang(owner, mine, found.pods)


def _gang(owner: JsonObject, name: str, pods: int) -> Gang:
    if pods < 1:
        raise Malformed(f"JobSet {meta_of(owner).name}: expected at least one pod in its replicated jobs")
    return Gang(name=name, min_member=pods)
