"""A submission as clients write it, turned into the object the cluster runs. Every refusal names the field and what helps."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import EnvVar, Toleration
from fairlead.objects.quantity import whole
from fairlead.objects.workload import DistributedTraining, Training, Workload, WorkloadSpec, Workspace
from fairlead.runtime.errors import Invalid
from fairlead.wire.amounts import is_part
from fairlead.wire.rest.workloads import NOT_SUPPORTED, Compute, Spec
from fairlead.workloads.priority import HIGHEST, PRIORITIES, is_priority

KINDS: Mapping[str, type[Workload]] = {
    "workspaces": Workspace,
    "trainings": Training,
    "distributed": DistributedTraining,
}
"""Path segment -> kind of object."""


def is_ours(kind: str) -> bool:
    """Whether the control plane makes and removes objects of that kind; others list what they make in the cluster."""
    return any(kind == made.__name__ for made in KINDS.values())


_LARGEST: Mapping[str, tuple[str, int, str]] = {
    "gpu_devices": ("spec.compute.gpuDevicesRequest", 1_024, "at most 1024 devices a pod"),
    "gpu_memory_mib": ("spec.compute.gpuMemoryRequest", 1 << 24, "at most 16Ti"),
    "cpu_milli": ("spec.compute.cpuCoreRequest", 10_000_000, "at most 10000 cores"),
    "cpu_milli_limit": ("spec.compute.cpuCoreLimit", 10_000_000, "at most 10000 cores"),
    "memory_bytes": ("spec.compute.cpuMemoryRequest", 1 << 48, "at most 256Ti"),
    "memory_bytes_limit": ("spec.compute.cpuMemoryLimit", 1 << 48, "at most 256Ti"),
    "workers": ("spec.numWorkers", 10_000, "at most 10000"),
    "min_workers": ("spec.minReplicas", 10_000, "at most 10000"),
    "backoff_limit": ("spec.backoffLimit", 1 << 31, "at most 2147483648"),
    "termination_grace_period_seconds": ("spec.terminationGracePeriodSeconds", 1 << 31, "at most 2147483648"),
}
"""Value -> field, largest amount, and how to say it. Sums over all pods then fit the 64-bit amounts of the scheduler."""

_NAME = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
_DEFAULT_PRIORITY = {"workspaces": "build", "trainings": "train", "distributed": "train"}
_RUNAI_PRIORITIES = {
    "very-low": "25",
    "low": "40",
    "medium-low": "65",
    "medium": "80",
    "medium-high": "90",
    "high": "125",
    "very-high": "150",
}


def check_name(name: str, field: str = "name") -> str:
    """The name, where it may be one.

    Raises: Invalid saying what a name looks like.
    """
    if not _NAME.match(name) or len(name) > 63:
        raise Invalid(
            f"{name!r} cannot be a name.",
            hint="Names start with a lowercase letter, then lowercase letters, digits and '-', at most 63.",
            fields={field: "lowercase letters, digits and '-'"},
            code="bad-name",
        )
    return name


def to_object(path: str, name: str, namespace: str, spec: Spec | None, *, asked: Mapping[str, str]) -> Workload:
    """The object for a submission. `asked`: `by` (user name) and `id` (of the workload).

    Raises: Invalid with one entry in `fields` for everything that is wrong.
    """
    spec = spec or Spec()
    problems: dict[str, str] = {}
    for field in NOT_SUPPORTED:
        if getattr(spec, field):
            problems[f"spec.{_camel(field)}"] = "not supported by this version; leave it out"
    if not spec.image:
        problems["spec.image"] = "the container image to run, such as `python:3.12`"
    values: dict[str, Any] = {
        **_gpu(spec.compute, problems),
        **_cpu_memory(spec.compute, problems),
        **_process(spec, problems),
        **_scheduling(spec, path, problems),
    }
    if path == "distributed":
        values |= _distributed(spec, problems)
    _refuse_huge(values, problems)
    if problems:
        raise Invalid("The submission cannot run as written.", fields=problems, code="bad-submission")
    body = WorkloadSpec(image=spec.image or "", requested_by=asked["by"], workload_id=asked["id"], **values)
    return KINDS[path](metadata=ObjectMeta(name=name, namespace=namespace), spec=body)


def _refuse_huge(values: Mapping[str, Any], problems: dict[str, str]) -> None:
    for value, (field, largest, words) in _LARGEST.items():
        if (values.get(value) or 0) > largest:
            problems.setdefault(field, words)


def _gpu(compute: Compute | None, problems: dict[str, str]) -> dict[str, Any]:
    if compute is None:
        return {}
    devices = compute.gpu_devices_request or 0
    portion, memory = compute.gpu_portion_request, compute.gpu_memory_request
    if portion and memory:
        problems["spec.compute.gpuMemoryRequest"] = "either a portion of a GPU or an amount of its memory, not both"
        return {}
    if portion is not None and portion > 1:
        problems["spec.compute.gpuPortionRequest"] = (
            f"a part of a GPU above 0 and up to 1, or whole GPUs; {portion:g} is neither: ask for "
            f"{int(portion)} or {int(portion) + 1} whole GPUs"
        )
        return {}
    if portion and portion != 1 and not is_part(portion):
        problems["spec.compute.gpuPortionRequest"] = (
            f"a part of a GPU from 0.001 to 0.999, or whole GPUs, not {portion:g}"
        )
        return {}
    if memory:
        return {"gpu_devices": devices or 1, "gpu_memory_mib": _mib(memory, problems)}
    if portion and portion < 1:
        return {"gpu_devices": devices or 1, "gpu_milli": round(portion * 1000)}
    return {"gpu_devices": devices or (1 if portion else 0)}


def _mib(memory: str, problems: dict[str, str]) -> int:
    amount = _bytes(memory, "spec.compute.gpuMemoryRequest", problems) >> 20
    if amount < 95:
        problems.setdefault("spec.compute.gpuMemoryRequest", "at least 100M of GPU memory, such as `20G`")
    return amount


def _bytes(text: str | None, field: str, problems: dict[str, str]) -> int:
    if not text:
        return 0
    try:
        amount = whole(text)
    except (ValueError, ArithmeticError):
        amount = -1
    if amount < 0:
        problems[field] = f"an amount such as `512Mi` or `20G`, not {text!r}"
    return max(amount, 0)


def _cpu_memory(compute: Compute | None, problems: dict[str, str]) -> dict[str, Any]:
    if compute is None:
        return {}
    if compute.extended_resources:
        problems["spec.compute.extendedResources"] = "not supported by this version; leave it out"
    where = "spec.compute"
    return {
        "cpu_milli": round((compute.cpu_core_request or 0) * 1000),
        "cpu_milli_limit": round((compute.cpu_core_limit or 0) * 1000),
        "memory_bytes": _bytes(compute.cpu_memory_request, f"{where}.cpuMemoryRequest", problems),
        "memory_bytes_limit": _bytes(compute.cpu_memory_limit, f"{where}.cpuMemoryLimit", problems),
        "shared_memory_bytes": 1 << 30 if compute.large_shm_request else 0,
    }


def _process(spec: Spec, problems: dict[str, str]) -> dict[str, Any]:
    return {
        "command": _words(spec.command, "spec.command", problems),
        "args": _words(spec.args, "spec.args", problems),
        "working_dir": spec.working_dir or "",
        "env": tuple(EnvVar(name=e.name, value=e.value or "") for e in spec.environment_variables or ()),
        "image_pull_policy": spec.image_pull_policy or "",
        "backoff_limit": spec.backoff_limit,
        "termination_grace_period_seconds": spec.termination_grace_period_seconds,
        "labels": {i.name: i.value for i in spec.labels or () if not i.exclude},
        "annotations": {i.name: i.value for i in spec.annotations or () if not i.exclude},
    }


def _words(text: str | None, field: str, problems: dict[str, str]) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text or ""))
    except ValueError as error:
        problems[field] = f"words as a shell reads them ({error}): {text}"
        return ()


def _scheduling(spec: Spec, path: str, problems: dict[str, str]) -> dict[str, Any]:
    priority = spec.priority_class or _DEFAULT_PRIORITY[path]
    priority = _RUNAI_PRIORITIES.get(priority, priority)
    if not is_priority(priority):
        problems["spec.priorityClass"] = (
            f"a whole number from 0 to {HIGHEST}, or one of {', '.join((*PRIORITIES, *_RUNAI_PRIORITIES))}; "
            f"{priority!r} is neither"
        )
    selector = {"run.ai/type": spec.node_type} if spec.node_type else {}
    selector |= _selector(spec.node_affinity_required, problems)
    return {
        "priority": priority,
        "preemptible": None if spec.preemptibility is None else spec.preemptibility == "preemptible",
        "node_pools": tuple(spec.node_pools or ()),
        "node_selector": selector,
        "tolerations": tuple(
            Toleration(key=t.key or "", operator=t.operator or "", value=t.value or "", effect=t.effect or "")
            for t in spec.tolerations or ()
        ),
    }


def _selector(affinity: dict[str, Any] | None, problems: dict[str, str]) -> dict[str, str]:
    """Labels out of one term of `In` expressions with one value each, the form a node selector can hold."""
    terms = (affinity or {}).get("nodeSelectorTerms") or []
    expressions = terms[0].get("matchExpressions", []) if len(terms) == 1 else []
    plain = {
        str(e.get("key")): str(e["values"][0])
        for e in expressions
        if e.get("operator") == "In" and len(e.get("values") or ()) == 1
    }
    if terms and len(plain) != len(expressions):
        problems["spec.nodeAffinityRequired"] = "one term of `In` expressions with one value each"
    return plain


def _distributed(spec: Spec, problems: dict[str, str]) -> dict[str, Any]:
    workers = spec.num_workers or 1
    least = spec.min_replicas or 0
    if least > workers:
        problems["spec.minReplicas"] = f"at most {workers}, the number of workers"
    words = {"MPI": "mpi", "PyTorch": "pytorch", "TF": "tensorflow", "XGBoost": "xgboost", "JAX": "jax"}
    return {
        "workers": workers,
        "min_workers": least,
        "framework": words.get(spec.distributed_framework or "", ""),
    }


def _camel(field: str) -> str:
    head, *rest = field.split("_")
    return head + "".join(word.title() for word in rest)


def stored(workload: Workload) -> Any:
    """The object as JSON for the database and the wire."""
    return msgspec.to_builtins(workload)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a stored object that has to be readable for it to be shown or sent."""

    spec: WorkloadSpec
