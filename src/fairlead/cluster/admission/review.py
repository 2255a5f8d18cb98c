"""What admission says of pods and Jobs in a project's namespace: what they lack, and why one is refused. Pure; nothing relies on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from fairlead.objects import fields
from fairlead.objects.json import JsonObject
from fairlead.objects.meta import Wire
from fairlead.objects.pod import Container, Pod
from fairlead.workloads import mps
from fairlead.workloads.gpus import amounts, is_gpu, malformed_shares
from fairlead.workloads.shares import VISIBLE, holder_of, is_told, with_devices

_QUEUE_LABELS: Final = (fields.QUEUE, fields.QUEUE_OLD)
_RECEIVED: Final = "received-"
_OURS_ALONE: Final = frozenset(
    row.key for row in fields.FIELDS if "pod" in row.on.split(", ") and "user" not in row.writer.split(", ")
)
"""Labels and annotations of pods that only the product writes: the table of fields says who writes each."""


class Place(Struct, frozen=True, kw_only=True):
    """What the cluster says of the pod's namespace: its project's queue in the pod's pool, and all queues of the project."""

    queue: str
    queues: frozenset[str]
    foreign_group: str = ""
    """Who keeps the pod group that the pod names, where that is somebody else than who keeps the pod; empty for nobody."""
    mps_claim: str = ""
    """The namespace's volume claim by which pods reach MPS; empty for none."""


class _JobPods(Wire, frozen=True, kw_only=True):
    scheduler_name: str = ""
    restart_policy: str = ""


class _JobTemplate(Wire, frozen=True, kw_only=True):
    spec: _JobPods = _JobPods()


class _JobSpec(Wire, frozen=True, kw_only=True):
    template: _JobTemplate = _JobTemplate()
    pod_failure_policy: dict[str, Any] | None = None
    pod_replacement_policy: str = ""
    """Filled in by API servers that know it; with a failure policy only `Failed` may stand there."""


class _Job(Wire, frozen=True, kw_only=True):
    spec: _JobSpec = _JobSpec()


class Request(Struct, frozen=True, kw_only=True):
    """A pod that is made or changed."""

    pod: Pod
    before: Pod | None
    is_ours: bool
    """Whether the product itself asks."""
    place: Place
    mps: mps.Choice = "off"
    """Whose memory is enforced here."""
    runtime_class: str = ""
    """Of pods that ask for GPUs; empty for the node's usual runtime."""


def completions(request: Request) -> tuple[JsonObject, ...]:
    """The changes as JSON Patch operations: the queue of the namespace, and to each container the devices it asked for, none if none.

    Where memory is enforced by MPS, the container that shares a device is made its client, unless something is in the way. Containers of
    a pod that exists cannot be changed: an update that tried would be refused; those that are put beside them to look at it see no device.
    """
    pod = request.pod
    labels = {} if request.is_ours else _own_queue(pod, request.place)
    if request.before is not None:
        return (*_labelled(pod, labels), *_beside(pod, request.before))
    told = _told(pod, request)
    return (*_labelled(pod, labels), *_run_by(pod, request.runtime_class), *_blinded(pod, told), *_mounted(pod, told))


def job_completions(job: JsonObject, scheduler_names: Sequence[str]) -> tuple[JsonObject, ...]:
    """A Job whose pods our scheduler may stop for others does not count them as failed, unless it says itself what counts.

    Kubernetes allows that for pods that are never restarted in place; those of other Jobs count against `backoffLimit`.
    """
    read = msgspec.convert(job, _Job).spec
    pods = read.template.spec
    if (
        read.pod_failure_policy is not None
        or pods.scheduler_name not in scheduler_names
        or pods.restart_policy != "Never"
    ):
        return ()
    condition: JsonObject = {"type": "DisruptionTarget", "status": "True"}
    rule: JsonObject = {"action": "Ignore", "onPodConditions": [condition]}
    policy: JsonObject = {"op": "add", "path": "/spec/podFailurePolicy", "value": {"rules": [rule]}}
    if not read.pod_replacement_policy:
        return (policy,)
    return policy, {"op": "add", "path": "/spec/podReplacementPolicy", "value": "Failed"}


def refusals(request: Request) -> tuple[str, ...]:
    """Why the pod may not be, each as a sentence; none for a pod that may."""
    if request.is_ours:
        return ()
    of_gpus = (*_shares(request), *_changed_shares(request))
    return (*_nodes(request), *_forged(request), *_queues(request), *_groups(request), *of_gpus)


def _told(pod: Pod, request: Request) -> Pod:
    """With what its containers are to know of devices; one that was told before, and so has a volume of MPS, stays as it is."""
    if mps.takes_part(pod) and is_told(pod):
        return pod
    told, claim = with_devices(pod), request.place.mps_claim
    if mps.is_wanted(pod, request.mps) and not mps.obstacle(pod, claim):
        return mps.with_mps(told, claim)
    return told


def _own_queue(pod: Pod, place: Place) -> dict[str, str]:
    said = pod.metadata.labels
    wrong: dict[str, str] = {k: place.queue for k in _QUEUE_LABELS if k in said and said[k] not in place.queues}
    return {**wrong, **({} if said.get(fields.QUEUE) in place.queues else {fields.QUEUE: place.queue})}


def _run_by(pod: Pod, runtime_class: str) -> Iterator[JsonObject]:
    """The runtime class for a pod that asks for GPUs, or a part of one, and names none itself."""
    containers = (*pod.spec.init_containers, *pod.spec.containers)
    asks = bool(holder_of(pod)) or any(_asks_gpu(each) for each in containers)
    if runtime_class and asks and not pod.spec.runtime_class_name:
        yield {"op": "add", "path": "/spec/runtimeClassName", "value": runtime_class}


def _labelled(pod: Pod, labels: dict[str, str]) -> Iterator[JsonObject]:
    if labels and not pod.metadata.labels:
        yield {"op": "add", "path": "/metadata/labels", "value": {**labels}}
    else:
        for key, value in labels.items():
            yield {"op": "add", "path": f"/metadata/labels/{_escaped(key)}", "value": value}


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _pairs(pod: Pod, told: Pod) -> Iterator[tuple[str, Container, Container]]:
    """Path of each container, as it is and as it is to be."""
    sorts = (
        ("initContainers", pod.spec.init_containers, told.spec.init_containers),
        ("containers", pod.spec.containers, told.spec.containers),
    )
    for sort, containers, after in sorts:
        for number, (container, knowing) in enumerate(zip(containers, after, strict=True)):
            yield f"/spec/{sort}/{number}", container, knowing


def _mounted(pod: Pod, told: Pod) -> Iterator[JsonObject]:
    """What is mounted beside what the pod mounts itself."""
    yield from _appended("/spec/volumes", pod.spec.volumes, told.spec.volumes)
    for path, container, knowing in _pairs(pod, told):
        yield from _appended(f"{path}/volumeMounts", container.volume_mounts, knowing.volume_mounts)


def _appended(path: str, before: Sequence[Any], after: Sequence[Any]) -> Iterator[JsonObject]:
    """Each addition by itself: what was written may hold fields that are not read here."""
    new = msgspec.to_builtins(after[len(before) :])
    if new and not before:
        yield {"op": "add", "path": path, "value": new}
    else:
        yield from ({"op": "add", "path": f"{path}/-", "value": one} for one in new)


def _blinded(pod: Pod, told: Pod) -> Iterator[JsonObject]:
    with_share = holder_of(pod)
    for at, container, knowing in _pairs(pod, told):
        path = f"{at}/env"
        if container.name == with_share and container.env != knowing.env:
            yield {"op": "add", "path": path, "value": msgspec.to_builtins(knowing.env)}
        elif _asks_gpu(container):
            yield from _as_the_node_says(path, container)
        elif container.name != with_share:
            yield from _void(path, container)


def _asks_gpu(container: Container) -> bool:
    asked = {**container.resources.limits, **container.resources.requests}
    return any(is_gpu(name) and number for name, number in amounts(asked).items())


def _as_the_node_says(path: str, container: Container) -> Iterator[JsonObject]:
    """The device plug-in tells the runtime which devices it gave; what a container says itself would count more."""
    if any(variable.name == VISIBLE for variable in container.env):
        yield {"op": "add", "path": path, "value": _without(container)}


def _without(container: Container) -> list[Any]:
    return [msgspec.to_builtins(variable) for variable in container.env if variable.name != VISIBLE]


def _beside(pod: Pod, before: Pod) -> Iterator[JsonObject]:
    """Ephemeral containers that are new: they ask for nothing, and images of CUDA show all devices."""
    there = {each.name for each in before.spec.ephemeral_containers}
    for at, container in enumerate(pod.spec.ephemeral_containers):
        if container.name not in there:
            yield from _void(f"/spec/ephemeralContainers/{at}/env", container)


def _void(path: str, container: Container) -> Iterator[JsonObject]:
    entry: JsonObject = {"name": VISIBLE, "value": "void"}
    said = [at for at, variable in enumerate(container.env) if variable.name == VISIBLE]
    if len(said) > 1:
        yield {"op": "add", "path": path, "value": [*_without(container), entry]}
    elif said:
        if msgspec.to_builtins(container.env[said[0]]) != entry:
            yield {"op": "replace", "path": f"{path}/{said[0]}", "value": entry}
    elif container.env:
        yield {"op": "add", "path": f"{path}/-", "value": entry}
    else:
        yield {"op": "add", "path": path, "value": [entry]}


def _nodes(request: Request) -> Iterator[str]:
    if request.before is None and request.pod.spec.node_name:
        yield (
            f"spec.nodeName is {request.pod.spec.node_name!r}: in a project the scheduler chooses the node."
            " Leave it out, and say where it may run by nodeSelector or affinity."
        )


def _forged(request: Request) -> Iterator[str]:
    now, before = _notes(request.pod), _notes(request.before) if request.before else {}
    for key in sorted(now.keys() | before.keys()):
        if _is_ours_alone(key) and now.get(key) != before.get(key):
            yield f"{key} is written by Fairlead only. Leave it out."


def _is_ours_alone(key: str) -> bool:
    return key in _OURS_ALONE or key.startswith((fields.GPU_GROUP_PREFIX, _RECEIVED))


def _notes(pod: Pod) -> dict[str, str]:
    return {**pod.metadata.labels, **pod.metadata.annotations}


def _queues(request: Request) -> Iterator[str]:
    for key in _QUEUE_LABELS:
        said = request.pod.metadata.labels.get(key)
        if said is not None and said not in request.place.queues and said != request.place.queue:
            own = ", ".join(sorted(request.place.queues)) or request.place.queue
            yield f"{key} is {said!r}, which is not a queue of this namespace's project. Leave it out, or name one of: {own}."


def _groups(request: Request) -> Iterator[str]:
    name = request.pod.metadata.annotations.get(fields.POD_GROUP)
    changed = request.before is None or request.before.metadata.annotations.get(fields.POD_GROUP) != name
    if changed and request.place.foreign_group:
        yield (
            f"{fields.POD_GROUP} is {name!r}, the group of {request.place.foreign_group}, which this pod does not belong to."
            " Leave it out, or name a group of your own."
        )


def _shares(request: Request) -> Iterator[str]:
    if request.before is None or request.before.metadata.annotations != request.pod.metadata.annotations:
        for problem in malformed_shares(request.pod):
            yield f"It asks for {problem}."


def _changed_shares(request: Request) -> Iterator[str]:
    """What a pod has of devices was counted and given by these when it was made."""
    if request.before is None:
        return
    now, before = request.pod.metadata.annotations, request.before.metadata.annotations
    for key in _SETTLED:
        if now.get(key) != before.get(key):
            yield f"{key} cannot be changed once a pod is made: its part of a GPU was counted and given by it. Make another pod."


_SETTLED: Final = (
    fields.GPU_FRACTION,
    fields.GPU_MEMORY,
    fields.GPU_FRACTION_DEVICES,
    fields.GPU_FRACTION_CONTAINER,
    fields.MPS,
)


def read_pod(written: object) -> Pod | None:
    """A pod of a review; None for none.

    Raises: msgspec.ValidationError.
    """
    return msgspec.convert(written, Pod) if written else None
